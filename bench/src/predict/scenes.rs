//! The same of other scenes: those of the references, lit as they are, on a course that passes the reference's camera half way.

use super::{AGES, Arguments, Bench, Course, FPS, METRES_PER_SECOND, STEP};
use crate::picture::reference::{Reference, names};
use crate::report::Report;
use glam::{Quat, Vec2, Vec3};
use rayloom_frame::Extent;
use rayloom_peer::VulkanTracer;
use rayloom_scene::Camera;

/// Things that are seen from nearer than this in the median leave the view on the course.
const NEAREST_M: f32 = 2.0;

/// Adds late pixels of each reference's scene to the report, and in time.
pub(super) fn measure(
    tracer: &VulkanTracer,
    arguments: &Arguments,
    course: Course<'_>,
    size: Extent,
    report: &mut Report,
) -> Result<(), String> {
    for name in names(&arguments.reference)? {
        let reference = Reference::read(&arguments.reference, &name)?;
        let mut depths: Vec<f32> = reference.depth.iter().copied().filter(|depth| depth.is_finite()).collect();
        depths.sort_by(f32::total_cmp);
        let median = depths.get(depths.len() / 2).copied().unwrap_or(0.0);
        if median < NEAREST_M {
            println!("{name} is left out: half of it is nearer than {median:.1} m");
            continue;
        }
        let half_way = (course.warm_up + (course.shown - 1) * STEP / 2) as f32 / FPS;
        let mut bench = Bench::new(
            tracer,
            &reference.scene()?,
            before(&reference, course, half_way, size),
            size,
            arguments.images.clone(),
        )?;
        bench.exposure = reference.exposure();
        let (found, ceiling_db) = bench.measure(Course { name: &name, ..course })?;
        report.number(format!("{name}.ceiling_psnr_db"), ceiling_db);
        for (age, found) in AGES.into_iter().zip(&found).skip(1) {
            report.number(format!("{name}.psnr_db.{age}"), found.filtered_db);
            report.number(format!("{name}.psnr_hold_db.{age}"), found.held_db);
        }
        report.number(format!("{name}.psnr_in_time_db"), found[0].filtered_db);
    }
    Ok(())
}

/// Where the course begins that is at the reference's camera after so many seconds.
fn before(reference: &Reference, course: Course<'_>, seconds: f32, size: Extent) -> Camera {
    let camera = reference.camera;
    let turn = Quat::from_rotation_y(-(course.degrees_per_second * seconds).to_radians());
    // Courses go to the right of where they begin.
    let rotation = turn * camera.rotation;
    let position = camera.position - rotation * Vec3::new(METRES_PER_SECOND * seconds, 0.0, 0.0);
    let wider = size.width as f32 / size.height as f32 * camera.tan_half_fov.y / camera.tan_half_fov.x;
    Camera { position, rotation, tan_half_fov: camera.tan_half_fov * Vec2::new(wider, 1.0), ..camera }
}
