//! Who looks, and what viewers press: W A S D Q E and the mouse move, T draws tiles and costs, 1 2 3 choose the picture, the space bar
//! pauses what moves.

use rayloom::ViewMode;
use rayloom::scene::Camera;
use rayloom::stream::{InputEvent, InputKind};
use std::collections::HashSet;

/// Metres a second.
const SPEED: f32 = 12.0;
/// Radians for a CSS pixel of the mouse.
const TURN: f32 = 0.0025;
const STEEPEST: f32 = 1.5;

pub(crate) struct Walker {
    camera: Camera,
    yaw: f32,
    pitch: f32,
    held: HashSet<String>,
}

/// What a key asks for.
pub(crate) enum Wish {
    Mode(ViewMode),
    NextOverlay,
    TogglePause,
}

impl Walker {
    pub(crate) fn new(camera: Camera) -> Walker {
        let back = camera.rotation * glam::Vec3::Z;
        Walker { camera, yaw: back.x.atan2(back.z), pitch: -back.y.asin(), held: HashSet::new() }
    }

    /// Takes in what a viewer did.
    pub(crate) fn obey(&mut self, event: &InputEvent) -> Option<Wish> {
        match &event.kind {
            InputKind::PointerMove { dx, dy } => {
                self.yaw -= dx * TURN;
                self.pitch = (self.pitch - dy * TURN).clamp(-STEEPEST, STEEPEST);
            }
            InputKind::Key { code, down: true } => {
                self.held.insert(code.as_str().to_owned());
                return match code.as_str() {
                    "KeyT" => Some(Wish::NextOverlay),
                    "Space" => Some(Wish::TogglePause),
                    "Digit1" => Some(Wish::Mode(ViewMode::Remote)),
                    "Digit2" => Some(Wish::Mode(ViewMode::Local)),
                    "Digit3" => Some(Wish::Mode(ViewMode::Difference)),
                    _ => None,
                };
            }
            InputKind::Key { code, down: false } => {
                self.held.remove(code.as_str());
            }
            _ => {}
        }
        None
    }

    /// Walks on for so many seconds and looks from there.
    pub(crate) fn walk(&mut self, seconds: f32) -> Camera {
        let axis = |plus: &str, minus: &str| {
            f32::from(u8::from(self.held.contains(plus))) - f32::from(u8::from(self.held.contains(minus)))
        };
        let along = glam::Vec3::new(axis("KeyD", "KeyA"), 0.0, axis("KeyS", "KeyW"));
        self.camera.rotation = glam::Quat::from_rotation_y(self.yaw) * glam::Quat::from_rotation_x(self.pitch);
        let step = self.camera.rotation * along + glam::Vec3::Y * axis("KeyE", "KeyQ");
        self.camera.position += step * SPEED * seconds;
        self.camera
    }
}
