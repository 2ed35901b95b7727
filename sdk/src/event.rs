//! What happens to a session, for the engine to poll.

use crate::capture::Recorder;
use rayloom_sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;

/// Most events kept; the oldest are dropped (and counted) when the engine does not poll.
pub const EVENT_LIMIT: usize = 256;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer is connected and says what it is.
    PeerConnected {
        /// Index in the session's list of peers; [`crate::EMBEDDED_PEER`] for the one inside.
        peer: u32,
        /// Device and address.
        description: String,
    },
    /// A peer could not be reached; the session keeps trying.
    PeerUnreachable {
        /// Index in the session's list of peers.
        peer: u32,
        /// Which peer, why, and what to do.
        cause: String,
    },
    /// A connected peer is gone; the session keeps trying to get it back.
    PeerLost {
        /// Index in the session's list of peers.
        peer: u32,
        /// Which peer, and why.
        cause: String,
    },
    /// A peer missed a deadline, refused tiles or answered wrongly: it gets a probing tile only until it holds, and nothing for a while
    /// where that happens again and again.
    PeerSuspect {
        /// Index in the session's list of peers.
        peer: u32,
        /// Which peer, and what it missed.
        cause: String,
    },
    /// A peer did not trace what it was asked for: nothing of it is used any more in this session.
    PeerCaught {
        /// Index in the session's list of peers.
        peer: u32,
        /// Which peer, what it did, and where what proves it was written.
        cause: String,
    },
    /// A peer will go: it finishes what it has, and gets nothing more.
    PeerLeaving {
        /// Index in the session's list of peers.
        peer: u32,
        /// Which peer, and why.
        cause: String,
    },
    /// A suspect peer holds its deadlines again.
    PeerRecovered {
        /// Index in the session's list of peers.
        peer: u32,
    },
    /// A scene revision can be traced by a peer.
    SceneReady {
        /// The revision.
        revision: u64,
        /// Index in the session's list of peers.
        peer: u32,
    },
    /// A scene revision can't be traced by a peer; the last ready one stays.
    SceneFailed {
        /// The revision.
        revision: u64,
        /// Index in the session's list of peers; [`crate::EMBEDDED_PEER`] also where it failed before it left this process.
        peer: u32,
        /// Why, and what to do.
        cause: String,
    },
    /// Peers hold the scene of a view, and none is what the view asks for; told once until that changes.
    Untraceable {
        /// The view, numbered as they were created.
        view: u16,
        /// What the peers lack.
        cause: String,
    },
    /// The session's capture ends before the session does; all before can be replayed.
    CaptureFailed {
        /// Which file, and why.
        cause: String,
    },
    /// The session's timeline ends before the session does; all before can be read.
    TimelineFailed {
        /// Which file, and why.
        cause: String,
    },
    /// The planes of a frame were read: the engine may write to their memory again.
    PlanesReleased {
        /// The frame; ids of views in G-buffer mode differ where the engine wants to tell them apart here.
        frame_id: u64,
    },
    /// The planes of a frame were compared with what a peer traced of it; told once for each different result of a view.
    Convention {
        /// The view, numbered as they were created.
        view: u16,
        /// The frame that shows it.
        frame_id: u64,
        /// Whether everything agrees.
        agrees: bool,
        /// How many pixels agree or don't, and what to set.
        text: String,
    },
}

/// A bounded queue of events.
#[derive(Default)]
pub(crate) struct EventQueue {
    queue: Mutex<VecDeque<Event>>,
    arrived: Condvar,
    /// Notes them for people who look into a capture.
    recorder: OnceLock<Recorder>,
}

impl EventQueue {
    /// From now on events are recorded too.
    pub(crate) fn record_with(&self, recorder: Recorder) {
        // A session has one.
        self.recorder.get_or_init(|| recorder);
    }

    pub(crate) fn push(&self, event: Event) {
        if let Some(recorder) = self.recorder.get().filter(|_| !matches!(event, Event::PlanesReleased { .. })) {
            recorder.note(|| event.to_string());
        }
        match event {
            // Every frame has one.
            Event::PlanesReleased { .. } => tracing::trace!(target: "rayloom::event", "{event}"),
            Event::Convention { agrees: false, .. }
            | Event::PeerCaught { .. }
            | Event::CaptureFailed { .. }
            | Event::TimelineFailed { .. } => tracing::warn!(target: "rayloom::event", "{event}"),
            _ => tracing::info!(target: "rayloom::event", "{event}"),
        }
        let mut queue = self.queue.lock();
        if queue.len() == EVENT_LIMIT {
            queue.pop_front();
            tracing::warn!("an event was dropped: poll events at least once a second");
        }
        queue.push_back(event);
        drop(queue);
        self.arrived.notify_one();
    }

    /// The next event, if there is one within this time.
    pub(crate) fn wait(&self, timeout: Duration) -> Option<Event> {
        let mut queue = self.queue.lock();
        self.arrived.wait_while_for(&mut queue, |queue| queue.is_empty(), timeout);
        queue.pop_front()
    }

    pub(crate) fn poll(&self) -> Option<Event> {
        self.queue.lock().pop_front()
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Event::PeerConnected { peer, description } => write!(f, "peer {} connected: {description}", name(*peer)),
            Event::PeerUnreachable { peer, cause } => write!(f, "peer {} unreachable: {cause}", name(*peer)),
            Event::PeerLost { peer, cause } => write!(f, "peer {} lost: {cause}", name(*peer)),
            Event::PeerSuspect { peer, cause } => write!(f, "peer {} is suspect: {cause}", name(*peer)),
            Event::PeerCaught { peer, cause } => write!(f, "peer {} is caught and blocked: {cause}", name(*peer)),
            Event::PeerLeaving { peer, cause } => write!(f, "peer {} leaves: {cause}", name(*peer)),
            Event::PeerRecovered { peer } => write!(f, "peer {} recovered", name(*peer)),
            Event::SceneReady { revision, peer } => write!(f, "peer {} holds scene revision {revision}", name(*peer)),
            Event::SceneFailed { revision, peer, cause } => {
                write!(f, "peer {} can't trace scene revision {revision}: {cause}", name(*peer))
            }
            Event::Untraceable { view, cause } => write!(f, "view {view} can't be traced: {cause}"),
            Event::CaptureFailed { cause } | Event::TimelineFailed { cause } => f.write_str(cause),
            Event::PlanesReleased { frame_id } => write!(f, "the planes of frame {frame_id} are released"),
            Event::Convention { view, frame_id, text, .. } => write!(f, "view {view}, frame {frame_id}: {text}"),
        }
    }
}

/// A peer's name in messages to people.
fn name(peer: u32) -> String {
    if peer == crate::EMBEDDED_PEER { "embedded".into() } else { peer.to_string() }
}

#[cfg(all(test, feature = "shuttle"))]
mod schedules {
    use super::*;
    use rayloom_sync::try_schedules;
    use shuttle::sync::Arc;
    use shuttle::thread;

    #[test]
    fn every_event_is_taken_once_however_it_is_waited_for() {
        try_schedules(|| {
            let queue = Arc::new(EventQueue::default());
            let makers: Vec<_> = (0..2)
                .map(|peer| {
                    let queue = Arc::clone(&queue);
                    thread::spawn(move || (0..3).for_each(|_| queue.push(Event::PeerRecovered { peer })))
                })
                .collect();
            let waiter = {
                let queue = Arc::clone(&queue);
                thread::spawn(move || (0..4).filter_map(|_| queue.wait(Duration::from_secs(1))).count())
            };
            let polled = (0..2).filter_map(|_| queue.poll()).count();
            makers.into_iter().for_each(|maker| maker.join().unwrap());
            let waited = waiter.join().unwrap();
            let left = std::iter::from_fn(|| queue.poll()).count();
            assert_eq!(polled + waited + left, 6);
        });
    }

    #[test]
    fn whoever_waits_for_events_is_woken_by_each() {
        try_schedules(|| {
            let queue = Arc::new(EventQueue::default());
            let waiters = [2, 4].map(|events| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || (0..events).all(|_| queue.wait(Duration::MAX).is_some()))
            });
            let makers = [0, 1].map(|peer| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || (0..3).for_each(|_| queue.push(Event::PeerRecovered { peer })))
            });
            makers.into_iter().for_each(|maker| maker.join().unwrap());
            assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
            assert!(queue.poll().is_none());
        });
    }
}
