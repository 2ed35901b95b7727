//! A tile holds exactly the pixels that a full frame has there, however odd its borders.
mod small_scenes;

use glam::Vec3;
use rayloom_frame::{Extent, LayerKind, LayerRequest, Rect, TracedTile};
use rayloom_renderer::{FrameState, TraceJob};
use small_scenes::*;

const EXTENT: Extent = Extent::new(75, 51);
const FILTER: u32 = 5;

/// Compares the pixels of `inner`, which both tiles cover.
fn assert_same(whole: &TracedTile, part: &TracedTile, inner: Rect) {
    for (a, b) in whole.layers.iter().zip(&part.layers) {
        let area = inner.scaled(a.scale.into());
        for y in area.y..area.bottom() {
            for x in area.x..area.right() {
                let get =
                    |l: &rayloom_frame::LayerPlane| l.pixels[((y - l.rect.y) * l.rect.width + x - l.rect.x) as usize];
                assert_eq!(get(a), get(b), "{} at {x}, {y} (scale {})", a.kind.name(), a.scale);
            }
        }
    }
    let (p, q) = (whole.primary.as_ref().expect("asked for"), part.primary.as_ref().expect("asked for"));
    for y in inner.y..inner.bottom() {
        for x in inner.x..inner.right() {
            let i = |r: Rect| ((y - r.y) * r.width + x - r.x) as usize;
            let (i, j) = (i(whole.rect), i(part.rect));
            assert_eq!(p.depth[i].to_bits(), q.depth[j].to_bits(), "depth at {x}, {y}");
            let planes = |p: &rayloom_frame::Primary, i: usize| {
                [p.normal[i], p.base_color[i], p.material[i], p.motion[i], p.instance_id[i]]
            };
            assert_eq!(planes(p, i), planes(q, j), "planes at {x}, {y}");
        }
    }
}

fn check(layers: &[LayerRequest], filter_radius: u32) {
    for r in renderers() {
        let s = cluttered();
        for frame_id in [0, 7] {
            let job = TraceJob { frame_id, filter_radius, ..TraceJob::whole_view(EXTENT, cluttered_camera(), layers) };
            let whole = trace(&r, &s, &job);
            assert!(mean(layer(&whole, LayerKind::Specular)).x > 0.0);
            for inner in
                [Rect::new(0, 0, 33, 17), Rect::new(33, 17, 21, 13), Rect::new(54, 30, 21, 21), Rect::new(7, 50, 1, 1)]
            {
                let rect = inner.grown(filter_radius, EXTENT);
                let part = trace(&r, &s, &TraceJob { rect, ..job });
                assert_eq!(part.rect, rect);
                assert_same(&whole, &part, inner);
            }
        }
        assert_clean(&r);
    }
}

#[test]
fn odd_tiles_equal_the_whole_frame_at_full_resolution() {
    check(&all_layers(1), 0);
}

#[test]
fn odd_tiles_equal_the_whole_frame_at_half_resolution() {
    check(&all_layers(2), 0);
}

#[test]
fn odd_tiles_with_a_ghost_zone_equal_the_whole_frame_with_the_filter() {
    check(&all_layers(1), FILTER);
    let mut mixed = all_layers(2);
    mixed[0].scale = 1;
    check(&mixed, FILTER + 1);
    check(&mixed, FILTER);
}

#[test]
fn tiles_in_flight_together_do_not_disturb_each_other() {
    for r in renderers() {
        let gpu = r.create_scene(&cluttered(), &mut |_| ()).expect("the scene is valid");
        let frame = std::sync::Arc::new(gpu.frame(&Default::default()).expect("the state is valid"));
        let layers = all_layers(1);
        let job = TraceJob::whole_view(EXTENT, cluttered_camera(), &layers);
        let (whole, timings) = r.trace(&frame, &job).expect("the job is valid");
        assert!(timings.passes.is_empty() || timings.passes[0].0 == "primary");
        let tiles = [Rect::new(0, 0, 40, 51), Rect::new(40, 0, 35, 25), Rect::new(40, 25, 35, 26)];
        let tickets: Vec<_> = tiles
            .iter()
            .map(|rect| r.trace_begin(&frame, &TraceJob { rect: *rect, ..job }).expect("there is room"))
            .collect();
        for (ticket, rect) in tickets.into_iter().zip(tiles) {
            assert_same(&whole, &r.wait(ticket).expect("it finishes").0, rect);
        }
        let full: Vec<_> =
            (0..rayloom_renderer::MAX_IN_FLIGHT).map(|_| r.trace_begin(&frame, &job).expect("there is room")).collect();
        assert!(r.trace_begin(&frame, &job).is_err(), "no more than the limit");
        drop(full);
        assert!(r.trace(&frame, &job).is_ok(), "dropped tickets make room");
        assert_clean(&r);
    }
}

#[test]
fn moved_instances_are_traced_as_if_they_had_always_stood_there() {
    for r in renderers() {
        let rest = cluttered();
        let on_gpu = r.create_scene(&rest, &mut |_| ()).expect("the scene is valid");
        let layers = all_layers(1);
        let job = TraceJob::whole_view(EXTENT, cluttered_camera(), &layers);
        // Few: the revision's tree is refitted. Many: it is built anew.
        for moved in [2u32, 9] {
            let transforms: Vec<(u32, glam::Affine3A)> = (1..=moved)
                .map(|i| (i, at(0, 0.3, Vec3::new(i as f32 * 0.4 - 1.5, 0.9, 0.2 * i as f32)).transform))
                .collect();
            let state =
                FrameState { transforms: &transforms, previous_transforms: &transforms, ..FrameState::default() };
            let frame = std::sync::Arc::new(on_gpu.frame(&state).expect("the state is valid"));
            let (tile, _) = r.trace(&frame, &job).expect("the job is valid");
            let mut there = cluttered();
            for (i, transform) in &transforms {
                there.instances[*i as usize].transform = *transform;
            }
            let expected = trace(&r, &there, &job);
            assert_same(&expected, &tile, EXTENT.rect());
            assert_ne!(trace(&r, &rest, &job).primary, expected.primary, "something moved");
        }
        assert_clean(&r);
    }
}
