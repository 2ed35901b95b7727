//! Base colours of a tile that is missing are read between pixels, on the same thing only, whether its planes are the last frame's or came late.

use glam::Vec3;
use rayloom_frame::{
    Extent, LayerKind, LayerPlane, LayerRequest, Primary, TracedTile,
    merge::{Added, FrameInputs, MergeMode, Merger, PlannedTile},
    normal::encode_normal,
};
use rayloom_scene::Camera;

const EXTENT: Extent = Extent { width: 40, height: 8 };
const DEPTH: f32 = 4.0;
/// Columns from here on have another colour and material; from `THING` on they are another thing, just as far away.
const EDGE: u32 = 16;
const THING: u32 = 28;
const COLORS: [u32; 3] = [0xff20_4080, 0xffe0_c080, 0xff00_00ff];

/// A wall as it is seen in frame 0.
fn traced() -> TracedTile {
    let columns = |of: fn(u32) -> u32| (0..EXTENT.height).flat_map(move |_| (0..EXTENT.width).map(of)).collect();
    let kind = LayerKind::Direct;
    let pixels = EXTENT.pixels();
    TracedTile {
        rect: EXTENT.rect(),
        layers: vec![LayerPlane { kind, scale: 1, rect: EXTENT.rect(), pixels: vec![[0x3c00; 4]; pixels] }],
        primary: Some(Primary {
            depth: vec![DEPTH; pixels],
            normal: vec![encode_normal(Vec3::Z); pixels],
            base_color: columns(|x| COLORS[usize::from(x >= EDGE) + usize::from(x >= THING)]),
            material: columns(|x| if x < EDGE { 0xe6 } else { 5 }),
            motion: vec![0; pixels],
            instance_id: columns(|x| 1 + u32::from(x >= THING)),
        }),
        block_rays: Vec::new(),
    }
}

/// The middle row's base colours in frame 1, of which nothing comes, seen from so many pixels further to the right.
fn warped(pixels: f32, is_late: bool) -> Vec<u32> {
    let camera = Camera::with_fov(0.5, EXTENT.width as f32 / EXTENT.height as f32);
    let pixel = 2.0 * camera.tan_half_fov.x * DEPTH / EXTENT.width as f32;
    let moved = Camera { position: camera.position + Vec3::X * (pixels * pixel), ..camera };
    let (layers, tiles) = ([LayerRequest::new(LayerKind::Direct)], [PlannedTile { rect: EXTENT.rect(), ghost: 0 }]);
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(MergeMode::Accumulate { max_history: 8 });
    merger.begin(FrameInputs::new(0, camera, &layers, &tiles)).unwrap();
    if !is_late {
        merger.add_tile(0, 0, 0, &traced()).unwrap();
    }
    merger.finish().unwrap();
    let inputs = FrameInputs::new(1, moved, &layers, &tiles);
    merger.begin(FrameInputs { previous_camera: camera, ..inputs }).unwrap();
    if is_late {
        assert_eq!(merger.add_tile(0, 0, 0, &traced()), Ok(Added::Late));
    }
    let middle = (EXTENT.height / 2 * EXTENT.width) as usize;
    merger.finish().unwrap().planes.base_color[middle..middle + EXTENT.width as usize].to_vec()
}

#[test]
fn colors_are_read_between_pixels_of_one_thing_and_no_other() {
    for is_late in [false, true] {
        // What pixel x shows was a quarter of a pixel right of pixel x.
        let row = warped(0.25, is_late);
        let of = |word: u32| [word & 255, word >> 8 & 255, word >> 16 & 255, word >> 24].map(|byte| byte as f32);
        let (left, right) = (of(COLORS[0]), of(COLORS[1]));
        let between = of(row[EDGE as usize - 1]);
        for c in 0..4 {
            let expected = left[c] + (right[c] - left[c]) * 0.25;
            assert!((between[c] - expected).abs() <= 1.0, "late {is_late}: {between:?}");
        }
        for (x, color) in row.iter().enumerate().filter(|(x, _)| *x as u32 != EDGE - 1 && *x < 38) {
            let expected = COLORS[usize::from(x as u32 >= EDGE) + usize::from(x as u32 >= THING)];
            assert_eq!(*color, expected, "late {is_late}, pixel {x}");
        }
    }
}

#[test]
fn a_view_that_stands_still_keeps_its_colors() {
    for is_late in [false, true] {
        let row = warped(0.0, is_late);
        let expected = &traced().primary.unwrap().base_color[..EXTENT.width as usize];
        assert_eq!(row, expected, "late {is_late}");
    }
}
