//! Datagrams on their way from a shared socket to the session that they are for: what a socket's kernel buffer would hold.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

use ::webrtc::runtime::RecvMeta;
use parking_lot::Mutex;

/// As much as a session's own socket would ask the kernel for; what comes beyond is lost, as it would be there.
const MOST_BYTES: usize = 4 << 20;
/// What a datagram counts beside its length, so that empty ones are bounded too.
const DATAGRAM_BYTES: usize = 128;

/// Filled by whoever has the socket, emptied by the session's driver.
#[derive(Debug, Default)]
pub(in crate::webrtc) struct Mailbox(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    arrived: VecDeque<Arrived>,
    bytes: usize,
    reader: Option<Waker>,
}

/// Datagrams of one sender that the kernel handed over together: each of `stride` bytes, the last may be shorter.
#[derive(Debug)]
struct Arrived {
    from: SocketAddr,
    stride: usize,
    data: Vec<u8>,
}

impl Mailbox {
    /// False where there is no room: the datagrams are lost.
    pub(in crate::webrtc) fn put(&self, from: SocketAddr, stride: usize, data: &[u8]) -> bool {
        let arrived = Arrived { from, stride: stride.max(1), data: data.to_vec() };
        let mut queue = self.0.lock();
        let bytes = queue.bytes + data.len() + DATAGRAM_BYTES;
        if bytes > MOST_BYTES {
            return false;
        }
        queue.bytes = bytes;
        queue.arrived.push_back(arrived);
        let reader = queue.reader.take();
        drop(queue);
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }

    /// Like a socket's `poll_recv`, one message at a time.
    pub(in crate::webrtc) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buf), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else { return Poll::Ready(Ok(0)) };
        let mut queue = self.0.lock();
        let Some(Arrived { from, stride, data }) = queue.arrived.pop_front() else {
            queue.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        queue.bytes -= data.len() + DATAGRAM_BYTES;
        drop(queue);
        let length = data.len().min(buf.len());
        buf[..length].copy_from_slice(&data[..length]);
        *meta = RecvMeta::default();
        meta.addr = from;
        meta.len = length;
        meta.stride = stride;
        Poll::Ready(Ok(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_woken_and_a_full_box_takes_no_more() {
        let (mailbox, from) = (Mailbox::default(), SocketAddr::from(([10, 0, 0, 1], 9)));
        let mut cx = Context::from_waker(Waker::noop());
        let (mut buffer, mut meta) = ([0; 8], [RecvMeta::default()]);
        assert!(mailbox.poll_take(&mut cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta).is_pending());
        assert!(mailbox.put(from, 2, b"abcde"));
        let taken = mailbox.poll_take(&mut cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta);
        assert!(matches!(taken, Poll::Ready(Ok(1))));
        assert_eq!((&buffer[..meta[0].len], meta[0].stride, meta[0].addr), (&b"abcde"[..], 2, from));
        let fits = (0..).take_while(|_| mailbox.put(from, 60_000, &[0; 60_000])).count();
        assert_eq!(fits, MOST_BYTES / (60_000 + DATAGRAM_BYTES));
        assert!(mailbox.put(from, 1, b""), "a small one still fits");
    }
}
