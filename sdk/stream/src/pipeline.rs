//! From the engine's picture to encoded frames: a slot that holds the newest picture, and the
//! thread that encodes what it finds there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rayloom_sync::{Condvar, Mutex};

use crate::encoder::{Encoder, EncoderSettings};
use crate::error::StreamError;
use crate::frame::Frame;
use crate::picture::Picture;
use crate::stats::{EncodeLog, StreamStats};
use crate::times::{InsertedTimes, PictureTimes, spend};

/// A viewer that lost packets gets an IDR at most this often: each one costs all viewers bytes.
const LOSS_IDR_GAP: Duration = Duration::from_millis(500);
/// Viewers that join close together share an IDR.
const JOIN_IDR_GAP: Duration = Duration::from_millis(100);
/// Picture buffers kept for reuse: one being filled, one waiting, one in the encoder.
const SPARE_PICTURES: usize = 3;

/// Why an IDR is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdrReason {
    /// A viewer has just connected and sees nothing until then.
    Join,
    /// A viewer's decoder lost its footing (PLI, FIR, or frames that we left out).
    Loss,
}

/// Where pictures wait for the encoder: at most one.
#[derive(Debug)]
pub(crate) struct Pipeline {
    state: Mutex<State>,
    wake: Condvar,
    log: Mutex<EncodeLog>,
    max_fps: f32,
    inserted: InsertedTimes,
}

#[derive(Debug, Default)]
struct State {
    waiting: Option<Picture>,
    spare: Vec<Picture>,
    last_time_ns: Option<u64>,
    submitted: u64,
    dropped: u64,
    join_idr: Option<Instant>,
    loss_idr: Option<Instant>,
    bitrate_bps: u32,
    closed: bool,
}

impl Pipeline {
    pub(crate) fn new(max_fps: f32, bitrate_bps: u32, inserted: InsertedTimes) -> Self {
        Self {
            state: Mutex::new(State { bitrate_bps, ..State::default() }),
            wake: Condvar::new(),
            log: Mutex::new(EncodeLog::default()),
            max_fps,
            inserted,
        }
    }

    /// Takes a picture from the engine. The conversion runs here, on the caller's thread: it
    /// reads every pixel once, which a copy would do as well. Without `watched` only the
    /// arguments are checked.
    pub(crate) fn submit(
        &self,
        rgba: &[u8],
        (width, height): (u32, u32),
        row_pitch: usize,
        time_ns: u64,
        watched: bool,
    ) -> Result<(), StreamError> {
        let spare = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(StreamError::Closed);
            }
            if let Some(last_ns) = state.last_time_ns
                && time_ns <= last_ns
            {
                return Err(StreamError::TimeNotIncreasing { last_ns, given_ns: time_ns });
            }
            crate::picture::check_rgba(rgba, width, height, row_pitch)?;
            state.last_time_ns = Some(time_ns);
            state.submitted += 1;
            if !watched {
                return Ok(());
            }
            state.spare.pop()
        };
        let submitted = Instant::now();
        let mut picture = spare.unwrap_or_else(|| Picture::black(width, height));
        spend(self.inserted.convert);
        picture.fill_from_rgba(rgba, width, height, row_pitch)?;
        picture.convert = submitted.elapsed();
        picture.time_ns = time_ns;
        picture.submitted = submitted;
        let mut state = self.state.lock();
        if let Some(older) = state.waiting.replace(picture) {
            state.dropped += 1;
            state.recycle(older);
        }
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Asks for an IDR. If no picture comes soon the last one is encoded again for it.
    pub(crate) fn request_idr(&self, reason: IdrReason) {
        let mut state = self.state.lock();
        let request = match reason {
            IdrReason::Join => &mut state.join_idr,
            IdrReason::Loss => &mut state.loss_idr,
        };
        request.get_or_insert_with(Instant::now);
        drop(state);
        self.wake.notify_one();
    }

    /// Changes the bitrate from the next picture on.
    pub(crate) fn set_bitrate(&self, bitrate_bps: u32) {
        self.state.lock().bitrate_bps = bitrate_bps;
    }

    /// Ends the encoder thread and refuses pictures from now on.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_all();
    }

    /// Writes what happened here into `stats`.
    pub(crate) fn fill(&self, stats: &mut StreamStats) {
        self.log.lock().fill(Instant::now(), stats);
        let state = self.state.lock();
        stats.submitted = state.submitted;
        stats.dropped = state.dropped;
    }

    /// The encoder thread: runs until [`close`](Self::close), gives each frame to `emit`, and tells where its time went.
    pub(crate) fn run(&self, mut emit: impl FnMut(Arc<Frame>), mut observe: impl FnMut(&PictureTimes)) {
        let mut encoder: Option<Encoder> = None;
        let mut last: Option<Picture> = None;
        let mut last_idr: Option<Instant> = None;
        let mut last_time_ns = 0;
        while let Some(job) = self.next_job(&mut last, last_idr) {
            let Some(picture) = &last else { continue };
            // A repeated picture is shown when it is repeated; time never goes back for it.
            let mut time_ns = picture.time_ns;
            if job.repeat {
                time_ns += picture.submitted.elapsed().as_nanos() as u64;
            }
            time_ns = time_ns.max(last_time_ns + 1);
            spend(self.inserted.wait);
            let started = Instant::now();
            match self.encode(&mut encoder, picture, time_ns, job) {
                Ok((frame, bytes, encoded)) => {
                    last_time_ns = time_ns;
                    let idr = frame.idr;
                    if idr {
                        last_idr = Some(started);
                    }
                    emit(Arc::new(frame));
                    let now = Instant::now();
                    let times = PictureTimes {
                        time_ns: picture.time_ns,
                        submitted: picture.submitted,
                        convert: picture.convert,
                        wait: (started - picture.submitted).saturating_sub(picture.convert),
                        encode: encoded - started,
                        packetise: now - encoded,
                    };
                    if !job.repeat {
                        observe(&times);
                    }
                    self.log.lock().note(now, &times, bytes, (idr, job.repeat));
                }
                Err(error) => {
                    // A new encoder begins with an IDR, so nobody is left behind.
                    tracing::error!(%error, "a picture was not encoded; the next gets a new encoder");
                    encoder = None;
                }
            }
        }
    }

    /// Encodes one picture, with a new encoder if there is none of its size, and cuts it into payloads; gives back its bytes as well, and
    /// when it was encoded.
    fn encode(
        &self,
        encoder: &mut Option<Encoder>,
        picture: &Picture,
        time_ns: u64,
        job: Job,
    ) -> Result<(Frame, usize, Instant), StreamError> {
        let settings = EncoderSettings {
            width: picture.width(),
            height: picture.height(),
            max_fps: self.max_fps,
            bitrate_bps: job.bitrate_bps,
        };
        let fits = encoder.as_ref().is_some_and(|encoder| {
            let old = encoder.settings();
            (old.width, old.height) == (settings.width, settings.height)
        });
        if !fits {
            *encoder = None;
        }
        let encoder = match encoder {
            Some(encoder) => encoder,
            None => encoder.insert(Encoder::new(settings)?),
        };
        if encoder.settings().bitrate_bps != job.bitrate_bps {
            encoder.set_bitrate(job.bitrate_bps)?;
        }
        if job.idr {
            encoder.request_idr();
        }
        spend(self.inserted.encode);
        let encoded = encoder.encode(picture, time_ns / 1_000_000)?;
        let at = Instant::now();
        spend(self.inserted.packetise);
        Ok((Frame::new(&encoded, time_ns)?, encoded.annex_b.len(), at))
    }

    /// Waits for work. The picture to encode is in `last` afterwards; `None` ends the thread.
    fn next_job(&self, last: &mut Option<Picture>, last_idr: Option<Instant>) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(picture) = state.waiting.take() {
                if let Some(older) = last.replace(picture) {
                    state.recycle(older);
                }
                let idr = state.idr_due(last_idr).is_some_and(|due| due <= Instant::now());
                return Some(state.job(idr, false));
            }
            // An IDR waits for the next picture for one and a half frames, then for none.
            let patience = Duration::from_secs_f32(1.5 / self.max_fps);
            match state.idr_due(last_idr).filter(|_| last.is_some()) {
                Some(due) if due + patience <= Instant::now() => {
                    return Some(state.job(true, true));
                }
                Some(due) => {
                    self.wake.wait_until(&mut state, due + patience);
                }
                None => self.wake.wait(&mut state),
            }
        }
    }
}

impl State {
    fn recycle(&mut self, picture: Picture) {
        if self.spare.len() < SPARE_PICTURES {
            self.spare.push(picture);
        }
    }

    /// When the earliest wanted IDR may be sent.
    fn idr_due(&self, last_idr: Option<Instant>) -> Option<Instant> {
        let after =
            |request: Option<Instant>, gap| request.map(|at| last_idr.map_or(at, |last: Instant| at.max(last + gap)));
        let join = after(self.join_idr, JOIN_IDR_GAP);
        let loss = after(self.loss_idr, LOSS_IDR_GAP);
        join.into_iter().chain(loss).min()
    }

    fn job(&mut self, idr: bool, repeat: bool) -> Job {
        if idr {
            self.join_idr = None;
            self.loss_idr = None;
        }
        Job { idr, repeat, bitrate_bps: self.bitrate_bps }
    }
}

/// What to do with the picture.
#[derive(Clone, Copy, Debug)]
struct Job {
    idr: bool,
    repeat: bool,
    bitrate_bps: u32,
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    #[cfg(feature = "h264")]
    use crate::times::PICTURE_STAGES;
    use std::sync::mpsc;

    const SIZE: (u32, u32) = (64, 48);

    /// A pipeline with its thread, and what it emits.
    struct Running {
        pipeline: Arc<Pipeline>,
        #[cfg_attr(not(feature = "h264"), expect(dead_code, reason = "no encoder, no frames"))]
        frames: mpsc::Receiver<Arc<Frame>>,
        /// Where their time went.
        #[cfg_attr(not(feature = "h264"), expect(dead_code, reason = "no encoder, no frames"))]
        times: mpsc::Receiver<PictureTimes>,
        thread: Option<std::thread::JoinHandle<()>>,
    }

    impl Running {
        fn start() -> Self {
            Self::spending(InsertedTimes::default())
        }

        fn spending(inserted: InsertedTimes) -> Self {
            let pipeline = Arc::new(Pipeline::new(30.0, 500_000, inserted));
            let ((send, frames), (tell, times)) = (mpsc::channel(), mpsc::channel());
            let thread = {
                let pipeline = Arc::clone(&pipeline);
                let emit = move |frame| send.send(frame).unwrap();
                std::thread::spawn(move || pipeline.run(emit, |times: &PictureTimes| tell.send(*times).unwrap()))
            };
            Self { pipeline, frames, times, thread: Some(thread) }
        }

        fn submit(&self, (width, height): (u32, u32), time_ns: u64) -> Result<(), StreamError> {
            let rgba = vec![90; width as usize * height as usize * 4];
            self.pipeline.submit(&rgba, (width, height), width as usize * 4, time_ns, true)
        }

        #[cfg(feature = "h264")]
        fn frame(&self) -> Arc<Frame> {
            self.frames.recv_timeout(Duration::from_secs(20)).expect("a frame comes")
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.pipeline.close();
            self.thread.take().unwrap().join().unwrap();
        }
    }

    #[cfg(feature = "h264")]
    #[test]
    fn a_joining_viewer_gets_an_idr_though_no_new_picture_comes() {
        let running = Running::start();
        running.submit(SIZE, 1_000_000_000).unwrap();
        assert!(running.frame().idr);
        running.submit(SIZE, 2_000_000_000).unwrap();
        let second = running.frame();
        assert!(!second.idr);
        running.pipeline.request_idr(IdrReason::Join);
        let repeated = running.frame();
        assert!(repeated.idr);
        assert!(repeated.rtp_time.wrapping_sub(second.rtp_time) as i32 > 0);
    }

    #[cfg(feature = "h264")]
    #[test]
    fn time_that_is_spent_in_a_stage_is_told_there_and_nowhere_else() {
        const INSERTED: Duration = Duration::from_millis(20);
        for (place, (stage, _)) in PICTURE_STAGES.iter().enumerate() {
            let spent = |at: usize| if at == place { INSERTED } else { Duration::ZERO };
            let inserted = InsertedTimes { convert: spent(0), wait: spent(1), encode: spent(2), packetise: spent(3) };
            let running = Running::spending(inserted);
            let mut least = [Duration::MAX; PICTURE_STAGES.len()];
            for time_ns in 1..=12 {
                let before = Instant::now();
                running.submit(SIZE, time_ns).unwrap();
                running.frame();
                let times = running.times.recv_timeout(Duration::from_secs(20)).expect("it is told after the frame");
                assert_eq!(times.time_ns, time_ns);
                assert!(times.submitted >= before);
                for (least, (_, of)) in least.iter_mut().zip(PICTURE_STAGES) {
                    *least = of(&times).min(*least);
                }
            }
            for (other, time) in least.iter().enumerate() {
                assert_eq!(*time >= INSERTED / 2, other == place, "{stage}: {time:?} in {}", PICTURE_STAGES[other].0);
            }
        }
    }

    #[cfg(feature = "h264")]
    #[test]
    fn a_new_size_starts_with_an_idr() {
        let running = Running::start();
        running.submit(SIZE, 1).unwrap();
        assert!(running.frame().idr);
        running.submit((80, 64), 2).unwrap();
        assert!(running.frame().idr);
    }

    #[test]
    fn pictures_out_of_order_and_after_the_end_are_refused() {
        let running = Running::start();
        running.submit(SIZE, 5).unwrap();
        let error = running.submit(SIZE, 5).unwrap_err();
        assert!(matches!(error, StreamError::TimeNotIncreasing { last_ns: 5, given_ns: 5 }));
        running.pipeline.close();
        assert!(matches!(running.submit(SIZE, 6), Err(StreamError::Closed)));
    }

    #[test]
    fn the_newest_picture_wins_and_the_rest_are_counted() {
        // No thread: nothing takes the pictures.
        let pipeline = Pipeline::new(30.0, 500_000, InsertedTimes::default());
        let rgba = vec![0; 64 * 48 * 4];
        for time_ns in 1..=4 {
            pipeline.submit(&rgba, SIZE, 256, time_ns, true).unwrap();
        }
        let mut stats = StreamStats::default();
        pipeline.fill(&mut stats);
        assert_eq!((stats.submitted, stats.dropped), (4, 3));
        assert_eq!(pipeline.state.lock().waiting.as_ref().unwrap().time_ns, 4);
    }

    #[test]
    fn nobody_watching_means_no_work_but_the_same_errors() {
        let pipeline = Pipeline::new(30.0, 500_000, InsertedTimes::default());
        pipeline.submit(&[0; 64 * 48 * 4], SIZE, 256, 1, false).unwrap();
        assert!(pipeline.state.lock().waiting.is_none());
        assert!(pipeline.submit(&[0; 16], SIZE, 256, 2, false).is_err());
    }

    #[test]
    fn loss_waits_for_its_gap_and_a_join_goes_first() {
        let now = Instant::now();
        let state = State { loss_idr: Some(now), ..State::default() };
        assert_eq!(state.idr_due(None), Some(now));
        assert_eq!(state.idr_due(Some(now)), Some(now + LOSS_IDR_GAP));
        let both = State { join_idr: Some(now), ..state };
        assert_eq!(both.idr_due(Some(now)), Some(now + JOIN_IDR_GAP));
    }
}

/// An IDR's patience is of the real clock: a schedule in which one is repeated need not fail again when it is replayed.
#[cfg(all(test, feature = "shuttle"))]
mod schedules {
    use super::*;
    use rayloom_sync::try_schedules;
    use shuttle::thread;

    const SIZE: (u32, u32) = (16, 16);

    fn pipeline() -> Arc<Pipeline> {
        Arc::new(Pipeline::new(30.0, 500_000, InsertedTimes::default()))
    }

    fn submit(pipeline: &Pipeline, time_ns: u64) -> Result<(), StreamError> {
        pipeline.submit(&[90; 16 * 16 * 4], SIZE, 16 * 4, time_ns, true)
    }

    #[test]
    fn the_newest_picture_reaches_the_encoder_and_none_goes_there_twice() {
        try_schedules(|| {
            let pipeline = pipeline();
            let encoder = {
                let pipeline = Arc::clone(&pipeline);
                thread::spawn(move || {
                    let (mut last, mut times) = (None, Vec::new());
                    while times.last() != Some(&3) {
                        let job = pipeline.next_job(&mut last, None).expect("nobody ends it");
                        if !job.repeat {
                            times.push(last.as_ref().expect("the job's picture").time_ns);
                        }
                    }
                    times
                })
            };
            let viewer = {
                let pipeline = Arc::clone(&pipeline);
                thread::spawn(move || pipeline.request_idr(IdrReason::Join))
            };
            (1..4).for_each(|time_ns| submit(&pipeline, time_ns).unwrap());
            viewer.join().unwrap();
            let times = encoder.join().unwrap();
            let mut stats = StreamStats::default();
            pipeline.fill(&mut stats);
            assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
            assert_eq!(times.len() as u64 + stats.dropped, 3);
        });
    }

    #[test]
    fn the_encoder_hears_of_the_end() {
        try_schedules(|| {
            let pipeline = pipeline();
            let encoder = {
                let pipeline = Arc::clone(&pipeline);
                thread::spawn(move || {
                    let mut last = None;
                    while pipeline.next_job(&mut last, None).is_some() {}
                })
            };
            let engine = {
                let pipeline = Arc::clone(&pipeline);
                thread::spawn(move || (1..3).map(|time_ns| submit(&pipeline, time_ns).is_ok()).collect::<Vec<_>>())
            };
            pipeline.request_idr(IdrReason::Loss);
            pipeline.close();
            encoder.join().unwrap();
            let taken = engine.join().unwrap();
            assert!(!(taken[1] && !taken[0]), "none is taken after one was refused");
        });
    }
}
