//! What all viewers share: the frames that go to each, the seats, the input that comes back.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};

use crate::error::StreamError;
use crate::frame::Frame;
use crate::input::InputRing;
use crate::pipeline::{IdrReason, Pipeline};
use crate::stats::StreamStats;

/// Frames a viewer may be behind before it waits for the next IDR: 130 ms at 30 fps.
const FRAMES_AHEAD: usize = 4;
/// Messages that wait for one viewer's data channel; more are left out.
const MESSAGES_AHEAD: usize = 16;

/// The middle of the stream.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) pipeline: Pipeline,
    pub(crate) input: InputRing,
    /// Where the server listens; media sockets open on the same address.
    pub(crate) listen_ip: IpAddr,
    token: Option<blake3::Hash>,
    pub(crate) allow_origins: Vec<String>,
    max_viewers: usize,
    seats: AtomicUsize,
    next_number: AtomicU64,
    late: AtomicU64,
    viewers: Mutex<Vec<Arc<ViewerLink>>>,
    stop: watch::Sender<bool>,
    /// Every viewer's task holds a clone; the server has ended when the last one is gone.
    alive: Mutex<Option<mpsc::Sender<()>>>,
}

/// The sending ends of one viewer.
#[derive(Debug)]
pub(crate) struct ViewerLink {
    /// The name in its WHEP address; not to be guessed.
    pub(crate) id: String,
    /// The number in its input events.
    pub(crate) number: u64,
    /// Tells its task to say goodbye.
    pub(crate) leave: Notify,
    frames: mpsc::Sender<Arc<Frame>>,
    messages: mpsc::Sender<Arc<str>>,
    connected: AtomicBool,
    needs_idr: AtomicBool,
}

/// The receiving ends, for the viewer's task. Dropping it frees the place.
pub(crate) struct Seat {
    pub(crate) hub: Arc<Hub>,
    pub(crate) link: Arc<ViewerLink>,
    pub(crate) frames: mpsc::Receiver<Arc<Frame>>,
    pub(crate) messages: mpsc::Receiver<Arc<str>>,
    pub(crate) stop: watch::Receiver<bool>,
    _alive: mpsc::Sender<()>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.viewers.lock().retain(|link| link.number != self.link.number);
        self.hub.seats.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Hub {
    /// `alive` is cloned for each viewer's task.
    pub(crate) fn new(desc: &crate::StreamDesc, alive: mpsc::Sender<()>) -> Self {
        Self {
            pipeline: Pipeline::new(desc.max_fps, desc.bitrate_bps, desc.inserted),
            input: InputRing::default(),
            listen_ip: desc.listen.ip(),
            token: desc.token.as_deref().map(|token| blake3::hash(token.as_bytes())),
            allow_origins: desc.allow_origins.clone(),
            max_viewers: desc.max_viewers,
            seats: AtomicUsize::new(0),
            next_number: AtomicU64::new(1),
            late: AtomicU64::new(0),
            viewers: Mutex::new(Vec::new()),
            stop: watch::Sender::new(false),
            alive: Mutex::new(Some(alive)),
        }
    }

    /// Whether anybody watches or is about to.
    pub(crate) fn watched(&self) -> bool {
        self.seats.load(Ordering::Acquire) > 0
    }

    /// Whether the token of a request is the right one. Compares digests, in constant time.
    pub(crate) fn admits(&self, token: Option<&str>) -> bool {
        match (&self.token, token) {
            (None, _) => true,
            (Some(wanted), Some(given)) => *wanted == blake3::hash(given.as_bytes()),
            (Some(_), None) => false,
        }
    }

    /// Takes a place for a viewer.
    pub(crate) fn seat(self: &Arc<Self>) -> Result<Seat, StreamError> {
        let alive = self.alive.lock().clone().ok_or(StreamError::Closed)?;
        let id = random_id()?;
        self.seats
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| (taken < self.max_viewers).then_some(taken + 1))
            .map_err(|_| StreamError::TooManyViewers { limit: self.max_viewers })?;
        let (frame_sender, frames) = mpsc::channel(FRAMES_AHEAD);
        let (message_sender, messages) = mpsc::channel(MESSAGES_AHEAD);
        let link = Arc::new(ViewerLink {
            id,
            number: self.next_number.fetch_add(1, Ordering::Relaxed),
            leave: Notify::new(),
            frames: frame_sender,
            messages: message_sender,
            connected: AtomicBool::new(false),
            needs_idr: AtomicBool::new(true),
        });
        self.viewers.lock().push(Arc::clone(&link));
        let stop = self.stop.subscribe();
        Ok(Seat { hub: Arc::clone(self), link, frames, messages, stop, _alive: alive })
    }

    /// A viewer can receive from now on; it gets an IDR at once.
    pub(crate) fn connected(&self, link: &ViewerLink) {
        link.connected.store(true, Ordering::Release);
        self.pipeline.request_idr(IdrReason::Join);
    }

    /// Tells the viewer of a WHEP address to leave. False if there is none.
    pub(crate) fn dismiss(&self, id: &str) -> bool {
        let viewers = self.viewers.lock();
        let link = viewers.iter().find(|link| link.id == id);
        link.inspect(|link| link.leave.notify_one()).is_some()
    }

    /// Gives a frame to every viewer that can take it.
    pub(crate) fn deliver(&self, frame: &Arc<Frame>) {
        for link in self.viewers.lock().iter() {
            if !link.connected.load(Ordering::Acquire) {
                continue;
            }
            let fits = frame.idr || !link.needs_idr.load(Ordering::Acquire);
            if fits && link.frames.try_send(Arc::clone(frame)).is_ok() {
                link.needs_idr.store(false, Ordering::Release);
                continue;
            }
            self.late.fetch_add(1, Ordering::Relaxed);
            if !link.needs_idr.swap(true, Ordering::AcqRel) || frame.idr {
                self.pipeline.request_idr(IdrReason::Loss);
            }
        }
    }

    /// Sends a text to every viewer's page; those that don't keep up miss it.
    pub(crate) fn broadcast(&self, text: &Arc<str>) {
        for link in self.viewers.lock().iter() {
            if link.messages.try_send(Arc::clone(text)).is_err() {
                tracing::debug!(viewer = link.number, "a message was left out");
            }
        }
    }

    /// Tells everything to end.
    pub(crate) fn close(&self) {
        self.pipeline.close();
        self.alive.lock().take();
        self.stop.send_replace(true);
    }

    /// Becomes true when everything shall end.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// All counters.
    pub(crate) fn stats(&self) -> StreamStats {
        let mut stats = StreamStats::default();
        self.pipeline.fill(&mut stats);
        let viewers = self.viewers.lock();
        stats.viewers = viewers.iter().filter(|link| link.connected.load(Ordering::Acquire)).count();
        stats.late = self.late.load(Ordering::Relaxed);
        (stats.input_dropped, stats.input_rejected) = self.input.losses();
        stats
    }
}

/// 128 random bits in hexadecimal.
fn random_id() -> Result<String, StreamError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| StreamError::System { what: "random numbers", reason: error.to_string() })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StreamDesc;

    fn hub(max_viewers: usize, token: Option<&str>) -> Arc<Hub> {
        let desc = StreamDesc { max_viewers, token: token.map(str::to_owned), ..StreamDesc::default() };
        Arc::new(Hub::new(&desc, mpsc::channel(1).0))
    }

    fn frame(idr: bool) -> Arc<Frame> {
        Arc::new(Frame { payloads: Vec::new(), rtp_time: 0, idr })
    }

    #[test]
    fn seats_are_limited_and_come_back() {
        let hub = hub(2, None);
        let first = hub.seat().unwrap();
        let _second = hub.seat().unwrap();
        assert!(matches!(hub.seat(), Err(StreamError::TooManyViewers { limit: 2 })));
        drop(first);
        let third = hub.seat().unwrap();
        assert_eq!(third.link.number, 3);
        assert_eq!(third.link.id.len(), 32);
        hub.close();
        assert!(matches!(hub.seat(), Err(StreamError::Closed)));
    }

    #[test]
    fn a_viewer_that_falls_behind_waits_for_the_next_idr() {
        let hub = hub(2, None);
        let mut slow = hub.seat().unwrap();
        hub.deliver(&frame(true));
        assert!(slow.frames.try_recv().is_err(), "not connected yet");
        hub.connected(&slow.link);
        hub.deliver(&frame(false));
        assert!(slow.frames.try_recv().is_err(), "no start before an IDR");
        hub.deliver(&frame(true));
        for _ in 0..FRAMES_AHEAD {
            hub.deliver(&frame(false));
        }
        let mut received = 0;
        while slow.frames.try_recv().is_ok() {
            received += 1;
        }
        assert_eq!(received, FRAMES_AHEAD);
        hub.deliver(&frame(false));
        assert!(slow.frames.try_recv().is_err(), "a gap must not reach the decoder");
        hub.deliver(&frame(true));
        assert!(slow.frames.try_recv().is_ok());
        assert_eq!(hub.stats().late, 3);
    }

    #[test]
    fn tokens_are_compared() {
        assert!(hub(1, None).admits(None));
        let guarded = hub(1, Some("secret"));
        assert!(guarded.admits(Some("secret")));
        assert!(!guarded.admits(Some("Secret")));
        assert!(!guarded.admits(None));
    }
}
