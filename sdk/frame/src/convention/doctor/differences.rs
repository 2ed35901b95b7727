//! Which fields of two conventions differ, and what to set them to.

use super::Choice;
use crate::convention::Convention;

/// What to change in `from` to get `to`; light and emission, of which planes tell nothing, are left out.
pub(super) fn between(from: &Convention, to: &Convention) -> Vec<Choice> {
    let mut choices = Vec::new();
    macro_rules! named {
        ($($field:ident)+) => {$(
            if from.$field != to.$field {
                choices.push(Choice { field: stringify!($field), value: to.$field.constant().into() });
            }
        )+};
    }
    let mut number = |name: &'static str, from: f32, to: f32| {
        (from != to).then(|| choices.push(Choice { field: name, value: rounded(to) }));
    };
    number("metres_per_unit", from.metres_per_unit, to.metres_per_unit);
    number("near_plane", from.near, to.near);
    number("far_plane", from.far, to.far);
    number("roughness_channel", from.roughness_channel as f32, to.roughness_channel as f32);
    number("metalness_channel", from.metalness_channel as f32, to.metalness_channel as f32);
    named! {
        up_axis handedness camera_axes matrix_storage vector_side winding uv_origin normal_map_green normal_space
        normal_encoding depth_encoding motion_encoding motion_unit motion_direction motion_y motion_jitter motion_content
        roughness_kind
    }
    choices
}

/// Three digits: what is measured is no more exact.
fn rounded(value: f32) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let unit = 10f64.powi(2 - f64::from(value).abs().log10().floor() as i32);
    ((f64::from(value) * unit).round() / unit).to_string()
}
