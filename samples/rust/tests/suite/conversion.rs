//! What Rayloom makes of the planes, in the convention that the engine names, is what its peers would have traced.

use crate::comparison::{draw, trace};
use crate::small_scenes::{camera, cluttered, engine};
use glam::{Quat, Vec3};
use raster::{CONVENTION, FrameDesc};
use rayloom_frame::gbuffer::convert;
use rayloom_frame::normal::decode_normal;
use rayloom_frame::{EnginePlane, Extent, GBuffer, Inline};

#[test]
fn planes_are_understood_in_the_engine_s_convention() {
    let scene = cluttered();
    let extent = Extent::new(150, 101);
    let camera = camera(150.0 / 101.0);
    let mut previous_camera = camera;
    previous_camera.position += Vec3::new(0.1, 0.0, -0.05);
    previous_camera.rotation = (camera.rotation * Quat::from_rotation_x(0.02)).normalize();
    let frame = FrameDesc { previous_camera, ..FrameDesc::still(1, camera) };
    let planes = draw(&mut engine(extent.width, extent.height, &scene), &frame);
    let submitted: Vec<EnginePlane<'_>> = planes.planes().map(EnginePlane::from).collect();
    let mut converted = GBuffer::default();
    convert(&mut converted, &submitted, &CONVENTION, &camera, &previous_camera, &Inline).expect("they are understood");

    let traced = trace(&scene, &frame, extent).primary.expect("it was asked for");
    let drawn = &converted.primary;
    // Engines may call a surface 0, so Rayloom counts their numbers from 1; on the sky there is none.
    let same = |i: &usize| drawn.instance_id[*i].saturating_sub(1) == traced.instance_id[*i];
    let pixels: Vec<usize> = (0..extent.pixels()).filter(same).collect();
    assert!(pixels.len() * 1000 >= extent.pixels() * 998, "ids agree");
    let half = |word: u32| half::f16::from_bits(word as u16).to_f32();
    let moved = |word: u32| glam::Vec2::new(half(word), half(word >> 16));
    let bytes_near = |a: u32, b: u32| a.to_le_bytes().iter().zip(b.to_le_bytes()).all(|(a, b)| a.abs_diff(b) <= 2);
    let agrees = |i: usize| {
        let sky = traced.instance_id[i] == 0;
        let angle = decode_normal(drawn.normal[i]).angle_between(decode_normal(traced.normal[i]));
        let depth =
            if sky { drawn.depth[i] == traced.depth[i] } else { (drawn.depth[i] / traced.depth[i] - 1.0).abs() < 1e-3 };
        depth
            && (sky || angle < 0.02)
            && moved(drawn.motion[i]).distance(moved(traced.motion[i])) < 0.1
            && (sky || bytes_near(drawn.base_color[i] | 0xff00_0000, traced.base_color[i] | 0xff00_0000))
            && bytes_near(drawn.material[i], traced.material[i])
    };
    let share = pixels.iter().filter(|i| agrees(**i)).count() as f64 / pixels.len() as f64;
    assert!(share > 0.998, "{:.2} % of pixels agree", share * 100.0);
    assert_eq!(converted.emissive.len(), extent.pixels());
}
