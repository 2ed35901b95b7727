//! What moves: the city's cars, drones and lights, as the scene's own module places them at each second.

use glam::Affine3A;
use rayloom::scene::city::{MOVABLE_LIGHTS, MOVABLE_OBJECTS, pose};
use rayloom::scene::{Light, Scene};

/// Pairs of index and transform, of index and light.
pub(crate) type Placed = (Vec<(u32, Affine3A)>, Vec<(u32, Light)>);

/// The scene's movable instances and lights.
pub(crate) struct Motion {
    scene: Scene,
    instances: Vec<u32>,
    lights: Vec<u32>,
}

impl Motion {
    /// Of a city; scenes from files have nothing that moves.
    pub(crate) fn new(scene: &Scene, is_city: bool) -> Motion {
        let is_movable = |id: u64| MOVABLE_OBJECTS.iter().any(|(_, movable)| *movable == id);
        let place = |found: Option<usize>| found.map(|i| i as u32);
        let instances = scene.instances.iter().enumerate();
        let lights = scene.lights.iter().enumerate();
        Motion {
            scene: scene.clone(),
            instances: instances
                .filter_map(|(i, at)| place((is_city && is_movable(at.user_id)).then_some(i)))
                .collect(),
            lights: lights
                .filter_map(|(i, light)| place((is_city && MOVABLE_LIGHTS.contains(&light.user_id)).then_some(i)))
                .collect(),
        }
    }

    /// Where everything is at a second.
    pub(crate) fn at(&mut self, second: f64) -> Placed {
        if self.instances.is_empty() {
            return (Vec::new(), Vec::new());
        }
        pose(&mut self.scene, second);
        let instances = self.instances.iter().map(|i| (*i, self.scene.instances[*i as usize].transform));
        let lights = self.lights.iter().map(|i| (*i, self.scene.lights[*i as usize]));
        (instances.collect(), lights.collect())
    }
}
