//! What moves: the city's cars, drones and lights, as the scene's own module places them at each second; of a scene from a
//! file, what its animation moves and shapes.

use glam::Affine3A;
use rayloom::scene::animation::Rig;
use rayloom::scene::city::{MOVABLE_LIGHTS, MOVABLE_OBJECTS, pose};
use rayloom::scene::{Light, Pose, Scene};

/// Everything that moves, at a time.
#[derive(Default)]
pub(crate) struct Placed {
    /// Pairs of index and transform.
    pub(crate) transforms: Vec<(u32, Affine3A)>,
    /// Shapes of instances with joints or morph targets.
    pub(crate) poses: Vec<Pose>,
    /// Pairs of index and light.
    pub(crate) lights: Vec<(u32, Light)>,
}

/// What moves a scene.
pub(crate) enum Motion {
    /// The generated city, and its movable instances and lights.
    City { scene: Box<Scene>, instances: Vec<u32>, lights: Vec<u32> },
    /// One of a file's animations, again and again.
    Animation { rig: Rig, index: usize },
    /// A file without animations.
    Nothing,
}

impl Motion {
    /// Of a city.
    pub(crate) fn of_city(scene: &Scene) -> Motion {
        let is_movable = |id: u64| MOVABLE_OBJECTS.iter().any(|(_, movable)| *movable == id);
        let instances = scene.instances.iter().enumerate().filter(|(_, at)| is_movable(at.user_id));
        let lights = scene.lights.iter().enumerate().filter(|(_, light)| MOVABLE_LIGHTS.contains(&light.user_id));
        Motion::City {
            instances: instances.map(|(i, _)| i as u32).collect(),
            lights: lights.map(|(i, _)| i as u32).collect(),
            scene: Box::new(scene.clone()),
        }
    }

    /// Of a file, by one of its animations; an error where it has some, but not this one.
    pub(crate) fn of_file(rig: Rig, index: usize) -> Result<Motion, String> {
        match rig.animations.len() {
            0 => Ok(Motion::Nothing),
            count if index >= count => Err(format!("--animation {index}: the scene has {count}, counted from 0")),
            _ => Ok(Motion::Animation { rig, index }),
        }
    }

    /// Where everything is at a second.
    pub(crate) fn at(&mut self, second: f64) -> Placed {
        match self {
            Motion::City { scene, instances, lights } => {
                pose(scene, second);
                let instances = instances.iter().map(|i| (*i, scene.instances[*i as usize].transform));
                let lights = lights.iter().map(|i| (*i, scene.lights[*i as usize]));
                Placed { transforms: instances.collect(), poses: Vec::new(), lights: lights.collect() }
            }
            Motion::Animation { rig, index } => {
                let animation = &rig.animations[*index];
                let duration = f64::from(animation.duration());
                let second = if duration > 0.0 { second.rem_euclid(duration) } else { 0.0 };
                let moved = rig.at(Some((animation, second as f32)));
                Placed { transforms: moved.transforms, poses: moved.poses, lights: Vec::new() }
            }
            Motion::Nothing => Placed::default(),
        }
    }
}

/// The time of what moves: it goes on while nobody paused it, or stands where the command line put it.
pub(crate) struct Clock {
    second: f64,
    runs: bool,
}

impl Clock {
    pub(crate) fn new(stands_at: Option<f64>) -> Clock {
        Clock { second: stands_at.unwrap_or(0.0), runs: stands_at.is_none() }
    }

    pub(crate) fn pause_or_go_on(&mut self) {
        self.runs ^= true;
    }

    /// Goes on by so many seconds; the second that it is then.
    pub(crate) fn advance(&mut self, seconds: f64) -> f64 {
        self.second += if self.runs { seconds } else { 0.0 };
        self.second
    }
}
