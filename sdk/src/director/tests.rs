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
        let (desc, shared) = (ViewDesc::new(Extent::new(64, 64)), Arc::<ViewShared>::default());
        let merge = MergeThread::new(MergeDesc {
            view: id,
            desc: desc.clone(),
            filters,
            threads: MergeThreads { count: 1 },
            clock: self.desc.clock,
            is_recorded: self.desc.recorder.is_some(),
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
    assert_eq!(slow.stats().frames, 2, "the first and the last");
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

/// A peer that holds revision 1: its end of the link, and what keeps the director's open.
fn with_peer(director: &mut Director, peer: PeerId) -> (Connection, Events) {
    let (ours, theirs) = loopback();
    let connected =
        PeerEvent::Connected { link: ours.link, description: String::new(), info: crate::fleet::info_of_a_test() };
    director.handle(Command::Peer(peer, connected));
    let packed = rayloom_scene::assets::pack(&Scene::default());
    director.handle(Command::Revision { scene: 1, revision: 1, base: 1, delta: Arc::default() });
    director.handle(Command::Base(BaseRevision { scene: 1, revision: 1, packed, needs: Constraints::default() }));
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

/// Planes are the most that a frame holds: sixteen frames that are out must not hold theirs.
#[tokio::test]
async fn the_planes_of_a_frame_that_is_out_are_let_go_unless_something_of_it_is_awaited() {
    let mut director = director();
    let peer = PeerId(0);
    let _link = with_peer(&mut director, peer);
    let view = director.create_view(0, Filters::Off);
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
    let planes = Arc::new(GBuffer { extent, primary, geometric_normal, emissive, depth_error: 0.0 });
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
