//! What moves in the city, as a function of time: the same for everyone who asks for the same second.

use super::layout::PITCH;
use super::props::facing;
use super::{MOVABLE_LIGHTS, MOVABLE_OBJECTS};
use crate::Scene;
use glam::{Affine3A, Vec2, Vec3};
use std::f32::consts::{FRAC_PI_2, TAU};

/// Half the way between the centre lines of the streets around a block, less the distance to the lane's middle.
const LOOP_HALF: f32 = PITCH * 0.5 - 3.6;
const CORNER: f32 = 7.0;

/// The block whose kerb each car follows, its speed in m/s, and where on its way it starts (0 to 1).
const CARS: [(f32, f32, f32, f32); 6] = [
    (0.5, -0.5, 9.0, 0.98),
    (0.5, 0.5, 8.0, 0.06),
    (-0.5, 0.5, 10.0, 0.42),
    (-0.5, -0.5, 8.5, 0.36),
    (0.5, 0.5, 8.0, 0.55),
    (-0.5, 0.5, 10.0, 0.88),
];
/// Centre (x, z) and height of each drone's circle, its radius in metres, and turns per second.
const DRONES: [(f32, f32, f32, f32, f32); 2] = [(0.0, 18.0, 9.0, 11.0, 0.05), (-4.0, -30.0, 20.0, 20.0, -0.035)];

/// Puts the eight movable objects and four movable lights of a [`super::city`] where they are at this second.
///
/// Everything else stays as it is. Scenes that are no city are left alone.
pub fn pose(scene: &mut Scene, time_s: f64) {
    for instance in &mut scene.instances {
        if let Some(k) = MOVABLE_OBJECTS.iter().position(|(_, id)| *id == instance.user_id) {
            instance.transform = object(k, time_s);
        }
    }
    for light in &mut scene.lights {
        if let Some(k) = MOVABLE_LIGHTS.iter().position(|id| *id == light.user_id) {
            (light.position, light.direction) = light_pose(k, time_s);
        }
    }
}

/// Transform of a movable object: six cars, then two drones.
pub(super) fn object(k: usize, time_s: f64) -> Affine3A {
    if let Some(&(i, j, speed, start)) = CARS.get(k) {
        let length = loop_length();
        let way = (time_s * f64::from(speed) + f64::from(start * length)).rem_euclid(f64::from(length)) as f32;
        let (at, direction) = around_block(way);
        let center = Vec2::new(i, j) * PITCH;
        return facing(Vec3::new(center.x + at.x, 0.0, center.y + at.y), Vec3::new(direction.x, 0.0, direction.y), 1.0);
    }
    let (x, z, height, radius, turns) = DRONES[(k - CARS.len()) % DRONES.len()];
    let angle = (time_s * f64::from(turns)).rem_euclid(1.0) as f32 * TAU;
    let bob = (time_s * 0.4 + k as f64).rem_euclid(1.0) as f32;
    let place = Vec3::new(x + angle.sin() * radius, height + (bob * TAU).sin() * 0.5, z + angle.cos() * radius);
    facing(place, Vec3::new(angle.cos(), 0.0, -angle.sin()) * turns.signum(), 1.0)
}

/// Position and direction of a movable light: a lamp under each drone, a headlight, a beacon on a car's roof.
pub(super) fn light_pose(k: usize, time_s: f64) -> (Vec3, Vec3) {
    let (carrier, offset, direction) = match k {
        0 => (6, Vec3::new(0.0, -0.6, -0.35), Vec3::NEG_Y),
        1 => (7, Vec3::new(0.0, -0.6, -0.35), Vec3::NEG_Y),
        2 => (0, Vec3::new(0.0, 0.7, -2.4), Vec3::new(0.0, -0.12, -1.0).normalize()),
        _ => (2, Vec3::new(0.0, 2.1, 0.0), Vec3::NEG_Y),
    };
    let transform = object(carrier, time_s);
    (transform.transform_point3(offset), transform.transform_vector3(direction).normalize())
}

fn loop_length() -> f32 {
    8.0 * (LOOP_HALF - CORNER) + TAU * CORNER
}

/// Place and direction after `way` metres clockwise (seen from above, north is -z) around a block at the origin.
fn around_block(way: f32) -> (Vec2, Vec2) {
    let straight = 2.0 * (LOOP_HALF - CORNER);
    let arc = FRAC_PI_2 * CORNER;
    let side = (way / (straight + arc)).floor().min(3.0);
    let rest = way - side * (straight + arc);
    // North along the western street, then the corner to the east; the other sides are the same, turned.
    let (at, heading) = if rest < straight {
        (Vec2::new(-LOOP_HALF, LOOP_HALF - CORNER - rest), 0.0)
    } else {
        let turned = (rest - straight) / CORNER;
        let pivot = Vec2::new(-LOOP_HALF + CORNER, -LOOP_HALF + CORNER);
        (pivot + Vec2::new(-turned.cos(), -turned.sin()) * CORNER, turned)
    };
    let quarter = Vec2::from_angle(side * FRAC_PI_2);
    (quarter.rotate(at), quarter.rotate(Vec2::from_angle(heading).rotate(Vec2::NEG_Y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cars_drive_forward_on_the_right_without_jumps() {
        let length = loop_length();
        let steps = 2000;
        for i in 0..steps {
            let (a, direction) = around_block(length * i as f32 / steps as f32);
            let (b, _) = around_block(length * ((i + 1) % steps) as f32 / steps as f32);
            let step = b - a;
            assert!(step.length() < 1.2 * length / steps as f32, "a jump at step {i}: {a} to {b}");
            assert!(step.normalize().dot(direction) > 0.99, "step {i} goes {step}, the car faces {direction}");
            // The block lies on the right hand: with z growing southwards that is the heading turned by +90 degrees.
            assert!(direction.perp().dot(-a) > 0.0);
        }
    }
}
