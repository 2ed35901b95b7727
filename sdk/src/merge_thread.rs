//! A view's thread: makes the pictures of its pipelines' frames, while the director goes on deciding.
//!
//! The director hands over what a frame is merged from, each slice as it arrives, and the frame's end; the thread answers
//! with what it made. A view whose frames are slow to merge or to filter holds up no other. What waits for the thread is
//! bounded: by the frames that a view may have in flight, of which none counts as finished before it was made, and by the
//! pixels of their tiles. A frame that a newer one has overtaken before the thread came to it is left out.

use crate::capture::MadeRecord;
use crate::clock::Clock;
use crate::config::ViewDesc;
use crate::denoise::Filters;
use crate::flight::Flight;
use crate::merging::{Finished, Merging, Opening, Part, Seen};
use crate::output::StageTimes;
use crate::workers::MergeThreads;
use parking_lot::Mutex;
use rayloom_frame::Rect;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::Notify;

/// What a view's thread is made with.
pub(crate) struct MergeDesc {
    /// The view's number.
    pub(crate) view: u16,
    pub(crate) desc: ViewDesc,
    pub(crate) filters: Filters,
    /// Threads that merge a frame together.
    pub(crate) threads: MergeThreads,
    pub(crate) clock: Clock,
    /// What frames consist of is told with them.
    pub(crate) is_recorded: bool,
    /// Somebody can be asked for what is unknown in a frame that is out.
    pub(crate) fills: bool,
    /// See [`crate::SessionDesc::inserted`].
    pub(crate) inserted: StageTimes,
    /// Told when something was made.
    pub(crate) news: Arc<Notify>,
}

/// What the thread is told.
enum Job {
    Open {
        is_local: bool,
        opening: Box<Opening>,
    },
    Add {
        is_local: bool,
        part: Part,
    },
    /// Parts of a frame that was finished will come once more, each with so many pixels around it.
    AskAgain {
        is_local: bool,
        frame_id: u64,
        parts: Vec<Rect>,
        ghost_px: u32,
    },
    Finish {
        is_local: bool,
        flight: Box<Flight>,
    },
    End,
}

/// A frame that has ended, and what was made of it.
pub(crate) type FinishedFlight = (Box<Flight>, Finished);

/// What the thread tells.
#[derive(Default)]
struct Made {
    /// What each pipeline finished, oldest first: the remote one and the local one.
    finished: [Mutex<Vec<FinishedFlight>>; 2],
    /// What the last finished frames tell of the next one's cost.
    seen: [Mutex<Option<Arc<Seen>>>; 2],
    /// The view is gone: nothing more of it will be shown.
    is_ending: AtomicBool,
    /// It is gone, by a panic.
    has_panicked: AtomicBool,
    news: Arc<Notify>,
}

/// The thread of a view. Dropping it ends the thread.
pub(crate) struct MergeThread {
    jobs: mpsc::Sender<Job>,
    made: Arc<Made>,
    thread: Option<JoinHandle<()>>,
}

/// A pipeline's way to its view's thread.
pub(crate) struct Merge {
    is_local: bool,
    jobs: mpsc::Sender<Job>,
    made: Arc<Made>,
}

impl MergeThread {
    /// # Errors
    /// Without a thread, the system's.
    pub(crate) fn new(desc: MergeDesc) -> std::io::Result<MergeThread> {
        let (jobs, work) = mpsc::channel();
        let made = Arc::new(Made { news: Arc::clone(&desc.news), ..Made::default() });
        let thread = std::thread::Builder::new().name("rayloom-view".into()).spawn({
            let made = Arc::clone(&made);
            move || {
                let ending = Ending(&made);
                run(&desc, &work, &made);
                drop(ending);
            }
        })?;
        Ok(MergeThread { jobs, made, thread: Some(thread) })
    }

    pub(crate) fn pipeline(&self, is_local: bool) -> Merge {
        Merge { is_local, jobs: self.jobs.clone(), made: Arc::clone(&self.made) }
    }

    /// True when it is gone, by a panic: its frames will never come.
    pub(crate) fn has_panicked(&self) -> bool {
        self.made.has_panicked.load(Ordering::Acquire)
    }

    /// True when waiting for its end would not wait.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What was made of the frames that nobody took any more, where frames are recorded: once it has ended.
    pub(crate) fn take_records(&self) -> Vec<MadeRecord> {
        let finished = self.made.finished.iter().flat_map(|finished| std::mem::take(&mut *finished.lock()));
        finished.filter_map(|(_, finished)| finished.record).collect()
    }

    /// Waits until it has ended.
    pub(crate) fn join(&mut self) {
        self.end();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a view's thread had panicked");
        }
    }

    /// Tells it to end: what it has begun is not shown any more. Frames that are recorded are merged, all of them.
    pub(crate) fn end(&self) {
        self.made.is_ending.store(true, Ordering::Release);
        // It may have ended by a panic.
        let _ = self.jobs.send(Job::End);
    }
}

impl Drop for MergeThread {
    fn drop(&mut self) {
        self.join();
    }
}

impl Merge {
    /// Opens a frame; the one before was handed over with [`Merge::finish`].
    pub(crate) fn open(&self, opening: Opening) {
        self.send(Job::Open { is_local: self.is_local, opening: Box::new(opening) });
    }

    /// A slice of the open frame.
    pub(crate) fn add(&self, part: Part) {
        self.send(Job::Add { is_local: self.is_local, part });
    }

    /// Parts of a frame that was finished are asked for again: they are numbered on from the frame's own tiles.
    pub(crate) fn ask_again(&self, frame_id: u64, parts: Vec<Rect>, ghost_px: u32) {
        self.send(Job::AskAgain { is_local: self.is_local, frame_id, parts, ghost_px });
    }

    /// The open frame has ended: it comes back with what was made of it.
    pub(crate) fn finish(&self, flight: Flight) {
        self.send(Job::Finish { is_local: self.is_local, flight: Box::new(flight) });
    }

    /// What was finished since, oldest first.
    pub(crate) fn finished(&self) -> Vec<FinishedFlight> {
        std::mem::take(&mut *self.made.finished[usize::from(self.is_local)].lock())
    }

    /// What the last finished frame tells of the next one's cost.
    pub(crate) fn seen(&self) -> Option<Arc<Seen>> {
        self.made.seen[usize::from(self.is_local)].lock().clone()
    }

    fn send(&self, job: Job) {
        // Gone by a panic: the director ends the session when it hears of it.
        let _ = self.jobs.send(job);
    }
}

/// However the thread ends, the director hears of it.
struct Ending<'a>(&'a Made);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.has_panicked.store(std::thread::panicking(), Ordering::Release);
        self.0.news.notify_one();
    }
}

fn run(desc: &MergeDesc, work: &mpsc::Receiver<Job>, made: &Made) {
    let mut merging = [false, true].map(|is_local| Merging::new(desc, is_local));
    let mut jobs = VecDeque::new();
    loop {
        jobs.extend(work.try_iter());
        if jobs.is_empty() {
            merging.iter_mut().for_each(Merging::merge_ready);
            match next_job(&mut merging, work, desc.clock) {
                Ok(job) => jobs.push_back(job),
                Err(_) => return,
            }
        }
        jobs.extend(work.try_iter());
        if !desc.is_recorded && made.is_ending.load(Ordering::Acquire) {
            return;
        }
        match jobs.pop_front() {
            Some(Job::Open { is_local, opening }) if !desc.is_recorded && is_overtaken(&jobs, is_local) => {
                merging[usize::from(is_local)].skip(&opening);
                let flight = take_frame(&mut jobs, is_local, opening.frame_id);
                made.finished[usize::from(is_local)].lock().extend(flight.map(|flight| (flight, Finished::default())));
                made.news.notify_one();
            }
            Some(Job::Open { is_local, opening }) => merging[usize::from(is_local)].open(*opening),
            Some(Job::Add { is_local, part }) => merging[usize::from(is_local)].add(&part),
            Some(Job::AskAgain { is_local, frame_id, parts, ghost_px }) => {
                merging[usize::from(is_local)].ask_again(frame_id, &parts, ghost_px);
            }
            Some(Job::Finish { is_local, flight }) => {
                let pipeline = usize::from(is_local);
                let merging = &mut merging[pipeline];
                let has_newer =
                    jobs.iter().any(|job| matches!(job, Job::Finish { is_local: other, .. } if *other == is_local));
                let is_shown = flight.is_surely_shown || !(has_newer && merging.is_filtered());
                let finished = merging.finish(&flight, is_shown, &|| !made.is_ending.load(Ordering::Acquire));
                made.finished[pipeline].lock().push((flight, finished));
                made.news.notify_one();
                if let Some(seen) = merging.learn() {
                    *made.seen[pipeline].lock() = Some(Arc::new(seen));
                }
            }
            Some(Job::End) => return,
            None => {}
        }
    }
}

/// Waits for what is to be done next. Shortly before a frame is due what is missing of it is prepared meanwhile.
fn next_job(merging: &mut [Merging; 2], work: &mpsc::Receiver<Job>, clock: Clock) -> Result<Job, mpsc::RecvError> {
    loop {
        let due = merging.iter_mut().filter_map(|merging| Some((merging.prepares_at_ns()?, merging)));
        let Some((at_ns, next)) = due.min_by_key(|(at_ns, _)| *at_ns) else { return work.recv() };
        let wait = Duration::from_nanos(at_ns.saturating_sub(clock.now_ns()));
        match work.recv_timeout(wait) {
            Ok(job) => return Ok(job),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(mpsc::RecvError),
            Err(mpsc::RecvTimeoutError::Timeout) => next.prepare(),
        }
    }
}

/// Whether the frame that is to be opened next, and a newer one too, have ended: making both would only make the newer one late. Those
/// that are surely shown are made.
fn is_overtaken(jobs: &VecDeque<Job>, is_local: bool) -> bool {
    let mut ended = jobs.iter().filter_map(|job| match job {
        Job::Finish { is_local: other, flight } if *other == is_local => Some(flight),
        _ => None,
    });
    ended.next().is_some_and(|flight| !flight.is_surely_shown) && ended.next().is_some()
}

/// Takes the rest of the next frame: its end. What comes late of those before it stays.
fn take_frame(jobs: &mut VecDeque<Job>, is_local: bool, frame_id: u64) -> Option<Box<Flight>> {
    let is_end = |job: &Job| matches!(job, Job::Finish { is_local: other, .. } if *other == is_local);
    let end = jobs.iter().position(is_end)?;
    let rest: Vec<Job> = jobs.drain(..=end).collect();
    let mut flight = None;
    for job in rest.into_iter().rev() {
        match job {
            Job::Finish { is_local: other, flight: ended } if other == is_local => flight = Some(ended),
            Job::Add { is_local: other, ref part } if other == is_local && part.frame_id == frame_id => {}
            other => jobs.push_front(other),
        }
    }
    flight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FrameDesc;
    use crate::flight::Request;
    use rayloom_frame::Extent;
    use rayloom_scene::Camera;

    fn frame(jobs: &mpsc::Sender<Job>, is_local: bool, frame_id: u64, is_surely_shown: bool) {
        let mut flight = flight(frame_id, is_surely_shown);
        jobs.send(Job::Open { is_local, opening: Box::new(flight.opening(u64::MAX)) }).unwrap();
        jobs.send(Job::Finish { is_local, flight: Box::new(flight) }).unwrap();
    }

    fn flight(frame_id: u64, is_surely_shown: bool) -> Flight {
        let desc = FrameDesc::new(frame_id, 1, Camera::with_fov(1.0, 1.0));
        let request = Request {
            desc: desc.clone(),
            is_ahead: false,
            groups: Vec::new(),
            state: None,
            planes: None,
            before: None,
            first_place: None,
        };
        Flight {
            number: frame_id,
            desc,
            is_guess: false,
            request: Arc::new(request),
            lowered: 0,
            tiles: Vec::new(),
            prescribed: None,
            is_open: true,
            is_exact: false,
            is_surely_shown,
            ended: true,
            predicted_costs: None,
            begun_ns: 0,
            taken_ns: 0,
            analysing_ns: 0,
            planned_ns: 0,
            ended_ns: 0,
        }
    }

    fn desc(is_recorded: bool) -> MergeDesc {
        MergeDesc {
            view: 0,
            desc: ViewDesc::new(Extent::new(16, 16)),
            filters: Filters::Off,
            threads: MergeThreads { count: 1 },
            clock: Clock::new(),
            is_recorded,
            fills: false,
            inserted: Default::default(),
            news: Arc::default(),
        }
    }

    /// The frames of the remote and the local pipeline, and whether each has an output, where all had ended before the thread
    /// came to them.
    fn made(is_recorded: bool, fill: impl Fn(&mpsc::Sender<Job>)) -> [Vec<(u64, bool)>; 2] {
        let desc = desc(is_recorded);
        let (jobs, work) = mpsc::channel();
        fill(&jobs);
        jobs.send(Job::End).unwrap();
        let made = Made::default();
        run(&desc, &work, &made);
        made.finished.map(|finished| {
            let finished = finished.into_inner().into_iter();
            finished.map(|(flight, finished)| (flight.desc.frame_id, finished.output.is_some())).collect()
        })
    }

    #[test]
    fn frames_that_a_newer_one_has_overtaken_do_not_hold_it_up() {
        let [remote, local] = made(false, |jobs| {
            frame(jobs, false, 1, false);
            frame(jobs, true, 1, false);
            frame(jobs, false, 2, false);
            frame(jobs, false, 3, false);
        });
        assert_eq!(remote, [(1, false), (2, false), (3, true)]);
        assert_eq!(local, [(1, true)], "the other pipeline has none that is newer");
    }

    #[test]
    fn frames_that_are_recorded_or_compared_are_all_made() {
        let both = |jobs: &mpsc::Sender<Job>| (1..3).for_each(|frame_id| frame(jobs, false, frame_id, false));
        assert_eq!(made(true, both)[0], [(1, true), (2, true)]);
        let compared = |jobs: &mpsc::Sender<Job>| (1..3).for_each(|frame_id| frame(jobs, false, frame_id, true));
        assert_eq!(made(false, compared)[0], [(1, true), (2, true)]);
    }

    #[test]
    fn what_is_missing_is_prepared_once_where_nothing_is_at_hand() {
        let desc = desc(false);
        let mut merging = [false, true].map(|is_local| Merging::new(&desc, is_local));
        let mut before = flight(1, false);
        merging[0].open(before.opening(0));
        merging[0].finish(&before, true, &|| true);
        assert_eq!(merging[0].prepares_at_ns(), None, "no frame is open");
        merging[0].open(flight(2, false).opening(0));
        let (jobs, work) = mpsc::channel();
        jobs.send(Job::End).unwrap();
        assert!(matches!(next_job(&mut merging, &work, desc.clock), Ok(Job::End)), "what is at hand comes first");
        let mut portions = 0;
        while merging[0].prepares_at_ns().is_some() {
            merging[0].prepare();
            portions += 1;
        }
        assert_eq!(portions, 2, "the frame's one tile, and then there is none");
    }
}
