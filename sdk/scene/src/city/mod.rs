//! The project's own generated city: sky above, dense below, made for figures and for pictures.
//!
//! Streets in a grid around a crossing at the origin; towers downtown, lower houses around; a park, a river along the
//! south (+Z), hills to the horizon. Materials are matte, glossy, metal, smooth glass and emissive; bricks, asphalt and
//! the river have textures. About three quarters of the triangles are stored in big meshes, the rest are instances of
//! shared ones.

mod builder;
mod buildings;
mod ground;
mod layout;
mod motion;
mod props;
mod surfaces;

pub use motion::pose;

use crate::scene::SUN_HALF_ANGLE;
use crate::{Camera, Environment, Instance, Light, LightShape, NamedCamera, Scene};
use builder::{Builder, Random};
use buildings::{Building, Detail};
use glam::{Affine3A, Vec2, Vec3};
use ground::KERB;
use layout::{Layout, PAVEMENT, PITCH, STREET};
use props::{Prop, facing};
use std::f32::consts::{FRAC_PI_2, TAU};
use std::sync::Arc;

/// Names and user ids of the objects that may be moved: each is an instance of its own.
pub const MOVABLE_OBJECTS: [(&str, u64); 8] = [
    ("red car", 1),
    ("taxi", 2),
    ("blue car", 3),
    ("white car", 4),
    ("black car", 5),
    ("second taxi", 6),
    ("low drone", 7),
    ("high drone", 8),
];

/// User ids of the lights that may be moved: two under the drones, a headlight, a beacon on a roof.
pub const MOVABLE_LIGHTS: [u64; 4] = [1, 2, 3, 4];

const MOVABLE_PROPS: [Prop; 8] =
    [Prop::CarRed, Prop::Taxi, Prop::CarBlue, Prop::CarWhite, Prop::CarBlack, Prop::Taxi, Prop::Drone, Prop::Drone];

/// User id of the sun.
const SUN_ID: u64 = 100;
/// User ids of what stands still begin here.
const FIRST_STATIC_ID: u64 = 1000;

/// Share of the triangles that buildings and ground may take; trees, cars and roof machinery share the rest.
const STORED_SHARE: f32 = 0.74;

/// Trees farther than this from the street camera have one crown instead of three.
const FAR_TREES_M: f32 = 130.0;

/// Aspect ratio of the named cameras.
const ASPECT: f32 = 16.0 / 9.0;

/// A city of `triangles` placed triangles (within 2 % from 20,000 on; fewer give the smallest city there is).
///
/// The same seed and number give the same scene. Cameras: `street`, `skyline` (about 40 % sky), `overview`. What moves
/// is named by [`MOVABLE_OBJECTS`] and [`MOVABLE_LIGHTS`], and moved by [`pose`]; the scene is as at second 0.
///
/// ```
/// let mut scene = rayloom_scene::city(20_000, 7);
/// assert!(scene.validate()?.is_clean());
/// rayloom_scene::city::pose(&mut scene, 1.5);
/// # Ok::<(), rayloom_scene::SceneError>(())
/// ```
pub fn city(triangles: usize, seed: u64) -> Scene {
    // The largest plan whose simplest form leaves room for detail.
    let wanted = ((triangles as f32 / 4600.0).sqrt() as usize / 2 * 2).clamp(2, 40);
    let mut town = Town::new(wanted, triangles, seed);
    while town.count() * 10 > triangles * 6 && town.layout.size > 2 {
        town = Town::new(town.layout.size - 2, triangles, seed);
    }
    town.refine((triangles as f32 * STORED_SHARE) as usize);
    let mut scene = Scene {
        materials: surfaces::materials(),
        textures: surfaces::textures(seed),
        lights: lights(),
        environment: Environment {
            zenith: Vec3::new(0.17, 0.33, 0.74),
            horizon: Vec3::new(0.8, 0.76, 0.72),
            ground: Vec3::new(0.17, 0.16, 0.15),
        },
        cameras: cameras(&town.layout),
        ..Scene::default()
    };
    town.place(triangles, seed, &mut scene);
    // Generated geometry has normals; this adds the tangents of normal-mapped walls and water.
    scene.validate().expect("the generator keeps the scene's rules");
    scene
}

/// A plan with a grade of detail for each building.
struct Town {
    layout: Layout,
    /// Ground mesh, as built.
    ground: Builder,
    /// Block, building, grade, and triangles (with roof machinery) in each grade.
    buildings: Vec<(usize, Building, Detail, [usize; 3])>,
    prop_sizes: Vec<usize>,
}

impl Town {
    fn new(size: usize, triangles: usize, seed: u64) -> Town {
        let layout = Layout::new(size, seed);
        let mut ground = Builder::default();
        ground::streets(&layout, &mut ground);
        let detail = ((triangles as f32 / 400.0).sqrt() as usize).clamp(6, 26);
        ground::land(&layout, detail, &mut ground);
        let prop_sizes: Vec<usize> = Prop::ALL.iter().map(|p| p.mesh(seed).triangle_count()).collect();
        let measure = |building: &Building, detail| {
            let (mut out, mut props) = (Builder::default(), Vec::new());
            building.build(detail, &mut out, &mut props);
            out.triangle_count() + props.iter().map(|(p, _)| prop_sizes[*p as usize]).sum::<usize>()
        };
        let mut buildings = Vec::new();
        for (i, block) in layout.blocks.iter().enumerate() {
            for building in &block.buildings {
                buildings.push((i, *building, Detail::Flat, Detail::ALL.map(|d| measure(building, d))));
            }
        }
        Town { layout, ground, buildings, prop_sizes }
    }

    /// Triangles of ground, buildings and movable objects.
    fn count(&self) -> usize {
        let moving: usize = MOVABLE_PROPS.iter().map(|p| self.prop_sizes[*p as usize]).sum();
        let buildings: usize = self.buildings.iter().map(|(_, _, detail, sizes)| sizes[*detail as usize]).sum();
        self.ground.triangle_count() + moving + buildings
    }

    /// Gives buildings more detail, those near the street camera first, while all stays within `limit` triangles.
    fn refine(&mut self, limit: usize) {
        let eye = street_eye();
        let mut order: Vec<usize> = (0..self.buildings.len()).collect();
        let distance = |i: &usize| self.buildings[*i].1.center().distance_squared(Vec2::new(eye.x, eye.z - 40.0));
        order.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        let mut total = self.count();
        for grade in [Detail::Recessed, Detail::Fine] {
            for &i in &order {
                let (_, _, detail, sizes) = &mut self.buildings[i];
                let grown = total - sizes[*detail as usize] + sizes[grade as usize];
                if grown <= limit {
                    *detail = grade;
                    total = grown;
                }
            }
        }
    }

    /// Builds everything into the scene, and fills up to `triangles` with cars, houses and trees.
    fn place(self, triangles: usize, seed: u64, scene: &mut Scene) {
        let mut left = triangles.saturating_sub(self.count());
        let mut placed: Vec<(Prop, Affine3A)> = Vec::new();
        let mut blocks: Vec<Builder> = self.layout.blocks.iter().map(|_| Builder::default()).collect();
        for (block, building, detail, _) in &self.buildings {
            building.build(*detail, &mut blocks[*block], &mut placed);
        }
        let mut id = FIRST_STATIC_ID;
        let mut put = |scene: &mut Scene, mesh: usize, transform: Affine3A, user_id: Option<u64>| {
            let user_id = user_id.unwrap_or_else(|| {
                id += 1;
                id - 1
            });
            scene.instances.push(Instance { mesh: mesh as u32, transform, user_id });
        };
        for builder in std::iter::once(self.ground).chain(blocks) {
            for mesh in builder.finish() {
                scene.meshes.push(Arc::new(mesh));
                put(scene, scene.meshes.len() - 1, Affine3A::IDENTITY, None);
            }
        }
        let first_prop = scene.meshes.len();
        scene.meshes.extend(Prop::ALL.iter().map(|p| Arc::new(p.mesh(seed))));
        for (k, (prop, (_, user_id))) in MOVABLE_PROPS.iter().zip(MOVABLE_OBJECTS).enumerate() {
            put(scene, first_prop + *prop as usize, motion::object(k, 0.0), Some(user_id));
        }
        let size = |prop: Prop| self.prop_sizes[prop as usize];
        // Lamps, cars and houses take a share each of what is left; trees take the rest to the last one that fits.
        for (share, slots) in
            [(0.1, lamps(&self.layout)), (0.22, parked_cars(&self.layout, seed)), (0.15, houses(&self.layout, seed))]
        {
            let mut allowed = (left as f32 * share) as usize;
            for (prop, transform) in slots {
                if size(prop) <= allowed {
                    allowed -= size(prop);
                    left -= size(prop);
                    placed.push((prop, transform));
                }
            }
        }
        for (prop, transform) in trees(&self.layout, seed) {
            if left < size(prop) {
                break;
            }
            left -= size(prop);
            placed.push((prop, transform));
        }
        for (prop, transform) in placed {
            put(scene, first_prop + prop as usize, transform, None);
        }
    }
}

/// By distance from the street camera: what is near is placed first.
fn nearest_first(mut slots: Vec<(Prop, Affine3A)>) -> Vec<(Prop, Affine3A)> {
    let eye = street_eye() - Vec3::Z * 25.0;
    let distance = |slot: &(Prop, Affine3A)| Vec3::from(slot.1.translation).distance_squared(eye);
    slots.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    slots
}

/// Both kerbs of every street between crossings: the kerb's place at `share` of the way, and the direction to the street.
fn kerbs(layout: &Layout, share: f32) -> impl Iterator<Item = (Vec2, Vec2)> {
    layout.blocks.iter().flat_map(move |block| {
        [Vec2::X, Vec2::Y, Vec2::NEG_X, Vec2::NEG_Y].into_iter().map(move |out| {
            let half = (PITCH - STREET) * 0.5;
            (block.center + out * half + out.perp() * (share - 0.5) * 2.0 * half, out)
        })
    })
}

fn lamps(layout: &Layout) -> Vec<(Prop, Affine3A)> {
    let at = [0.18, 0.5, 0.82].into_iter().flat_map(|share| kerbs(layout, share));
    let lamp = |(p, out): (Vec2, Vec2)| {
        let p = p - out * 0.6;
        (Prop::Lamp, facing(Vec3::new(p.x, KERB, p.y), Vec3::new(out.x, 0.0, out.y), 1.0))
    };
    nearest_first(at.map(lamp).collect())
}

fn parked_cars(layout: &Layout, seed: u64) -> Vec<(Prop, Affine3A)> {
    let mut random = Random::stream(seed, 71);
    let mut slots = Vec::new();
    for k in 0..6 {
        for (p, out) in kerbs(layout, 0.2 + 0.12 * k as f32) {
            // The street's middle stays free: lanes at 3.6 m from it are driven on.
            let p = p + out * 1.15;
            let along = out.perp() * if random.chance(0.5) { 1.0 } else { -1.0 };
            let keep = random.chance(0.6) && p.abs().max_element() < layout.edge() - 2.0;
            let prop = random.pick(&Prop::CARS);
            if keep {
                slots.push((
                    prop,
                    facing(Vec3::new(p.x, 0.0, p.y), Vec3::new(along.x, 0.0, along.y), random.range(0.94, 1.04)),
                ));
            }
        }
    }
    nearest_first(slots)
}

/// Houses on the land around the city, away from the river.
fn houses(layout: &Layout, seed: u64) -> Vec<(Prop, Affine3A)> {
    let mut random = Random::stream(seed, 72);
    let edge = layout.edge();
    let slots = (0..1200).map(|_| {
        let p = Vec2::new(random.range(-1.0, 1.0), random.range(-1.0, 0.95)) * (edge + 420.0);
        let turn = random.range(0.0, TAU);
        (p, Vec3::new(turn.sin(), 0.0, turn.cos()))
    });
    let outside = slots.filter(|(p, _)| p.abs().max_element() > edge + 24.0 && p.y < edge - 20.0);
    outside
        .map(|(p, to)| (Prop::House, facing(Vec3::new(p.x, ground::land_height(layout, p) - 0.3, p.y), to, 1.0)))
        .collect()
}

/// Along the avenue, in parks, along the other streets, then woods around the city: as many as anybody takes.
fn trees(layout: &Layout, seed: u64) -> impl Iterator<Item = (Prop, Affine3A)> {
    let mut random = Random::stream(seed, 73);
    let mut one = move |p: Vec2, y: f32, from: &[Prop]| {
        let turn = random.range(0.0, TAU);
        let prop = random.pick(from);
        (prop, facing(Vec3::new(p.x, y, p.y), Vec3::new(turn.sin(), 0.0, turn.cos()), random.range(0.8, 1.35)))
    };
    let mut along_streets = Vec::new();
    for k in 0..5 {
        for (p, out) in kerbs(layout, 0.1 + 0.2 * k as f32) {
            along_streets.push(one(p - out * (PAVEMENT * 0.35), KERB, &Prop::TREES));
        }
    }
    let mut random = Random::stream(seed, 74);
    let mut in_parks = Vec::new();
    for block in layout.blocks.iter().filter(|b| b.is_park) {
        for _ in 0..46 {
            let offset = Vec2::new(random.range(-0.95, 0.95), random.range(-0.95, 0.95)) * block.half();
            let on_land = offset.x.abs() > block.half().x * 0.5 || offset.y.abs() > block.half().y * 0.33;
            if on_land {
                in_parks.push(one(block.center + offset, KERB, &Prop::TREES));
            }
        }
    }
    let mut near_first = nearest_first(along_streets);
    // Parks are green first, then streets.
    near_first.splice(0..0, nearest_first(in_parks));
    for (prop, _) in
        near_first.iter_mut().filter(|(_, at)| Vec3::from(at.translation).distance(street_eye()) > FAR_TREES_M)
    {
        *prop = Prop::TreeSmall;
    }
    let edge = layout.edge();
    let land = Layout { size: layout.size, blocks: Vec::new() };
    let woods = std::iter::repeat_with(move || {
        loop {
            let p = Vec2::new(random.range(-1.0, 1.0), random.range(-1.0, 1.0)) * (edge + 600.0);
            let by_river = p.y > edge && p.y < edge + ground::RIVER + 24.0;
            if p.abs().max_element() > edge + 16.0 && !by_river {
                break one(p, ground::land_height(&land, p) - 0.2, &[Prop::Conifer, Prop::Conifer, Prop::TreeSmall]);
            }
        }
    });
    near_first.into_iter().chain(woods)
}

/// Where the street camera stands: on the avenue's eastern pavement, south of the crossing.
fn street_eye() -> Vec3 {
    Vec3::new(2.2, 2.1, 62.0)
}

fn cameras(layout: &Layout) -> Vec<NamedCamera> {
    let edge = layout.edge();
    let named = |name: &str, camera| NamedCamera { name: name.into(), camera };
    let shore = edge + 10.0 + ground::RIVER;
    vec![
        named("street", Camera::look_at(street_eye(), Vec3::new(-1.0, 13.0, -40.0), 0.95, ASPECT)),
        named(
            "skyline",
            Camera::look_at(
                Vec3::new(-edge * 0.35, 9.0, shore - 8.0),
                Vec3::new(-edge * 0.05, 45.0, 0.0),
                0.62,
                ASPECT,
            ),
        ),
        named(
            "overview",
            Camera::look_at(
                Vec3::new(-edge * 0.75, edge * 0.55 + 40.0, edge * 1.15),
                Vec3::new(0.0, 15.0, -edge * 0.1),
                0.75,
                ASPECT,
            ),
        ),
    ]
}

fn lights() -> Vec<Light> {
    let sun = Light {
        shape: LightShape::Directional { angle: SUN_HALF_ANGLE },
        color: Vec3::new(3.6, 2.9, 2.1),
        position: Vec3::ZERO,
        direction: Vec3::new(0.62, -0.52, -0.5).normalize(),
        range: 0.0,
        user_id: SUN_ID,
    };
    let mut lights = vec![sun];
    // Street lamps that are lit already: over the crossing and by the park.
    for (i, (x, z)) in [(7.2, 14.0), (-7.2, 14.0), (7.2, 46.0), (-7.2, 46.0)].into_iter().enumerate() {
        lights.push(Light {
            shape: LightShape::Point,
            color: Vec3::new(14.0, 9.5, 5.0),
            position: Vec3::new(x, 6.6, z),
            direction: Vec3::NEG_Y,
            range: 40.0,
            user_id: SUN_ID + 1 + i as u64,
        });
    }
    let cone = |outer: f32| LightShape::Spot { inner: outer * 0.7, outer };
    let moving = [
        (cone(0.5), Vec3::new(60.0, 75.0, 90.0)),
        (cone(0.45), Vec3::new(280.0, 250.0, 200.0)),
        (cone(FRAC_PI_2 * 0.3), Vec3::new(60.0, 58.0, 50.0)),
        (LightShape::Point, Vec3::new(2.0, 6.0, 22.0)),
    ];
    for (k, ((shape, color), user_id)) in moving.into_iter().zip(MOVABLE_LIGHTS).enumerate() {
        let (position, direction) = motion::light_pose(k, 0.0);
        lights.push(Light { shape, color, position, direction, range: 60.0, user_id });
    }
    lights
}
