//! Descriptions that make no sense are refused with the value and what to do.

use rayloom::frame::Extent;
use rayloom::scene::Camera;
use rayloom::{Embedded, Error, FrameDesc, PeerAddress, Session, SessionDesc, ViewDesc};
use std::time::Duration;

/// A session whose only peer is on a port where nobody listens.
fn lonely() -> Session {
    let peers = vec![PeerAddress { url: "http://127.0.0.1:9".into(), ..PeerAddress::default() }];
    Session::new(SessionDesc { peers, embedded: Embedded::Never, ..SessionDesc::default() }).unwrap()
}

fn text<T>(result: Result<T, Error>) -> String {
    result.err().expect("this is refused").to_string()
}

#[test]
fn nothing_to_trace_with() {
    let desc = SessionDesc { embedded: Embedded::Never, ..SessionDesc::default() };
    assert!(text(Session::new(desc)).starts_with("no peers and embedded is NEVER"));
}

/// In the engine's words, not in those of a peer's operator.
#[cfg(feature = "embedded-peer")]
#[test]
fn an_embedded_peer_on_a_cpu_names_the_field_that_allows_it() {
    let desc = SessionDesc {
        embedded: Embedded::Always,
        // The tests' machines have lavapipe, some also a GPU.
        embedded_device: Some("llvmpipe".into()),
        ..SessionDesc::default()
    };
    let session = Session::new(desc).unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(60);
    let cause = loop {
        match session.poll_event() {
            Some(rayloom::Event::PeerUnreachable { cause, .. }) => break cause,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
        assert!(std::time::Instant::now() < end, "the refusal is told");
    };
    assert!(cause.contains("embedded_allow_cpu") && !cause.contains("--allow-cpu"), "{cause}");
}

#[test]
fn bounds_are_named() {
    let desc = SessionDesc { max_frames_in_flight: 9, ..SessionDesc::default() };
    assert_eq!(text(Session::new(desc)), "max_frames_in_flight is 9, allowed is 1 to 8");
    let session = lonely();
    let view = |width, height| ViewDesc::new(Extent::new(width, height));
    assert_eq!(text(session.create_view(view(0, 90))), "view width is 0, allowed is 1 to 16384");
    let mut twice = view(160, 90);
    twice.layers[1] = twice.layers[0];
    assert_eq!(text(session.create_view(twice)), "layer direct is named twice");
}

#[test]
fn frames_without_any_peer_come_at_their_deadline_and_never_too_many() {
    let session = lonely();
    session.create_scene().commit().unwrap();
    let view = session.create_view(ViewDesc::new(Extent::new(64, 36))).unwrap();
    let camera = Camera::with_fov(1.0, 16.0 / 9.0);
    for frame_id in 0..20 {
        view.begin_frame(FrameDesc::new(frame_id, 1, camera)).unwrap();
        let output = view.acquire(frame_id, Duration::from_secs(20)).unwrap();
        assert_eq!((output.frame_id, output.fresh), (frame_id, 0.0));
        assert_eq!(output.color.len(), 64 * 36 * 4);
    }
    assert!(text(view.begin_frame(FrameDesc::new(7, 1, camera))).contains("frame id 7 does not grow"));
    assert_eq!(text(view.begin_frame(FrameDesc::new(99, 2, camera))), "revision 2 was never committed: the last was 1");
    let nan = Camera { position: [f32::NAN, 0.0, 0.0].into(), ..camera };
    assert!(text(view.begin_frame(FrameDesc::new(99, 1, nan))).contains("not usable"));
}

#[test]
fn an_unreachable_peer_is_an_event_that_names_it() {
    let session = lonely();
    session.create_scene().commit().unwrap();
    let view = session.create_view(ViewDesc::new(Extent::new(16, 16))).unwrap();
    let camera = Camera::with_fov(1.0, 1.0);
    // Frames are the clock here: each is finished within its deadline, and the refusal arrives meanwhile.
    for frame_id in 0..10_000 {
        view.begin_frame(FrameDesc::new(frame_id, 1, camera)).unwrap();
        view.acquire(frame_id, Duration::from_secs(20)).unwrap();
        if let Some(event) = session.poll_event() {
            assert!(event.to_string().contains("http://127.0.0.1:9"), "{event}");
            return;
        }
        std::thread::yield_now();
    }
    panic!("no event in 10,000 frames");
}
