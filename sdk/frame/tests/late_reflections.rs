//! Late reflections move with what is seen in them, late light on rough surfaces with the surface; late paths are summed.

use glam::{Vec2, Vec3};
use half::f16;
use rayloom_frame::{
    Extent, LayerKind, LayerPlane, LayerRequest, Primary, Rect, TracedTile,
    merge::{Added, FrameInputs, Merger, PlannedTile},
    metrics::psnr_layer,
    normal::encode_normal,
};
use rayloom_scene::Camera;

const EXTENT: Extent = Extent::new(128, 72);
const SPECULAR: [LayerRequest; 1] = [LayerRequest::new(LayerKind::Specular)];
/// Where what is seen in the floor seems to stand, along the Z axis.
const WALL: f32 = -4.0;

fn camera(frame_id: u64) -> Camera {
    let position = Vec3::new(0.08 * frame_id as f32, 2.0, 4.0);
    Camera::look_at(position, position + Vec3::new(0.0, -0.9, -1.0), 0.9, 128.0 / 72.0)
}

/// A floor of this roughness in which stripes are seen that stand behind it.
fn floor(frame_id: u64, roughness: u32) -> (Primary, TracedTile) {
    let size = Vec2::new(EXTENT.width as f32, EXTENT.height as f32);
    let (now, before) = (camera(frame_id), camera(frame_id.saturating_sub(1)));
    let (mut primary, mut pixels) = (Primary::default(), Vec::new());
    for (x, y) in (0..EXTENT.height).flat_map(|y| (0..EXTENT.width).map(move |x| (x, y))) {
        let pixel = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
        let ray = now.ray(pixel, size);
        let depth = -now.position.y / ray.y;
        let point = now.position + ray * depth;
        let motion = before.project(point, size).0 - pixel;
        primary.depth.push(depth);
        primary.normal.push(encode_normal(Vec3::Y));
        primary.base_color.push(0xffff_ffff);
        primary.material.push(roughness);
        primary
            .motion
            .push(u32::from(f16::from_f32(motion.x).to_bits()) | u32::from(f16::from_f32(motion.y).to_bits()) << 16);
        primary.instance_id.push(1);
        // The mirrored wall stands across the view axis, behind all of the floor.
        let seen = now.position + ray * ((WALL - now.position.z) / ray.z);
        let distance = (seen - point).length();
        let light = Vec3::new(0.5 + 0.4 * (4.0 * seen.x).sin(), 0.5 + 0.4 * (3.0 * seen.y).sin(), 0.5);
        pixels.push([light.x, light.y, light.z, distance].map(|v| f16::from_f32(v).to_bits()));
    }
    let layer = LayerPlane { kind: LayerKind::Specular, scale: 1, rect: EXTENT.rect(), pixels };
    let tile = TracedTile { rect: EXTENT.rect(), layers: vec![layer], primary: None, block_rays: Vec::new() };
    (primary, tile)
}

/// PSNR of the reflections in the left half of the floor when all that ever came of it was three frames late.
fn late_quality(roughness: u32) -> f64 {
    let half = Rect::new(0, 0, EXTENT.width / 2, EXTENT.height);
    let tiles = [half, Rect { x: half.width, ..half }].map(|rect| PlannedTile { rect, ghost: 0 });
    let mut merger = Merger::new(EXTENT);
    for frame_id in 1..=4 {
        merger.finish();
        let (planes, _) = floor(frame_id, roughness);
        let inputs = FrameInputs::new(frame_id, camera(frame_id), &SPECULAR, &tiles);
        let previous_camera = camera(frame_id - 1);
        merger.begin(FrameInputs { previous_camera, planes: Some(&planes), ..inputs }).unwrap();
        merger.add_tile(frame_id, 1, 0, &part(&floor(frame_id, roughness).1, tiles[1].rect)).unwrap();
    }
    assert_eq!(merger.add_tile(1, 0, 0, &part(&floor(1, roughness).1, half)), Ok(Added::Late));
    let frame = merger.finish().unwrap();
    // Of the tile's right edge neither was in it.
    let is_inner = |i: &usize| i % (EXTENT.width as usize) < 44;
    let came: Vec<usize> = (0..EXTENT.pixels()).filter(is_inner).filter(|i| frame.ages[*i] == 3).collect();
    assert!(came.len() > 44 * EXTENT.height as usize * 9 / 10, "{} pixels", came.len());
    let of = |layer: &[[u16; 4]]| came.iter().map(|i| layer[*i]).collect::<Vec<_>>();
    let (found, truth) = (frame.layer(LayerKind::Specular).unwrap(), floor(4, roughness).1);
    psnr_layer(&of(found), &of(&truth.layers[0].pixels), 1.0)
}

/// The layers of a part of a tile.
fn part(tile: &TracedTile, rect: Rect) -> TracedTile {
    let layer = &tile.layers[0];
    let rows = (rect.y..rect.bottom()).map(|y| layer.rect.index_of(Rect::new(rect.x, y, rect.width, 1)));
    let pixels = rows.flat_map(|at| layer.pixels[at..at + rect.width as usize].to_vec()).collect();
    TracedTile {
        rect,
        layers: vec![LayerPlane { rect, pixels, ..layer.clone() }],
        primary: None,
        block_rays: Vec::new(),
    }
}

#[test]
fn a_late_reflection_moves_with_what_is_seen_in_it() {
    // The same reflection of a floor that says it is a mirror, and of one that says it is rough: that one moves with the floor.
    let (mirror, rough) = (late_quality(0), late_quality(255));
    assert!(mirror > 34.0 && mirror > rough + 10.0, "{mirror:.1} dB in a mirror, {rough:.1} dB by surface");
}

#[test]
fn late_paths_of_a_view_that_stands_still_are_summed() {
    let layers = [LayerRequest { samples: 2, ..LayerRequest::new(LayerKind::Path) }];
    let tiles = [PlannedTile { rect: EXTENT.rect(), ghost: 0 }];
    let mut merger = Merger::new(EXTENT);
    let (planes, _) = floor(0, 0);
    // Frame n's samples are n: their mean says which of them count.
    let sample = |frame_id: u64| {
        let pixels = vec![[f16::from_f32(frame_id as f32).to_bits(); 4]; EXTENT.pixels()];
        let layer = LayerPlane { kind: LayerKind::Path, scale: 1, rect: EXTENT.rect(), pixels };
        let primary = Some(planes.clone());
        TracedTile { rect: EXTENT.rect(), layers: vec![layer], primary, block_rays: Vec::new() }
    };
    for frame_id in 0..=40 {
        let inputs = FrameInputs::new(frame_id, camera(0), &layers, &tiles);
        merger.begin(FrameInputs { is_unchanged: frame_id > 0, ..inputs }).unwrap();
        // Frame 36 is lost at first and comes at frame 39.
        if frame_id != 36 {
            merger.add_tile(frame_id, 0, 0, &sample(frame_id)).unwrap();
        }
        if frame_id == 39 {
            assert_eq!(merger.add_tile(36, 0, 0, &sample(36)), Ok(Added::Late));
        }
        merger.finish().unwrap();
    }
    let frame = merger.finish().unwrap();
    let found = f16::from_bits(frame.layer(LayerKind::Path).unwrap()[EXTENT.pixels() / 2][0]).to_f32();
    assert!((found - 20.0).abs() < 0.02, "the mean of 0 to 40 is 20, not {found}");
}
