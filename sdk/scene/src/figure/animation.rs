//! How the figure walks and waves: a rotation of each joint at each time.

use super::skeleton::{Joint, Part};
use glam::Quat;
use std::f32::consts::TAU;

/// Seconds of two steps, and of a wave.
pub(super) const WALK_S: f32 = 1.2;
pub(super) const WAVE_S: f32 = 2.0;
/// Keys of each channel; the last is the first again.
pub(super) const KEYS: usize = 17;

/// A joint's rotation at a share of two steps.
pub(super) fn walking(joint: &Joint, share: f32) -> Quat {
    let turn = share * TAU;
    // The left leg and the right arm swing forward together.
    let swing = turn.sin() * joint.side;
    let x = Quat::from_rotation_x;
    match joint.part {
        Part::Hips => Quat::from_rotation_y(0.1 * turn.sin()),
        Part::Spine => Quat::from_rotation_y(-0.04 * turn.sin()) * Quat::from_rotation_z(0.008 * turn.cos()),
        Part::Head => Quat::from_rotation_y(0.05 * turn.sin()) * x(0.03 * (2.0 * turn).cos()),
        Part::Clavicle => Quat::from_rotation_y(-0.05 * swing),
        Part::Shoulder => x(0.45 * swing) * lowered(joint),
        Part::Elbow => Quat::from_rotation_y(joint.side * (-0.45 + 0.15 * swing)),
        Part::Wrist => Quat::from_rotation_z(-0.1 * joint.side),
        Part::Finger => Quat::from_rotation_z(-joint.side * (0.3 + 0.1 * turn.sin())),
        Part::Thigh => x(-0.5 * swing),
        Part::Knee => x(0.4 * (1.0 + (turn - 0.8).cos() * joint.side)),
        Part::Ankle => x(0.25 * swing),
        Part::Toe => x(-0.15 * (1.0 - swing)),
        Part::Braid => braid(joint, turn),
    }
}

/// A joint's rotation at a share of a wave of the left hand.
pub(super) fn waving(joint: &Joint, share: f32) -> Quat {
    let turn = share * TAU;
    match (joint.part, joint.side > 0.0) {
        (Part::Shoulder, true) => Quat::from_rotation_z(0.5),
        (Part::Elbow, true) => Quat::from_rotation_z(1.0 + 0.4 * (2.0 * turn).sin()),
        (Part::Shoulder, false) => lowered(joint),
        (Part::Head, _) => Quat::from_rotation_z(-0.08 * turn.sin()),
        (Part::Braid, _) => braid(joint, turn),
        _ => Quat::IDENTITY,
    }
}

/// An arm that hangs down instead of being spread.
fn lowered(joint: &Joint) -> Quat {
    Quat::from_rotation_z(-1.35 * joint.side)
}

/// A wave that runs down it.
fn braid(joint: &Joint, turn: f32) -> Quat {
    let late = turn - joint.place as f32 * 0.5;
    Quat::from_rotation_z(0.12 * late.sin()) * Quat::from_rotation_x(0.06 * (2.0 * late).cos())
}
