//! Four processes with odd tile borders give the same bits as one process that traces the frame in one piece: layers,
//! also those at half resolution, filtered, and what the primary rays hit, while things and lights move.

use crate::engine::{Engine, city, peers_of, view_desc};
use crate::fleet::Fleet;
use rayloom::frame::{Extent, Rect};
use rayloom::{Output, ViewDesc};
use std::sync::Arc;
use std::time::Duration;

/// Odd, so that halves and tiles don't divide it.
const SIZE: Extent = Extent::new(203, 117);
const FILTER_RADIUS: u8 = 4;
/// The first frame that is compared; both engines have long been warm.
const FIRST_FRAME: u64 = 1_000_000;

fn desc(tiles_per_peer: (u32, u32)) -> ViewDesc {
    let mut desc = view_desc(SIZE);
    desc.tiles_per_peer = tiles_per_peer;
    desc.filter_radius = FILTER_RADIUS;
    // Every frame is waited for until it is whole.
    desc.layers.iter_mut().for_each(|layer| layer.deadline = Duration::from_secs(60));
    desc
}

/// Brings everything that moves to where it is at that second, by the frame's state alone.
fn pose(engine: &mut Engine, time_s: f64) {
    let mut scene = engine.scene.read(Clone::clone);
    rayloom::scene::city::pose(&mut scene, time_s);
    let transforms: Vec<_> = (0..).zip(scene.instances.iter().map(|instance| instance.transform)).collect();
    engine.scene.read(|old| {
        let moved = old.instances.iter().zip(&transforms).filter(|(old, (_, new))| old.transform != *new).count();
        assert!(moved > 0, "something moves at {time_s} s");
    });
    engine.scene.set_transforms(&transforms).unwrap();
    for (index, light) in (0..).zip(&scene.lights) {
        engine.scene.set_light(index, *light).unwrap();
    }
    engine.revision = engine.scene.commit().unwrap();
}

fn assert_same_bits(whole: &Output, cut: &Output) {
    let (a, b) = (whole.planes.as_ref().unwrap(), cut.planes.as_ref().unwrap());
    assert_eq!(a.layers.len(), 4);
    for ((kind, a), (_, b)) in a.layers.iter().zip(&b.layers) {
        assert!(a.iter().any(|pixel| pixel[..3] != [0; 3]), "layer {} is not black", kind.name());
        let differing = (0..a.len()).filter(|i| a[*i] != b[*i]).map(|i| (i as u32 % SIZE.width, i as u32 / SIZE.width));
        let differing: Vec<_> = differing.collect();
        assert!(
            differing.is_empty(),
            "layer {}: {} pixels differ: {:?}",
            kind.name(),
            differing.len(),
            &differing[..1]
        );
    }
    assert!(a.primary == b.primary, "what primary rays hit differs");
    assert!(whole.color == cut.color, "the composed pictures differ");
}

fn is_odd(rect: &Rect) -> bool {
    rect.x % 2 == 1 || rect.y % 2 == 1
}

#[test]
fn four_processes_equal_one_untiled_render() {
    let fleet = Fleet::start(4);
    let mut cut = Engine::with(fleet.addresses(), desc((2, 4)), city());
    let mut whole = Engine::with(vec![fleet.peers[3].address()], desc((1, 1)), city());
    cut.whole_frame_by(&[0, 1, 2, 3]);
    assert_eq!(whole.whole_frame_by(&[0]).tiles.len(), 1);

    let mut borders = Vec::new();
    let mut by_all_four = 0;
    for step in 0..100 {
        let outputs: Vec<Arc<Output>> = [&mut whole, &mut cut]
            .into_iter()
            .map(|engine| {
                engine.next_frame_id = FIRST_FRAME + step;
                pose(engine, 0.4 * (step + 1) as f64);
                engine.camera.position.x += 0.05;
                engine.frame()
            })
            .collect();
        let (whole, cut) = (&outputs[0], &outputs[1]);
        assert_eq!((whole.fresh, cut.fresh), (1.0, 1.0), "{:?}", cut.tiles);
        // Before the first one came another frame, and with it the motion of pixels is another.
        if step > 0 {
            assert_same_bits(whole, cut);
            borders.extend(cut.tiles.iter().map(|tile| tile.rect));
            by_all_four += usize::from(peers_of(cut).len() == 4 && cut.tiles.len() >= 8);
        }
        if by_all_four >= 3 && borders.iter().any(is_odd) {
            return;
        }
    }
    panic!("{by_all_four} frames of at least 8 tiles by all four; borders: {borders:?}");
}
