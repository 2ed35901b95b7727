//! Poses on the wire: 23 bytes a joint where joints turn, move and scale evenly, 48 where one of a pose does more.
//!
//! A turn is a unit quaternion without its largest component, 18 bits for each of the others: it arrives within 1.5e-5 radians.
//! Offsets and scales are exact. A palette turns about the mesh's origin, so a vertex two metres off is where the engine has it
//! within 30 micrometres: in G-buffer mode rays leave the engine's surface, and must not start below the peer's.

use crate::cursor::{Reader, Writer, out_of_range};
use crate::{WireError, limits};
use glam::{Affine3A, Mat3, Mat3A, Quat, Vec3A};
use rayloom_scene::Pose;
use std::f32::consts::SQRT_2;

/// Bytes beside the joints and weights.
const FIXED_BYTES: usize = 9;
const EVEN_JOINT_BYTES: usize = 23;
const AFFINE_JOINT_BYTES: usize = 48;
/// Largest difference of a matrix from an even one's, as a share of its scale, that passes for rounding.
const EVEN_WITHIN: f32 = 2e-5;
/// Bits of a quaternion's component, and its steps from 0 to its largest value.
const COMPONENT_BITS: u32 = 18;
const STEPS: f32 = 131_071.0;

/// A turn, a scale of all axes alike, an offset.
struct Even {
    turn: Quat,
    scale: f32,
    offset: Vec3A,
}

impl Even {
    fn of(joint: &Affine3A) -> Option<Even> {
        let m = joint.matrix3;
        let scale = (m.x_axis.length() + m.y_axis.length() + m.z_axis.length()) / 3.0;
        // What is 1 but for rounding is 1.
        let scale = if (scale - 1.0).abs() < 1e-6 { 1.0 } else { scale };
        let turn = Quat::from_mat3(&Mat3::from(m * (1.0 / scale))).normalize();
        let again = Mat3A::from_quat(turn) * scale;
        let close = |a: Vec3A, b: Vec3A| (a - b).abs().max_element() <= EVEN_WITHIN * scale;
        let even = close(m.x_axis, again.x_axis) && close(m.y_axis, again.y_axis) && close(m.z_axis, again.z_axis);
        even.then_some(Even { turn, scale, offset: joint.translation })
    }
}

/// Bytes that a pose takes in a message.
pub fn pose_bytes(pose: &Pose) -> usize {
    let joint = if is_even(pose) { EVEN_JOINT_BYTES } else { AFFINE_JOINT_BYTES };
    FIXED_BYTES + pose.palette.len() * joint + pose.morph_weights.len() * 4
}

fn is_even(pose: &Pose) -> bool {
    pose.palette.iter().all(|joint| Even::of(joint).is_some())
}

pub(crate) fn write(w: &mut Writer, pose: &Pose) {
    w.u32(pose.instance);
    let even: Option<Vec<Even>> = pose.palette.iter().map(Even::of).collect();
    w.u8(u8::from(even.is_some()));
    w.count(pose.palette.len());
    match even {
        Some(even) => even.iter().for_each(|joint| write_even(w, joint)),
        None => pose.palette.iter().for_each(|joint| w.transform(joint)),
    }
    w.count(pose.morph_weights.len());
    pose.morph_weights.iter().for_each(|weight| w.f32(*weight));
}

pub(crate) fn read(r: &mut Reader) -> Result<Pose, WireError> {
    let instance = r.u32("pose.instance")?;
    let even = match r.u8("pose.kind")? {
        0 => false,
        1 => true,
        kind => return Err(out_of_range("pose.kind", kind, "0 or 1")),
    };
    let bytes = if even { EVEN_JOINT_BYTES } else { AFFINE_JOINT_BYTES };
    let count = r.count("pose.palette", limits::JOINTS_PER_POSE, bytes)?;
    let joint = |_| if even { read_even(r) } else { read_affine(r) };
    let palette = (0..count).map(joint).collect::<Result<Vec<_>, _>>()?;
    let count = r.count("pose.morph_weights", limits::MORPH_WEIGHTS_PER_POSE, 4)?;
    let morph_weights = (0..count).map(|_| r.finite("pose.morph_weight")).collect::<Result<Vec<_>, _>>()?;
    Ok(Pose { instance, palette, morph_weights })
}

fn write_even(w: &mut Writer, joint: &Even) {
    let q = joint.turn.to_array();
    let largest = (0..4).fold(0, |best, i| if q[i].abs() > q[best].abs() { i } else { best });
    let sign = q[largest].signum();
    let mut bits = largest as u64;
    for (_, v) in q.iter().enumerate().filter(|(i, _)| *i != largest) {
        let step = (v * sign * SQRT_2 * STEPS).round().clamp(-STEPS, STEPS) + STEPS;
        bits = bits << COMPONENT_BITS | step as u64;
    }
    w.u32(bits as u32);
    w.u16((bits >> 32) as u16);
    w.u8((bits >> 48) as u8);
    w.f32(joint.scale);
    w.vec3(joint.offset.into());
}

fn read_even(r: &mut Reader) -> Result<Affine3A, WireError> {
    let low = u64::from(r.u32("pose.turn")?);
    let middle = u64::from(r.u16("pose.turn")?) << 32;
    let bits = u64::from(r.u8("pose.turn")?) << 48 | middle | low;
    let mut shift = 3 * COMPONENT_BITS;
    let largest = (bits >> shift & 3) as usize;
    let mut q = [0.0f32; 4];
    for (_, v) in q.iter_mut().enumerate().filter(|(i, _)| *i != largest) {
        shift -= COMPONENT_BITS;
        *v = ((bits >> shift & ((1 << COMPONENT_BITS) - 1)) as f32 - STEPS) / (STEPS * SQRT_2);
    }
    q[largest] = (1.0 - q.iter().map(|v| v * v).sum::<f32>()).max(0.0).sqrt();
    let turn = Quat::from_array(q).normalize();
    let scale = r.finite("pose.scale")?;
    let offset = r.vec3("pose.offset")?;
    Ok(Affine3A { matrix3: Mat3A::from_quat(turn) * scale, translation: offset.into() })
}

/// Unlike an instance's transform, a joint's may be flat: what hangs on it vanishes.
fn read_affine(r: &mut Reader) -> Result<Affine3A, WireError> {
    let mut column = || Ok(Vec3A::from(r.vec3("pose.joint")?));
    let matrix3 = Mat3A::from_cols(column()?, column()?, column()?);
    Ok(Affine3A { matrix3, translation: column()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use glam::{EulerRot, Vec3};

    fn round_trip(pose: &Pose) -> (Pose, usize) {
        let mut w = Writer::new(0);
        write(&mut w, pose);
        let bytes: Bytes = w.finish().slice(1..);
        let mut r = Reader::new(bytes.clone());
        let again = read(&mut r).unwrap();
        r.finish().unwrap();
        assert_eq!(bytes.len(), pose_bytes(pose));
        (again, bytes.len())
    }

    fn character() -> Pose {
        let joint = |i: usize| {
            let f = i as f32;
            let turn = Quat::from_euler(EulerRot::XYZ, f * 1.7, f * 0.9 - 3.0, f * 0.31);
            let scale = if i.is_multiple_of(5) { 1.0 + f * 0.01 } else { 1.0 };
            Affine3A::from_scale_rotation_translation(Vec3::splat(scale), turn, Vec3::new(f * 0.1, -f, 0.3))
        };
        Pose { instance: 9, palette: (0..64).map(joint).collect(), morph_weights: Vec::new() }
    }

    #[test]
    fn a_character_of_64_joints_takes_less_than_one_and_a_half_kilobytes() {
        let pose = character();
        let (again, bytes) = round_trip(&pose);
        assert_eq!(bytes, 1481);
        for (a, b) in pose.palette.iter().zip(&again.palette) {
            assert_eq!(a.translation, b.translation);
            let [x, y] = [a, b].map(|m| Quat::from_mat3(&Mat3::from(m.matrix3 * (1.0 / m.matrix3.x_axis.length()))));
            // Of one quaternion to the other, by their difference: an angle this small has no cosine in 32 bits.
            let off = 2.0 * (x - y).length().min((x + y).length());
            assert!(off < 1.5e-5, "{off} radians");
            // Rays that leave the engine's surface begin some 60 micrometres above it.
            let vertex = Vec3A::new(0.3, 1.9, -0.5);
            let off = (a.matrix3 * vertex - b.matrix3 * vertex).length();
            assert!(off < 3e-5 * a.matrix3.x_axis.length(), "{off} m");
            assert!((a.matrix3.x_axis.length() - b.matrix3.x_axis.length()).abs() < 2e-6);
        }
        assert_eq!(round_trip(&again).0.instance, 9);
    }

    #[test]
    fn uneven_joints_arrive_as_they_are() {
        let mut pose = character();
        pose.palette[3] = Affine3A::from_scale(Vec3::new(1.0, 2.0, 0.0));
        pose.morph_weights = vec![0.25, -1.0];
        let (again, bytes) = round_trip(&pose);
        assert_eq!((again, bytes), (pose, 9 + 64 * 48 + 8));
        // Scaled to nothing, nearly so, mirrored: no turns of an even scale.
        for joint in [Affine3A::from_scale(Vec3::ZERO), Affine3A::from_scale(Vec3::splat(1e-40))] {
            let pose = Pose { palette: vec![joint, Affine3A::IDENTITY], ..Pose::default() };
            assert_eq!(round_trip(&pose).0, pose);
        }
        let mirrored = Pose { palette: vec![Affine3A::from_scale(Vec3::new(-1.0, 1.0, 1.0))], ..Pose::default() };
        assert_eq!(round_trip(&mirrored).0, mirrored);
        let still = Pose { palette: vec![Affine3A::IDENTITY; 3], ..Pose::default() };
        assert_eq!(round_trip(&still).0, still);
    }
}
