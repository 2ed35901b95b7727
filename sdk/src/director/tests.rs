//! The director alone: views, links and scenes, without a session around them.

use super::*;
use crate::denoise::{Filters, Gate};
use crate::merge_thread::MergeDesc;
use crate::workers::MergeThreads;
use rayloom_coordinator::Constraints;
use rayloom_frame::Extent;
use rayloom_scene::{Camera, Scene};
use rayloom_transport::{Connection, Events, LinkEvent, loopback};
use rayloom_wire::Message;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn director() -> Director {
    let (offers, _) = watch::channel(Vec::new());
    Director::new(DirectorDesc {
        clock: Clock::new(),
        network: Handle::current(),
        embedded: Embedded::Never,
        trusted: BTreeSet::new(),
        lossless: false,
        made: Arc::default(),
        blobs: Arc::default(),
        offers,
        events: Arc::default(),
        progress: Arc::default(),
        recorder: None,
        timeline: None,
        inserted: StageTimes::default(),
        verification: Verification::default(),
        verified: Arc::default(),
    })
}

impl Director {
    fn create_view(&mut self, id: u16, filters: Filters) -> Arc<ViewShared> {
        self.create_view_of(id, ViewDesc::new(Extent::new(64, 64)), filters)
    }

    fn create_view_of(&mut self, id: u16, desc: ViewDesc, filters: Filters) -> Arc<ViewShared> {
        let shared = Arc::<ViewShared>::default();
        let merge = MergeThread::new(MergeDesc {
            view: id,
            desc: desc.clone(),
            filters,
            threads: MergeThreads { count: 1 },
            clock: self.desc.clock,
            is_recorded: self.desc.recorder.is_some(),
            fills: self.desc.embedded != Embedded::Never && desc.fill_budget > Duration::ZERO,
            inserted: StageTimes::default(),
            news: Arc::clone(&self.desc.made),
        });
        self.handle(Command::CreateView { id, desc, merge: merge.unwrap(), shared: Arc::clone(&shared) });
        shared
    }

    fn begin_frame(&mut self, view: u16, frame_id: u64, revision: u64) {
        self.begin_frame_with(view, frame_id, revision, None);
    }

    fn begin_frame_with(&mut self, view: u16, frame_id: u64, revision: u64, planes: Option<Arc<GBuffer>>) {
        let desc = FrameDesc::new(frame_id, revision, Camera::with_fov(1.0, 1.0));
        if let Some(view) = self.views.get(&view) {
            view.shared.in_flight.fetch_add(1, Ordering::AcqRel);
        }
        self.handle(Command::BeginFrame { view, desc, begun_ns: 0, planes, starts: None });
    }
}

#[tokio::test]
async fn a_view_whose_filter_takes_long_holds_up_no_other() {
    let gate = Gate::default();
    let mut director = director();
    let slow = director.create_view(0, Filters::Gated(gate.clone()));
    let quick = director.create_view(1, Filters::Off);
    director.begin_frame(0, 1, 1);
    gate.wait_for_a_filter();
    for frame_id in 1..=3 {
        director.begin_frame(1, frame_id, 1);
    }
    while quick.in_flight.load(Ordering::Acquire) > 0 {
        director.desc.made.notified().await;
        assert!(director.publish_finished().is_ok());
    }
    assert_eq!(quick.outputs.acquire(0, Duration::ZERO).unwrap().frame_id, 3);
    assert!(slow.outputs.acquire(0, Duration::ZERO).is_err(), "its filter stands before the gate");
    // Of the frames that come meanwhile only the newest is worth a filter.
    for frame_id in 2..=4 {
        director.begin_frame(0, frame_id, 1);
    }
    gate.open();
    while slow.in_flight.load(Ordering::Acquire) > 0 {
        director.desc.made.notified().await;
        assert!(director.publish_finished().is_ok());
    }
    assert_eq!(slow.outputs.acquire(0, Duration::ZERO).unwrap().frame_id, 4);
    assert_eq!(slow.stats(0).frames, 2, "the first and the last");
    assert_eq!(quick.in_flight.load(Ordering::Acquire), 0);
}

#[tokio::test]
async fn what_a_destroyed_view_had_begun_is_recorded_and_not_shown() {
    let gate = Gate::default();
    let mut director = director();
    let (records, recorded) = std::sync::mpsc::channel();
    director.desc.recorder = Some(Recorder::Comparison(records));
    let view = director.create_view(0, Filters::Gated(gate.clone()));
    for frame_id in 1..=3 {
        director.begin_frame(0, frame_id, 1);
    }
    gate.wait_for_a_filter();
    director.handle(Command::DestroyView { id: 0 });
    gate.open();
    director.end();
    let frames: Vec<u64> = recorded.try_iter().map(|made| made.frame_id).collect();
    assert_eq!(frames, [1, 2, 3]);
    assert!(view.outputs.acquire(0, Duration::MAX).is_err());
}

/// A scene, and a peer that holds it as revision 1: its end of the link, and what keeps the director's open.
fn with_peer(director: &mut Director, peer: PeerId) -> (Connection, Events) {
    let packed = rayloom_scene::assets::pack(&Scene::default());
    director.handle(Command::Revision { scene: 1, revision: 1, base: 1, delta: Arc::default() });
    director.handle(Command::Base(BaseRevision { scene: 1, revision: 1, packed, needs: Constraints::default() }));
    with_another_peer(director, peer)
}

/// One more peer that holds it.
fn with_another_peer(director: &mut Director, peer: PeerId) -> (Connection, Events) {
    let (ours, theirs) = loopback();
    let connected =
        PeerEvent::Connected { link: ours.link, description: String::new(), info: crate::fleet::info_of_a_test() };
    director.handle(Command::Peer(peer, connected));
    let status = SceneStatus { scene: 1, revision: 1, stage: SceneStage::Ready };
    director.handle(Command::Peer(peer, PeerEvent::Scene(status)));
    (theirs, ours.events)
}

#[tokio::test]
async fn who_may_not_have_a_scene_is_not_believed_to_hold_it() {
    let mut director = director();
    let (_theirs, _events) = with_peer(&mut director, PeerId(0));
    let packed = rayloom_scene::assets::pack(&Scene::default());
    director.handle(Command::Revision { scene: 2, revision: 2, base: 2, delta: Arc::default() });
    let needs = Constraints { trusted: true, ..Constraints::default() };
    director.handle(Command::Base(BaseRevision { scene: 2, revision: 2, packed: packed.clone(), needs }));
    let says = |stage| PeerEvent::Scene(SceneStatus { scene: 2, revision: 2, stage });
    director.handle(Command::Peer(PeerId(0), says(SceneStage::Ready)));
    assert!(director.revisions.held_by(PeerId(0)) == [(1, 1)], "{:?}", director.revisions.held_by(PeerId(0)));
    let told: Vec<Event> = std::iter::from_fn(|| director.desc.events.poll()).collect();
    let is_withheld = |event: &Event| matches!(event, Event::SceneFailed { revision: 2, peer: 0, .. });
    assert!(told.iter().filter(|event| is_withheld(event)).count() == 1, "{told:?}");
    assert!(!told.iter().any(|event| matches!(event, Event::SceneReady { revision: 2, .. })), "{told:?}");
    // Nor does what nobody there may have hold up what they may.
    director.handle(Command::Revision { scene: 2, revision: 3, base: 3, delta: Arc::default() });
    let open = BaseRevision { scene: 2, revision: 3, packed, needs: Constraints::default() };
    director.handle(Command::Base(open));
    assert!(director.revisions.offers().iter().any(|offered| offered.offer.revision == 3));
}

/// The engine's planes of a frame of the tests' size.
fn planes() -> Arc<GBuffer> {
    let extent = Extent::new(64, 64);
    let words = || vec![0; extent.pixels()];
    let primary = rayloom_frame::Primary {
        depth: vec![1.0; extent.pixels()],
        normal: words(),
        base_color: words(),
        material: words(),
        motion: words(),
        instance_id: words(),
    };
    let (geometric_normal, emissive) = (Vec::new(), Vec::new());
    Arc::new(GBuffer { extent, primary, geometric_normal, emissive, depth_error: 0.0 })
}

/// Planes are the most that a frame holds: sixteen frames that are out must not hold theirs.
#[tokio::test]
async fn the_planes_of_a_frame_that_is_out_are_let_go_unless_something_of_it_is_awaited() {
    let mut director = director();
    let peer = PeerId(0);
    let _link = with_peer(&mut director, peer);
    let view = director.create_view(0, Filters::Off);
    let planes = planes();
    let before = Arc::strong_count(&planes);
    director.begin_frame_with(0, 1, 1, Some(Arc::clone(&planes)));
    assert!(Arc::strong_count(&planes) > before, "it is in flight");
    // Its peer is gone, and with it whatever it was asked for: the frame goes out.
    director.handle(Command::Peer(peer, PeerEvent::Lost { cause: "a test".into() }));
    while view.in_flight.load(Ordering::Acquire) > 0 {
        director.desc.made.notified().await;
        assert!(director.publish_finished().is_ok());
    }
    // What sends them ends by itself.
    while Arc::strong_count(&planes) > before {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_destroyed_view_asks_nothing_more_of_its_peers() {
    let mut director = director();
    let (mut theirs, _ours) = with_peer(&mut director, PeerId(0));
    director.create_view(3, Filters::Off);
    director.begin_frame(3, 0, 1);
    director.handle(Command::DestroyView { id: 3 });
    let mut messages = Vec::new();
    for _ in 0..2 {
        match theirs.events.next().await {
            Some(LinkEvent::Message(_, bytes)) => messages.push(Message::decode(bytes).unwrap()),
            other => panic!("{other:?}"),
        }
    }
    let [Message::FrameTasks(tasks), Message::CancelTasks(cancelled)] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(cancelled.ids, tasks.tasks.iter().map(|task| task.id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_paced_view_s_output_is_held_and_its_frame_is_not_in_flight_meanwhile() {
    let mut director = director();
    let desc = ViewDesc { paced: true, ..ViewDesc::new(Extent::new(64, 64)) };
    let view = director.create_view_of(0, desc, Filters::Off);
    // As if a frame had taken an hour.
    let hour_ns = 3_600_000_000_000;
    director.views.get_mut(&0).and_then(|view| view.pacer.as_mut()).unwrap().note(hour_ns);
    director.begin_frame(0, 1, 1);
    finish_frames(&mut director, &view).await;
    assert!(view.outputs.acquire(1, Duration::ZERO).is_err(), "its time has not come");
    assert_eq!(director.due(), Some(Time(hour_ns)), "it was begun when the clock began");
    director.views.get_mut(&0).unwrap().handle_timeout(Time(hour_ns));
    let output = view.outputs.acquire(1, Duration::ZERO).unwrap();
    assert!(output.held_ms > 3.5e6 && view.stats(0).held_ms == output.held_ms, "{} ms", output.held_ms);
    assert_eq!(director.due(), None);
}

/// What a peer traces of a task, of one light: all layers and hits as it was asked for them.
fn answer(director: &mut Director, peer: PeerId, tasks: &rayloom_wire::FrameTasks) {
    use rayloom_frame::PlaneKind;
    use rayloom_frame::codec::{DecodedSlice, SlicePixels};
    let memory = Arc::new(tokio::sync::Semaphore::new(1 << 10));
    for task in &tasks.tasks {
        let layers = tasks.layers.iter().map(|layer| (PlaneKind::Layer(layer.request.kind), layer.request.scale));
        let hits = PlaneKind::PRIMARY.into_iter().map(|plane| (plane, 1));
        let planes: Vec<(PlaneKind, u8)> = layers.chain(hits).collect();
        for (index, (plane, scale)) in (0..).zip(&planes) {
            let rect = task.rect.scaled(u32::from(*scale));
            let pixels = match plane {
                PlaneKind::Layer(_) => SlicePixels::Layer(vec![[0x3c00; 4]; rect.pixels()]),
                PlaneKind::Depth => SlicePixels::Primary(vec![1.0_f32.to_bits(); rect.pixels()]),
                _ => SlicePixels::Primary(vec![0; rect.pixels()]),
            };
            let slice = ArrivedSlice {
                task: task.id,
                index,
                count: planes.len() as u16,
                coded_bytes: 1,
                arrived_ns: director.desc.clock.now_ns(),
                decoded: DecodedSlice { plane: *plane, scale: *scale, rect, pixels },
                _memory: Arc::clone(&memory).try_acquire_owned().unwrap(),
            };
            director.handle(Command::Peer(peer, PeerEvent::Slice(slice)));
        }
        let done = TileDone {
            task: task.id,
            frame_id: tasks.frame_id,
            slices: planes.len() as u16,
            rect: task.rect,
            timings: Default::default(),
            digest: [0; 32],
            block_rays: Vec::new(),
        };
        let arrived_ns = director.desc.clock.now_ns();
        director.handle(Command::Peer(peer, PeerEvent::TileDone { done, arrived_ns }));
    }
}

/// The next tiles that a peer is asked for.
async fn asked(peer: &mut Connection) -> rayloom_wire::FrameTasks {
    loop {
        match tokio::time::timeout(Duration::from_secs(60), peer.events.next()).await.expect("nothing is asked") {
            Some(LinkEvent::Message(_, bytes)) => {
                if let Message::FrameTasks(tasks) = Message::decode(bytes).unwrap() {
                    return tasks;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Lets a view's frames end: at their deadline, where nobody answers.
async fn finish_frames(director: &mut Director, view: &ViewShared) {
    while view.in_flight.load(Ordering::Acquire) > 0 {
        let due = director.due().map(|due| tokio::time::Instant::from_std(director.desc.clock.instant(due)));
        let made = Arc::clone(&director.desc.made);
        tokio::select! {
            () = made.notified() => {
                assert!(director.publish_finished().is_ok());
                director.act();
            }
            () = until(due) => director.handle_timeout(),
        }
    }
}

#[tokio::test]
async fn the_embedded_peer_traces_what_nothing_is_known_of_and_the_next_frame_shows_it() {
    for budget in [Duration::ZERO, Duration::from_secs(1)] {
        let embedded = PeerId(crate::config::EMBEDDED_PEER);
        let mut director = director();
        director.desc.embedded = Embedded::Fallback;
        director.fleet = Fleet::new(Embedded::Fallback, BTreeSet::new(), Handle::current());
        let _remote = with_peer(&mut director, PeerId(0));
        let (mut theirs, _ours) = with_another_peer(&mut director, embedded);
        let desc = ViewDesc { fill_budget: budget, ..ViewDesc::new(Extent::new(64, 64)) };
        let view = director.create_view_of(0, desc, Filters::Off);
        // The other peer answers nothing, and is waited for until the deadline.
        director.begin_frame(0, 1, 1);
        if director.views[&0].is_asked(embedded) {
            // Since it had nothing to do for so long it is tried.
            answer(&mut director, embedded, &asked(&mut theirs).await);
        }
        finish_frames(&mut director, &view).await;
        let first = view.outputs.acquire(1, Duration::ZERO).unwrap();
        let never = first.pixels_by_age.get(255);
        assert_eq!(never, Some(&(64 * 64)), "nothing is known yet: {:?}", first.pixels_by_age);
        if budget.is_zero() {
            assert!(view.stats(0).filled_parts == 0 && !director.views[&0].is_asked(embedded));
            continue;
        }
        let tasks = asked(&mut theirs).await;
        assert_eq!(tasks.tasks.iter().map(|task| task.rect.pixels()).sum::<usize>(), 64 * 64);
        assert_eq!((tasks.frame_id, tasks.primary), (1, true));
        answer(&mut director, embedded, &tasks);
        assert!(!director.views[&0].is_asked(embedded), "it has answered");
        director.begin_frame(0, 2, 1);
        finish_frames(&mut director, &view).await;
        let next = view.outputs.acquire(2, Duration::ZERO).unwrap();
        assert_eq!(next.pixels_by_age, [0, 64 * 64], "all of it is one frame old");
        let stats = view.stats(0);
        assert_eq!((stats.filled_parts, stats.filled_pixels, stats.late_tiles), (1, 64 * 64, 0));
    }
}

#[tokio::test]
async fn a_part_that_is_refused_is_not_waited_for_and_its_planes_are_let_go() {
    let embedded = PeerId(EMBEDDED_PEER);
    let mut director = director();
    director.desc.embedded = Embedded::Fallback;
    director.fleet = Fleet::new(Embedded::Fallback, BTreeSet::new(), Handle::current());
    let _remote = with_peer(&mut director, PeerId(0));
    let (mut theirs, _ours) = with_another_peer(&mut director, embedded);
    let desc = ViewDesc { fill_budget: Duration::from_secs(1), ..ViewDesc::new(Extent::new(64, 64)) };
    let view = director.create_view_of(0, desc, Filters::Off);
    let planes = planes();
    let before = Arc::strong_count(&planes);
    director.begin_frame_with(0, 1, 1, Some(Arc::clone(&planes)));
    if director.views[&0].is_asked(embedded) {
        answer(&mut director, embedded, &asked(&mut theirs).await);
    }
    finish_frames(&mut director, &view).await;
    let tasks = asked(&mut theirs).await;
    for task in &tasks.tasks {
        let (task, lacks, reason) = (task.id, rayloom_wire::TaskRefusal::Other, "a test".into());
        let refused = TaskRefused { task, frame_id: 1, lacks, reason };
        director.handle(Command::Peer(embedded, PeerEvent::TaskRefused(refused)));
    }
    // The other peer's tile is late, and still welcome until it is gone.
    director.handle(Command::Peer(PeerId(0), PeerEvent::Lost { cause: "a test".into() }));
    while Arc::strong_count(&planes) > before {
        tokio::task::yield_now().await;
    }
}
