//! A view that asks for trusted peers gets no others, and says so; one whose frames would be late is asked for less.

use crate::embedded::{PATIENCE, SIZE, event, first_fresh, session, square, view_desc};
use crate::served::Served;
use glam::Vec3;
use rayloom::scene::Camera;
use rayloom::{
    EMBEDDED_PEER, Embedded, Event, FrameDesc, LayerDesc, Lowering, PeerAddress, PeerConstraints, Session, SessionDesc,
    ViewDesc,
};
use std::time::{Duration, Instant};

fn camera() -> Camera {
    Camera::with_fov(0.9, SIZE.width as f32 / SIZE.height as f32)
}

#[test]
fn a_view_for_trusted_peers_is_traced_by_nobody_else() {
    let served = Served::start();
    let trusting = |is_trusted| {
        let peers = vec![PeerAddress { is_trusted, ..served.address() }];
        let session = Session::new(SessionDesc { peers, embedded: Embedded::Never, ..SessionDesc::default() }).unwrap();
        let scene = session.create_scene();
        scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
        let revision = scene.commit().unwrap();
        event(&session, |event| matches!(event, Event::SceneReady { .. }).then_some(()));
        let constraints = PeerConstraints { trusted: true, ..PeerConstraints::default() };
        let view = session.create_view(ViewDesc { constraints, ..view_desc((1, 1)) }).unwrap();
        (session, scene, view, revision)
    };
    let (session, _scene, view, revision) = trusting(false);
    for frame_id in 0..3 {
        view.begin_frame(FrameDesc::new(frame_id, revision, camera())).unwrap();
        let output = view.acquire(frame_id, PATIENCE).unwrap();
        assert_eq!((output.fresh, output.tiles.len()), (0.0, 0));
    }
    let mut told = Vec::new();
    while let Some(event) = session.poll_event() {
        told.extend(matches!(event, Event::Untraceable { .. }).then(|| event.to_string()));
    }
    assert!(told.len() == 1 && told[0].contains("a trusted peer"), "{told:?}");
    let (_session, _scene, view, revision) = trusting(true);
    assert_eq!(first_fresh(&view, revision, 0).fresh, 1.0);
}

#[test]
fn assets_for_trusted_peers_go_to_nobody_else() {
    let (stranger, friend) = (Served::start(), Served::start());
    let peers = vec![stranger.address(), PeerAddress { is_trusted: true, ..friend.address() }];
    let session = Session::new(SessionDesc { peers, embedded: Embedded::Never, ..SessionDesc::default() }).unwrap();
    // Views ask for nothing: that a peer was never offered the scene is enough.
    let view = session.create_view(view_desc((1, 1))).unwrap();
    let uploaded = |peer: u32| view.stats().peers.iter().find(|of| of.peer == peer).map(|of| of.bytes_uploaded);
    let open = session.create_scene();
    open.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let revision = open.commit().unwrap();
    // Both are there, and hold what everybody may.
    for _ in 0..2 {
        event(&session, |event| matches!(event, Event::SceneReady { .. }).then_some(()));
    }
    first_fresh(&view, revision, 0);
    let before = uploaded(0);
    assert!(before.is_some_and(|bytes| bytes > 0), "{before:?}");
    let secret = session.create_scene_for(PeerConstraints { trusted: true, ..PeerConstraints::default() });
    secret.replace(square(Vec3::new(0.0, 0.5, -2.0))).unwrap();
    let revision = secret.commit().unwrap();
    let (mut told, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (peer, cause) = event(&session, |event| match event {
            Event::SceneFailed { revision: of, peer, cause } if of == revision => Some((peer, Some(cause))),
            Event::SceneReady { revision: of, peer } if of == revision => Some((peer, None)),
            _ => None,
        });
        match cause {
            Some(cause) => told.push((peer, cause)),
            None => ready.push(peer),
        }
    }
    assert!(told.len() == 1 && told[0].0 == 0 && told[0].1.contains("a trusted peer"), "{told:?}");
    assert_eq!(ready, [1]);
    let output = first_fresh(&view, revision, 1000);
    assert!(output.tiles.iter().all(|tile| tile.peer == 1), "{:?}", output.tiles);
    assert_eq!(uploaded(0), before, "nothing of it went to the other one");
}

#[test]
fn the_embedded_peer_steps_in_for_peers_that_may_not_trace() {
    let served = Served::start();
    let (session, _scene, revision) = served.with_standby();
    let constraints = PeerConstraints { trusted: true, ..PeerConstraints::default() };
    let view = session.create_view(ViewDesc { constraints, ..view_desc((1, 1)) }).unwrap();
    let output = first_fresh(&view, revision, 0);
    assert!(output.tiles.iter().all(|tile| tile.peer == EMBEDDED_PEER), "{:?}", output.tiles);
}

#[test]
fn less_is_traced_where_a_frame_would_be_late_and_its_output_says_so() {
    let session = session();
    let scene = session.create_scene();
    scene.replace(square(Vec3::new(0.0, 0.0, -2.0))).unwrap();
    let revision = scene.commit().unwrap();
    let layers = |deadline| {
        let mut layers = view_desc((1, 1)).layers;
        layers.iter_mut().for_each(|layer: &mut LayerDesc| {
            layer.request.samples = 8;
            layer.deadline = deadline;
        });
        layers
    };
    let view = session.create_view(ViewDesc { lowering: Lowering::SamplesAndResolution, ..view_desc((1, 1)) }).unwrap();
    let begin = |frame_id: u64, deadline: Duration| {
        let desc = FrameDesc { layers: layers(deadline), ..FrameDesc::new(frame_id, revision, camera()) };
        view.begin_frame(desc).unwrap();
        view.acquire(frame_id, PATIENCE).unwrap()
    };
    let (give_up, mut frame_id) = (Instant::now() + PATIENCE, 0);
    // Enough time: as asked for, whatever the machine.
    while begin(frame_id, Duration::from_secs(60)).fresh < 1.0 || frame_id < 12 {
        assert!(Instant::now() < give_up, "no fresh frame");
        frame_id += 1;
    }
    frame_id += 1;
    let whole = begin(frame_id, Duration::from_secs(60));
    assert_eq!(whole.lowered, 0);
    assert!(whole.traced.len() == 4 && whole.traced.iter().all(|layer| layer.samples == 8), "{:?}", whole.traced);
    // No machine traces so much in a millisecond.
    frame_id += 1;
    let lowered = begin(frame_id, Duration::from_millis(1));
    assert!(lowered.lowered > 0 && lowered.traced.iter().all(|layer| layer.samples < 8), "{:?}", lowered.traced);
    assert!(view.stats().lowered_frames > 0);
}
