//! Descriptions that make no sense are refused with the value and what to do.

#[cfg(feature = "embedded-peer")]
use rayloom::Denoise;
use rayloom::frame::Extent;
use rayloom::scene::Camera;
use rayloom::{
    Accumulation, Embedded, Error, Event, FrameDesc, PeerAddress, Session, SessionDesc, Verification, ViewDesc,
};
use std::path::PathBuf;
use std::time::Duration;

/// Its only peer is on a port where nobody listens.
fn lonely_desc() -> SessionDesc {
    let peers = vec![PeerAddress { url: "http://127.0.0.1:9".into(), ..PeerAddress::default() }];
    SessionDesc { peers, embedded: Embedded::Never, ..SessionDesc::default() }
}

fn lonely() -> Session {
    Session::new(lonely_desc()).unwrap()
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
fn limits_are_told_as_they_are() {
    let session = lonely();
    let mut view = ViewDesc::new(Extent::new(64, 36));
    view.layers.truncate(1);
    for (deadline, shown) in
        [(Duration::from_nanos(999_999), "999.999µs"), (Duration::from_nanos(60_000_000_001), "60.000000001s")]
    {
        view.layers[0].deadline = deadline;
        let wanted = format!("deadline of layer direct is {shown}, allowed is 1ms to 60s");
        assert_eq!(text(session.create_view(view.clone())), wanted);
    }
    view.layers[0].deadline = Duration::from_secs(60);
    let ahead = ViewDesc { frames_ahead: 1, accumulation: Accumulation::Off, ..view.clone() };
    let refused = text(session.create_view(ahead));
    assert!(refused.contains("Accumulation::Frames, in C accumulation_frames above 0"), "{refused}");
    let (scene, view) = (session.create_scene(), session.create_view(view).unwrap());
    let frame = FrameDesc::new(u64::MAX, scene.commit().unwrap(), Camera::with_fov(1.0, 16.0 / 9.0));
    let wanted = "frame id 18446744073709551615 is too large: ids end at 18446744073709551614";
    assert_eq!(text(view.begin_frame(frame.clone())), wanted);
    view.begin_frame(FrameDesc { frame_id: u64::MAX - 1, ..frame }).unwrap();
}

#[test]
fn addresses_that_can_never_work_are_refused_at_once() {
    for (url, words) in [
        ("ftp://127.0.0.1:4700", "neither https nor http"),
        ("127.0.0.1:4700", "no scheme"),
        ("https://peer.example:4700?a=b", "a query"),
        ("https://me@peer.example:4700", "a user name"),
        ("http://127.0.0.1:4700#sha256:00", "a pin is given apart"),
        ("https://127.0.0.1:0", "a port is 1 to 65535"),
        ("http://10.0.0.1:4700", "plain http beyond loopback"),
    ] {
        let good = PeerAddress { url: "https://peer.example:4700".into(), ..PeerAddress::default() };
        let peers = vec![good, PeerAddress { url: url.into(), ..PeerAddress::default() }];
        let refused = text(Session::new(SessionDesc { peers, ..lonely_desc() }));
        let says = refused.starts_with("peer 1: ") && refused.contains(url) && refused.contains(words);
        assert!(says && refused.contains("write"), "{refused}");
    }
}

/// In a library's words, not in those of a peer's operator.
#[cfg(feature = "embedded-peer")]
#[test]
fn a_filter_on_a_cpu_names_the_field_that_allows_it() {
    let session = Session::new(SessionDesc { embedded_device: Some("llvmpipe".into()), ..lonely_desc() }).unwrap();
    let view = ViewDesc { denoise: Denoise::Gpu, ..ViewDesc::new(Extent::new(64, 36)) };
    let refused = text(session.create_view(view));
    assert!(refused.contains("embedded_allow_cpu") && refused.contains("Denoise::Cpu"), "{refused}");
    assert!(!refused.contains("--allow-cpu"), "{refused}");
}

#[test]
fn frames_without_any_peer_come_at_their_deadline_and_never_too_many() {
    let session = lonely();
    let scene = session.create_scene();
    scene.commit().unwrap();
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
fn revisions_go_with_their_scene_and_frames_of_them_end() {
    let session = lonely();
    let (scene, other) = (session.create_scene(), session.create_scene());
    let revision = scene.commit().unwrap();
    other.commit().unwrap();
    let view = session.create_view(ViewDesc::new(Extent::new(64, 36))).unwrap();
    let frame = |frame_id, revision| FrameDesc::new(frame_id, revision, Camera::with_fov(1.0, 16.0 / 9.0));
    view.begin_frame(frame(1, revision)).unwrap();
    let raster = session.create_view(ViewDesc { gbuffer: true, ..ViewDesc::new(Extent::new(64, 36)) }).unwrap();
    let open = raster.open_frame(frame(1, revision)).unwrap();
    drop(scene);
    let refused = "revision 1 went with its scene, which was destroyed: name one of a scene that is there";
    assert_eq!(text(open.submit(Vec::new())), refused, "it was opened before");
    drop(open);
    assert_eq!(text(view.begin_frame(frame(2, revision))), refused);
    assert_eq!(view.acquire(1, Duration::from_secs(20)).unwrap().frame_id, 1, "it was in flight");
    view.begin_frame(frame(3, 2)).unwrap();
    assert_eq!(view.acquire(3, Duration::from_secs(20)).unwrap().frame_id, 3);
}

/// What proves that a peer lied comes when nobody can choose another place for it.
#[test]
fn a_place_for_evidence_that_can_t_be_written_to_is_refused() {
    let scratch = std::env::temp_dir().join(format!("rayloom-evidence-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let file = scratch.join("file");
    std::fs::write(&file, "there").unwrap();
    let create = |folder: PathBuf| {
        let verification = Verification { evidence: Some(folder), ..Verification::default() };
        Session::new(SessionDesc { verification, ..lonely_desc() })
    };
    let mut bad = vec![PathBuf::new(), file.clone(), file.join("below")];
    if cfg!(target_os = "linux") {
        bad.extend(["/proc/nope", "/dev/full", "/proc"].map(PathBuf::from));
    }
    for folder in bad {
        let refused = text(create(folder.clone()));
        let begins = format!("the evidence's folder {folder:?} can't be written to: ");
        assert!(refused.starts_with(&begins) && refused.ends_with("; name a folder that can"), "{refused}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"there");
    let made = scratch.join("a/b");
    drop(create(made.clone()).unwrap());
    assert_eq!(std::fs::read_dir(&made).unwrap().count(), 0, "what was tried is gone");
    std::fs::remove_dir_all(&scratch).unwrap();
}

#[test]
fn paths_that_can_t_be_used_are_quoted() {
    let timeline = SessionDesc { timeline: Some(PathBuf::new()), ..lonely_desc() };
    assert!(text(Session::new(timeline)).starts_with("the timeline \"\" can't be made: "));
    let capture = SessionDesc { capture: Some(PathBuf::new()), ..lonely_desc() };
    assert!(text(Session::new(capture)).starts_with("the capture \"\" can't be written: "));
}

#[cfg(target_os = "linux")]
#[test]
fn a_timeline_that_ends_early_is_an_event_and_frames_go_on() {
    let session = Session::new(SessionDesc { timeline: Some("/dev/full".into()), ..lonely_desc() }).unwrap();
    let scene = session.create_scene();
    let revision = scene.commit().unwrap();
    let view = session.create_view(ViewDesc::new(Extent::new(16, 16))).unwrap();
    let mut told = Vec::new();
    for frame_id in 0..10_000 {
        view.begin_frame(FrameDesc::new(frame_id, revision, Camera::with_fov(1.0, 1.0))).unwrap();
        view.acquire(frame_id, Duration::from_secs(20)).unwrap();
        told.extend(std::iter::from_fn(|| session.poll_event()).filter(|e| matches!(e, Event::TimelineFailed { .. })));
        if !told.is_empty() {
            break;
        }
    }
    let text = told[0].to_string();
    assert!(text.starts_with("the timeline in /dev/full ends here: No space left on device"), "{text}");
    drop(view);
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn an_unreachable_peer_is_an_event_that_names_it() {
    let session = lonely();
    let scene = session.create_scene();
    scene.commit().unwrap();
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
