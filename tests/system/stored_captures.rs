//! A peer that answers with stored captures (for benches) is refused by name; only a session that opted in uses it.

use crate::engine::{Engine, city, session_desc, view_desc};
use crate::fleet::{Peer, fresh_folder};
use rayloom::frame::features::BLOCK_SIZE;
use rayloom::frame::{Extent, LayerKind, LayerPlane, Primary, TracedTile};
use rayloom::{Event, SessionDesc, ViewDesc};
use rayloom_peer::CaptureWriter;
use std::path::Path;

/// Bits of the half float 0.5: no light in the city is that even.
const EVEN: u16 = 0x3800;

/// One capture of a grey wall across the whole view.
fn store(path: &Path, view: &ViewDesc) {
    let rect = view.size.rect();
    let requests: Vec<_> = view.layers.iter().map(|layer| layer.request).collect();
    let layers = requests.iter().map(|request| {
        let rect = rect.scaled(u32::from(request.scale));
        let value = if request.kind == LayerKind::Direct { EVEN } else { 0 };
        let pixels = vec![[value, value, value, 0]; rect.pixels()];
        LayerPlane { kind: request.kind, scale: request.scale, rect, pixels }
    });
    let words = |value| vec![value; rect.pixels()];
    let primary = Primary {
        depth: vec![5.0; rect.pixels()],
        normal: words(0),
        base_color: words(u32::MAX),
        material: words(0),
        motion: words(0),
        instance_id: words(1),
    };
    let block_rays = vec![256; rect.scaled(BLOCK_SIZE).pixels()];
    let tile = TracedTile { rect, layers: layers.collect(), primary: Some(primary), block_rays };
    let mut writer = CaptureWriter::create(path, view.size, &requests, 1).unwrap();
    writer.add(&tile).unwrap();
    writer.finish().unwrap();
}

#[test]
fn only_a_session_that_opted_in_uses_stored_captures() {
    let folder = fresh_folder();
    let file = folder.join("captures.bin");
    let view = view_desc(Extent::new(160, 90));
    store(&file, &view);
    let stored = Peer::start_with(&["--trace", &format!("stored:{}", file.display())]);
    let honest = Peer::start();

    let mut ordinary = Engine::new(vec![stored.address(), honest.address()]);
    ordinary.whole_frame_by(&[1]);
    ordinary.frames_until("the refusal", |engine, _| {
        engine.told(|event| match event {
            Event::PeerUnreachable { peer: 0, cause } => {
                cause.contains(&stored.url) && cause.contains("stored captures")
            }
            _ => false,
        })
    });
    assert!(!ordinary.told(|event| matches!(event, Event::PeerConnected { peer: 0, .. })));
    drop(ordinary);

    let session = SessionDesc { peers: vec![stored.address()], accept_stored_traces: true, ..session_desc() };
    let mut opted_in = Engine::of(session, view, city());
    let output = opted_in.whole_frame_by(&[0]);
    let planes = output.planes.as_ref().unwrap();
    let (_, direct) = planes.layers.iter().find(|(kind, _)| *kind == LayerKind::Direct).unwrap();
    assert!(direct.iter().all(|pixel| pixel[..3] == [EVEN; 3]), "the picture is not the capture");
    std::fs::remove_dir_all(folder).unwrap();
}
