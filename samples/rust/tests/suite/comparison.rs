//! Planes beside primary hits that the peers' ray tracer finds from the same camera.

use glam::{Affine3A, Vec2, Vec3};
use raster::{FrameDesc, NEAR, PlaneKind, RasterEngine, ReadyPlanes};
use rayloom_frame::normal::decode_normal;
use rayloom_frame::{Extent, LayerKind, LayerRequest, Primary, TracedTile};
use rayloom_renderer::{FrameState, Renderer, RendererOptions, TraceJob};
use rayloom_scene::{Pose, Scene};
use std::sync::Arc;

/// How many of a plane's pixels agree, of how many that were compared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    pub(crate) agree: usize,
    pub(crate) of: usize,
}

impl Share {
    fn count(&mut self, agrees: bool) {
        self.agree += usize::from(agrees);
        self.of += 1;
    }

    pub(crate) fn value(self) -> f64 {
        self.agree as f64 / self.of.max(1) as f64
    }
}

/// Shares by plane. Ids are compared everywhere, all else where the ids agree.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Agreement {
    pub(crate) id: Share,
    pub(crate) depth: Share,
    pub(crate) normal: Share,
    pub(crate) albedo: Share,
    pub(crate) roughness_metalness: Share,
    pub(crate) emissive: Share,
    pub(crate) motion: Share,
    /// Of every so many pixels, against the triangle of the instance's mesh that lies there.
    pub(crate) geometric_normal: Share,
}

pub(crate) fn trace(scene: &Scene, frame: &FrameDesc<'_>, extent: Extent) -> TracedTile {
    let options = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
    let renderer = Renderer::new(&options).expect("tests need a Vulkan device");
    let gpu = renderer.create_scene(scene, &mut |_| ()).expect("the scene is valid");
    let state = FrameState {
        transforms: frame.transforms,
        previous_transforms: frame.previous_transforms,
        poses: frame.poses,
        previous_poses: frame.previous_poses,
        ..FrameState::default()
    };
    let placed = Arc::new(gpu.frame(&state).expect("the state is valid"));
    let layers = [LayerRequest { kind: LayerKind::Unlit, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES }];
    let job = TraceJob {
        previous_camera: frame.previous_camera,
        frame_id: frame.frame_id,
        ..TraceJob::whole_view(extent, frame.camera, &layers)
    };
    renderer.trace(&placed, &job).expect("the job is valid").0
}

pub(crate) fn draw(engine: &mut RasterEngine, frame: &FrameDesc<'_>) -> ReadyPlanes {
    engine.draw(frame).expect("there is room");
    engine.wait().expect("it finishes").expect("a frame was under way")
}

/// Metres by which the depth of a pixel may differ. Reversed float depth is exact to 2^-23 of itself, and both ways of
/// finding the hit round at that order several times; rasters snap corners to 1/256 of a pixel, which moves a tilted surface.
fn depth_bound(traced: &Primary, frame: &FrameDesc<'_>, extent: Extent, i: usize) -> f32 {
    let (x, y) = (i as u32 % extent.width, i as u32 / extent.width);
    let size = Vec2::new(extent.width as f32, extent.height as f32);
    let pixel = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
    let ray = |p| frame.camera.ray(p, size);
    let (normal, depth) = (decode_normal(traced.normal[i]), traced.depth[i]);
    // Depth of the tangent plane one pixel on, in both directions; shading normals bend away from it a little.
    let slope = |step: Vec2| {
        let distance = normal.dot(ray(pixel)) * depth;
        (distance / normal.dot(ray(pixel + step)) - depth).abs()
    };
    let steepest = slope(Vec2::X).max(slope(Vec2::Y));
    depth * 8.0 * f32::EPSILON + (steepest / 256.0).min(depth * 0.01) * 2.0
}

/// Every so many pixels are compared with their triangle, found among all of their instance's mesh.
const TRIANGLE_STRIDE: usize = 53;

/// Normal, on the ray's side, of the instance's triangle that a ray from the camera hits next to a planar depth.
fn triangle_normal(
    scene: &Scene,
    (instance, transform, pose): (u32, Affine3A, Option<&Pose>),
    origin: Vec3,
    direction: Vec3,
    depth: f32,
) -> Option<Vec3> {
    let mesh = &scene.meshes[scene.instances[instance as usize].mesh as usize];
    let into = transform.inverse();
    let (o, d) = (into.transform_point3(origin), into.transform_vector3(direction));
    // Moeller and Trumbore, "Fast, Minimum Storage Ray/Triangle Intersection", 1997; a little wider than the triangle, since
    // rasters snap its corners.
    const WIDER: f32 = 1e-3;
    let hit = |corners: &[u32; 3]| {
        let [a, b, c] = corners.map(|i| {
            let i = i as usize;
            pose.map_or(mesh.positions[i], |pose| pose.position(mesh, i))
        });
        let (e1, e2) = (b - a, c - a);
        let p = d.cross(e2);
        let determinant = e1.dot(p);
        let s = o - a;
        let (u, q) = (s.dot(p) / determinant, s.cross(e1));
        let v = d.dot(q) / determinant;
        let inside = u >= -WIDER && v >= -WIDER && u + v <= 1.0 + WIDER;
        inside.then(|| ((e2.dot(q) / determinant - depth).abs(), transform.matrix3 * e1, transform.matrix3 * e2))
    };
    let nearest = mesh.indices.as_chunks::<3>().0.iter().filter_map(hit).min_by(|a, b| a.0.total_cmp(&b.0))?;
    let normal = nearest.1.cross(nearest.2).normalize();
    Some(if normal.dot(direction) > 0.0 { -normal } else { normal })
}

fn is_seen_through(scene: &Scene, instance: u32) -> bool {
    let mesh = &scene.meshes[scene.instances[instance as usize].mesh as usize];
    let mut materials = mesh.parts.iter().map(|part| &scene.materials[part.material as usize]);
    materials.any(|m| m.is_covering() || m.refracts())
}

pub(crate) fn compare(
    scene: &Scene,
    planes: &ReadyPlanes,
    tile: &TracedTile,
    frame: &FrameDesc<'_>,
    extent: Extent,
) -> Agreement {
    let traced = tile.primary.as_ref().expect("it was asked for");
    let mut result = Agreement::default();
    let word = |kind: PlaneKind, x, y| planes.plane(kind).word(x, y);
    let halves = |w: u32| Vec2::new(half(w), half(w >> 16));
    let degrees = |a: u32, b: u32| decode_normal(a).angle_between(decode_normal(b)).to_degrees();
    for y in 0..extent.height {
        for x in 0..extent.width {
            let i = (y * extent.width + x) as usize;
            let id = word(PlaneKind::InstanceId, x, y);
            result.id.count(id == traced.instance_id[i]);
            if id != traced.instance_id[i] {
                continue;
            }
            let motion = halves(word(PlaneKind::Motion, x, y)) - halves(traced.motion[i]);
            result.motion.count(motion.length() < 0.1);
            let reversed = f32::from_bits(word(PlaneKind::Depth, x, y));
            if id == 0 {
                let zero = [PlaneKind::Normal, PlaneKind::GeometricNormal, PlaneKind::Albedo, PlaneKind::Emissive];
                assert!(reversed == 0.0 && zero.into_iter().all(|kind| word(kind, x, y) == 0), "sky at {x}, {y}");
                continue;
            }
            let depth = NEAR / reversed;
            result.depth.count((depth - traced.depth[i]).abs() <= depth_bound(traced, frame, extent, i));
            result.normal.count(degrees(word(PlaneKind::Normal, x, y), traced.normal[i]) < 1.0);
            if i.is_multiple_of(TRIANGLE_STRIDE) {
                let size = Vec2::new(extent.width as f32, extent.height as f32);
                let ray = frame.camera.ray(Vec2::new(x as f32 + 0.5, y as f32 + 0.5), size);
                let moved = frame.transforms.iter().find(|(index, _)| *index == id - 1);
                let placed = moved.map_or(scene.instances[id as usize - 1].transform, |(_, transform)| *transform);
                let pose = frame.poses.iter().chain(&scene.poses).find(|pose| pose.instance == id - 1);
                let placed = (id - 1, placed, pose);
                let expected = triangle_normal(scene, placed, frame.camera.position, ray, depth);
                let drawn = decode_normal(word(PlaneKind::GeometricNormal, x, y));
                let close = |expected: Vec3| drawn.angle_between(expected).to_degrees() < 1.0;
                result.geometric_normal.count(expected.is_some_and(close));
            }
            let bytes = |w: u32| w.to_le_bytes();
            let near = |a: &[u8], b: &[u8]| a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 2);
            let albedo = bytes(word(PlaneKind::Albedo, x, y));
            result.albedo.count(near(&albedo[..3], &bytes(traced.base_color[i])[..3]));
            let rm = planes.plane(PlaneKind::RoughnessMetalness).pixel(x, y);
            result.roughness_metalness.count(near(rm, &bytes(traced.material[i])[..2]));
            let light = shared_exponent(word(PlaneKind::Emissive, x, y));
            let [r, g, b, _] = tile.layers[0].pixels[i].map(|bits| half::f16::from_bits(bits).to_f32());
            let expected = Vec3::new(r, g, b);
            let bound = 0.01 * expected.max_element() + 1e-4;
            // The unlit layer also has what is seen through a surface.
            if !is_seen_through(scene, id - 1) {
                result.emissive.count((light - expected).abs().max_element() <= bound);
            }
        }
    }
    result
}

fn half(bits: u32) -> f32 {
    half::f16::from_bits(bits as u16).to_f32()
}

fn shared_exponent(word: u32) -> Vec3 {
    let scale = ((word >> 27) as f32 - 24.0).exp2();
    Vec3::new((word & 511) as f32, (word >> 9 & 511) as f32, (word >> 18 & 511) as f32) * scale
}

/// What the city's objects did between two seconds: transforms now and before.
pub(crate) type Moved = Vec<(u32, Affine3A)>;
