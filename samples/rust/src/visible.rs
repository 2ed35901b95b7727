//! What a frame draws: the instances that the camera may see, in runs of one mesh each.

use crate::FrameDesc;
use crate::geometry::DrawnMesh;
use crate::layout::GpuInstance;
use glam::{Affine3A, Vec2, Vec3};
use rayloom_scene::{Camera, Instance};

/// A run of instances of one mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) mesh: u32,
    pub(crate) first_instance: u32,
    pub(crate) instance_count: u32,
}

/// Instances sorted by mesh, once for a scene.
pub(crate) fn by_mesh(instances: &[Instance]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..instances.len() as u32).collect();
    order.sort_by_key(|i| instances[*i as usize].mesh);
    order
}

/// The table of visible instances and its runs. `order` is [`by_mesh`]; transforms are those of all instances, and so are
/// `deformations`, see [`crate::deformation::Posed`]. What deforms is never left out: its mesh's sphere is that of its shape
/// at rest.
#[expect(clippy::too_many_arguments, reason = "columns of the one table of instances")]
pub(crate) fn visible(
    instances: &[Instance],
    order: &[u32],
    meshes: &[DrawnMesh],
    transforms: &[Affine3A],
    previous: &[Affine3A],
    deformations: &[u64],
    frame: &FrameDesc<'_>,
    extent: Vec2,
) -> (Vec<GpuInstance>, Vec<Batch>) {
    let frustum = Frustum::new(&frame.camera, extent);
    let mut table = Vec::with_capacity(order.len());
    let mut batches: Vec<Batch> = Vec::new();
    for &i in order {
        let (index, mesh) = (i as usize, instances[i as usize].mesh);
        let DrawnMesh { center, radius, .. } = meshes[mesh as usize];
        let transform = &transforms[index];
        // The largest stretch is at most the Frobenius norm.
        let m = &transform.matrix3;
        let stretch = (m.x_axis.length_squared() + m.y_axis.length_squared() + m.z_axis.length_squared()).sqrt();
        let deformation = deformations[index];
        if deformation == 0 && !frustum.touches(transform.transform_point3(center), radius * stretch) {
            continue;
        }
        match batches.last_mut().filter(|b| b.mesh == mesh) {
            Some(batch) => batch.instance_count += 1,
            None => batches.push(Batch { mesh, first_instance: table.len() as u32, instance_count: 1 }),
        }
        table.push(GpuInstance::new(transform, &previous[index], frame, i + 1, deformation));
    }
    (table, batches)
}

/// The four sides of what a camera sees, and the plane through its eye.
struct Frustum {
    eye: Vec3,
    /// Unit normals, inwards.
    normals: [Vec3; 5],
}

impl Frustum {
    fn new(camera: &Camera, extent: Vec2) -> Frustum {
        // Jitter moves the view by half a pixel at most.
        let reach = Vec2::ONE + 1.0 / extent;
        let high = (reach - camera.center) * camera.tan_half_fov;
        let low = (-reach - camera.center) * camera.tan_half_fov;
        let normals = [
            Vec3::new(1.0, 0.0, low.x),
            Vec3::new(-1.0, 0.0, -high.x),
            Vec3::new(0.0, 1.0, low.y),
            Vec3::new(0.0, -1.0, -high.y),
            Vec3::NEG_Z,
        ];
        Frustum { eye: camera.position, normals: normals.map(|n| camera.rotation * n.normalize()) }
    }

    fn touches(&self, center: Vec3, radius: f32) -> bool {
        self.normals.iter().all(|n| n.dot(center - self.eye) > -radius)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spheres_are_culled_exactly_where_no_ray_reaches_them() {
        let mut camera = Camera::look_at(Vec3::new(1.0, 2.0, 3.0), Vec3::new(5.0, 1.0, -4.0), 0.9, 1.6);
        camera.center = Vec2::new(0.2, -0.1);
        let extent = Vec2::new(160.0, 100.0);
        let frustum = Frustum::new(&camera, extent);
        for (x, y) in [(0.0, 0.0), (160.0, 0.0), (80.0, 100.0), (31.0, 77.0)] {
            let inside = camera.position + camera.ray(Vec2::new(x, y), extent) * 4.0;
            assert!(frustum.touches(inside, 0.0), "({x}, {y}) is seen");
            assert!(!frustum.touches(camera.position * 2.0 - inside, 0.1), "what lies behind is not");
        }
        for pixel in [Vec2::new(-20.0, 50.0), Vec2::new(180.0, 50.0), Vec2::new(80.0, -20.0), Vec2::new(80.0, 120.0)] {
            let outside = camera.position + camera.ray(pixel, extent) * 4.0;
            assert!(!frustum.touches(outside, 0.0), "{pixel} is not seen");
            assert!(frustum.touches(outside, 2.0), "a large sphere reaches into the view");
        }
    }
}
