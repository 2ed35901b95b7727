//! What every implementation of a link keeps to: the same tests, in process and over WebRTC.

use std::collections::HashSet;
use std::sync::Arc;

use crate::pair::{closed, message, next, number, within};
use bytes::Bytes;
use rayloom_transport::{Channel, Connection, Link, LinkEvent, SendError};
use rayloom_wire::limits::MESSAGE_BYTES;

/// Sends, and waits whenever the channel is full.
async fn send(link: &Arc<dyn Link>, channel: Channel, message: Bytes) {
    loop {
        match link.send(channel, message.clone()) {
            Ok(()) => return,
            Err(SendError::Full { .. }) => within(link.writable(channel)).await.expect("the link stays open"),
            Err(error) => panic!("{error}"),
        }
    }
}

async fn ordered_channels_keep_order((a, mut b): (Connection, Connection)) {
    for channel in [Channel::Control, Channel::Bulk] {
        let link = a.link.clone();
        let sender = tokio::spawn(async move {
            for n in 0..2000 {
                send(&link, channel, message(n, 8 + (n as usize * 37) % 3000)).await;
            }
        });
        for expected in 0..2000 {
            let LinkEvent::Message(on, content) = next(&mut b).await else { panic!("closed early") };
            assert_eq!((on, number(&content)), (channel, expected));
        }
        sender.await.unwrap();
    }
}

async fn ten_thousand_messages_arrive_whole_both_ways((mut a, mut b): (Connection, Connection)) {
    const COUNT: u64 = 10_000;
    let mut senders = Vec::new();
    for link in [a.link.clone(), b.link.clone()] {
        senders.push(tokio::spawn(async move {
            for n in 0..COUNT {
                let channel = Channel::ALL[(n % 3) as usize];
                let bytes = if n % 100 == 0 { MESSAGE_BYTES } else { 8 + (n as usize * 131) % 2000 };
                send(&link, channel, message(n, bytes)).await;
            }
        }));
    }
    let receive = async |end: &mut Connection| {
        let mut seen = HashSet::new();
        while seen.len() < COUNT as usize {
            let LinkEvent::Message(channel, content) = next(end).await else { panic!("closed early") };
            let n = number(&content);
            assert_eq!(channel, Channel::ALL[(n % 3) as usize]);
            assert!(seen.insert(n), "message {n} comes once");
        }
    };
    tokio::join!(receive(&mut a), receive(&mut b));
    for sender in senders {
        sender.await.unwrap();
    }
    for stats in [a.link.stats(), b.link.stats()] {
        assert_eq!(stats.channels.iter().map(|c| c.messages_sent).sum::<u64>(), COUNT);
        assert_eq!(stats.channels.iter().map(|c| c.messages_received).sum::<u64>(), COUNT);
        assert_eq!(
            stats.channels.iter().map(|c| c.bytes_sent).sum::<u64>(),
            stats.channels.iter().map(|c| c.bytes_received).sum::<u64>()
        );
    }
}

async fn a_burst_fills_the_channel_and_waits_for_room((a, mut b): (Connection, Connection)) {
    for channel in [Channel::Bulk, Channel::Frames] {
        let mut sent = 0;
        // Nobody reads meanwhile: whatever is buffered on the way, the channel is full at last.
        let full = loop {
            match a.link.send(channel, message(sent, MESSAGE_BYTES)) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
            assert!(sent < 10_000, "no bound was met");
        };
        let SendError::Full { outstanding_bytes, limit } = full else { panic!("{full}") };
        assert_eq!(limit, channel.send_limit_bytes());
        assert!(outstanding_bytes <= limit && outstanding_bytes + MESSAGE_BYTES > limit);
        assert_eq!(a.link.stats().channel(channel).refused_full, 1);
        let mut seen = HashSet::new();
        while (seen.len() as u64) < sent {
            let LinkEvent::Message(_, content) = next(&mut b).await else { panic!("closed early") };
            seen.insert(number(&content));
        }
        within(a.link.writable(channel)).await.unwrap();
        assert!(a.link.outstanding_bytes(channel) <= channel.low_water_bytes());
        a.link.send(channel, message(sent, 100)).unwrap();
        let LinkEvent::Message(on, content) = next(&mut b).await else { panic!("closed early") };
        assert_eq!((on, number(&content)), (channel, sent));
    }
}

async fn a_message_may_be_empty_and_no_longer_than_the_limit((a, mut b): (Connection, Connection)) {
    let too_long = Bytes::from(vec![7; MESSAGE_BYTES + 1]);
    for channel in Channel::ALL {
        let error = SendError::TooLarge { bytes: MESSAGE_BYTES + 1, limit: MESSAGE_BYTES };
        assert_eq!(a.link.send(channel, too_long.clone()), Err(error));
        for length in [0, 1, MESSAGE_BYTES] {
            let sent = too_long.slice(..length);
            a.link.send(channel, sent.clone()).unwrap();
            assert_eq!(next(&mut b).await, LinkEvent::Message(channel, sent));
        }
    }
}

async fn the_reason_of_the_end_reaches_both_sides_after_the_last_words((mut a, mut b): (Connection, Connection)) {
    a.link.send(Channel::Control, message(1, 5000)).unwrap();
    a.link.close("enough for today");
    a.link.close("a second reason");
    assert_eq!(a.link.send(Channel::Control, Bytes::new()), Err(SendError::Closed));
    assert_eq!(a.link.writable(Channel::Bulk).await, Err(SendError::Closed));
    assert_eq!(next(&mut b).await, LinkEvent::Message(Channel::Control, message(1, 5000)));
    assert_eq!(closed(&mut b).await, "enough for today");
    assert_eq!(closed(&mut a).await, "enough for today");
    assert_eq!(b.link.send(Channel::Frames, Bytes::new()), Err(SendError::Closed));
}

async fn a_settled_end_has_arrived((a, mut b): (Connection, Connection)) {
    a.link.send(Channel::Control, message(1, 5000)).unwrap();
    a.link.close("enough for today");
    within(a.link.settled()).await;
    assert_eq!(within(b.events.next()).await, Some(LinkEvent::Message(Channel::Control, message(1, 5000))));
    assert_eq!(within(b.events.next()).await, Some(LinkEvent::Closed { reason: "enough for today".to_owned() }));
}

async fn the_end_wakes_who_waits_for_room((a, b): (Connection, Connection)) {
    while a.link.send(Channel::Bulk, message(0, MESSAGE_BYTES)).is_ok() {}
    let link = a.link.clone();
    let waiting = tokio::spawn(async move {
        // Room may come a few times, as far as buffers on the way reach; then only the end wakes.
        while link.writable(Channel::Bulk).await.is_ok() {
            while link.send(Channel::Bulk, message(0, MESSAGE_BYTES)).is_ok() {}
        }
    });
    b.link.close("closed by the reader's side");
    within(waiting).await.unwrap();
}

async fn both_may_close_at_once((mut a, mut b): (Connection, Connection)) {
    a.link.close("a");
    b.link.close("b");
    let reasons = (closed(&mut a).await, closed(&mut b).await);
    // In process the first close ends both; over a network each has its own by then.
    assert!(reasons == ("a".into(), "b".into()) || reasons == ("a".into(), "a".into()), "{reasons:?}");
}

async fn a_dropped_link_and_a_dropped_reader_are_told((a, mut b): (Connection, Connection)) {
    let Connection { link, events } = a;
    drop(events);
    assert_eq!(closed(&mut b).await, "the reader was dropped");
    drop(link);
}

macro_rules! conformance {
    ($($test:ident),* $(,)?) => {
        mod in_process {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::pair::in_process().await).await;
            })*
        }
        mod over_webrtc {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(crate::pair::over_webrtc().await).await;
            })*
        }
    };
}

conformance!(
    ordered_channels_keep_order,
    ten_thousand_messages_arrive_whole_both_ways,
    a_burst_fills_the_channel_and_waits_for_room,
    a_message_may_be_empty_and_no_longer_than_the_limit,
    the_reason_of_the_end_reaches_both_sides_after_the_last_words,
    a_settled_end_has_arrived,
    the_end_wakes_who_waits_for_room,
    both_may_close_at_once,
    a_dropped_link_and_a_dropped_reader_are_told,
);
