//! Sizes, offsets and values are the same on both sides of the header: a C compiler checks what Rust says.

use crate::*;
use std::fmt::Write;
use std::io::Write as _;
use std::mem::{offset_of, size_of};
use std::process::{Command, Stdio};

macro_rules! structs {
    ($($name:ident { $($field:ident),+ $(,)? })+) => {
        /// Each struct's name and size, and its fields with their offsets, in bytes.
        fn structs() -> Vec<(&'static str, usize, Vec<(&'static str, usize)>)> {
            // Naming every field here keeps the list complete.
            $(let _ = |$name { $($field: _),+ }: $name| ();)+
            vec![$((
                stringify!($name),
                size_of::<$name>(),
                vec![$((stringify!($field), offset_of!($name, $field))),+],
            )),+]
        }
    };
}

structs! {
    rayloom_peer_address { url, token, tls_pin }
    rayloom_session_desc {
        struct_type, struct_size, next, header_version, embedded, peers, peer_count, flags, embedded_device,
        max_frames_in_flight, worker_threads, capture_path, cache_dir, memory_limit,
        trusted_peers, evidence_dir, timeline_path, verified_share, reserved,
    }
    rayloom_event { struct_type, struct_size, next, kind, peer, revision, frame_id, text }
    rayloom_convention_desc {
        struct_type, struct_size, next, up_axis, handedness, camera_axes, metres_per_unit, matrix_storage, vector_side,
        winding, uv_origin, normal_map_green, normal_space, normal_encoding, depth_encoding, near_plane, far_plane,
        motion_encoding, motion_unit, motion_direction, motion_y, motion_jitter, motion_content, motion_unwritten,
        roughness_channel, metalness_channel, roughness_kind, light_scale, emissive_scale, reserved,
    }
    rayloom_layer { kind, tier, deadline_ns, samples, scale, bounces, reserved }
    rayloom_view_desc {
        struct_type, struct_size, next, convention, width, height, flags, layers, layer_count, accumulation_frames,
        filter_radius, tiles_per_peer_min, tiles_per_peer_max, color_format, frames_ahead, fill_budget_us,
    }
    rayloom_view_requirements_info { struct_type, struct_size, next, required_planes, optional_planes }
    rayloom_view_stats_info {
        struct_type, struct_size, next, frames, late_tiles, missing_tiles, fresh_fps, shown_fps, sent_bytes_per_s,
        received_bytes_per_s, times, peer_count, tiles, predicted_frames, missed_predictions, camera_model, camera_error_px,
        camera_error_median_px, held_ms, filled_parts, filled_pixels,
    }
    rayloom_camera { camera_to_world, vertical_fov_rad, aspect, jitter_px, center_ndc }
    rayloom_frame_desc {
        struct_type, struct_size, next, frame_id, revision, time_ns, world_origin, camera, previous_camera, exposure,
        pre_exposure, tone_map, flags, layer_count, reserved, layers, predicted_camera,
    }
    rayloom_plane_desc {
        struct_type, struct_size, next, kind, format, lifetime, memory_kind, data, size, row_pitch, width, height, view_x,
        view_y,
    }
    rayloom_tile { x, y, width, height, peer, arrived, peer_ms }
    rayloom_output_plane { kind, pixel_size, width, height, row_pitch, data }
    rayloom_stage_times {
        submit_ms, plan_ms, send_ms, queue_ms, upload_ms, trace_ms, encode_ms, return_ms, wait_ms, merge_ms, filter_ms,
        compose_ms, total_ms, analyse_ms,
    }
    rayloom_output_info {
        struct_type, struct_size, next, frame_id, time_ns, width, height, color, color_row_pitch, camera, fresh, tile_count, tiles,
        planes, plane_count, flags, color_format, pre_exposure, times, layer_ages,
    }
    rayloom_scene_desc { struct_type, struct_size, next, convention, flags }
    rayloom_environment_desc { struct_type, struct_size, next, zenith, horizon, ground, reserved }
    rayloom_scene_progress_info {
        struct_type, struct_size, next, revision, bytes_had, bytes_total, stage, fraction, peers_ready, peers_preparing,
        peers_failed, reserved,
    }
    rayloom_animation_info { struct_type, struct_size, next, name, duration_s, reserved }
    rayloom_texture_desc { struct_type, struct_size, next, user_id, format, width, height, reserved, data, size }
    rayloom_texture_slot { texture, rotation_rad, offset, scale }
    rayloom_material_desc {
        struct_type, struct_size, next, user_id, base_color, emissive, metallic, roughness, normal_scale, alpha_mode,
        alpha_cutoff, flags, transmission, ior, thickness, attenuation_distance, attenuation_color, base_color_texture,
        metallic_roughness_texture, normal_texture, emissive_texture, transmission_texture, thickness_texture,
    }
    rayloom_mesh_part { first_index, index_count, material }
    rayloom_mesh_desc {
        struct_type, struct_size, next, user_id, positions, normals, tangents, uvs, indices, parts, vertex_count,
        index_count, part_count, reserved,
    }
    rayloom_morph_target { positions, normals, tangents }
    rayloom_mesh_deformation_desc {
        struct_type, struct_size, next, joints, weights, targets, joint_count, target_count,
    }
    rayloom_instance_desc { struct_type, struct_size, next, user_id, mesh, reserved, transform }
    rayloom_light_desc {
        struct_type, struct_size, next, user_id, kind, angle_rad, color, position, direction, range, inner_rad, outer_rad,
    }
    rayloom_stream_desc {
        struct_type, struct_size, next, listen, token, origins, origin_count, max_viewers, width, height, bitrate_bps,
        max_fps,
    }
    rayloom_image_desc { struct_type, struct_size, next, pixels, row_pitch, width, height }
    rayloom_input_event { viewer, kind, down, button, dx, dy, reserved, text }
    rayloom_stream_stats_info {
        struct_type, struct_size, next, submitted, encoded, dropped, late, idr, bytes, viewers, fps, encode_ms,
        convert_ms, wait_ms, packetise_ms,
    }
}

/// The list as C.
fn assertions() -> String {
    let mut text = String::new();
    for (name, size, fields) in structs() {
        writeln!(text, "_Static_assert(sizeof({name}) == {size}, \"sizeof {name}\");").unwrap();
        for (field, offset) in fields {
            writeln!(text, "_Static_assert(offsetof({name}, {field}) == {offset}, \"{name}.{field}\");").unwrap();
        }
    }
    text
}

/// The list as C#, which finds a layout when it runs.
fn checks() -> String {
    let mut text = "using System; using System.Runtime.InteropServices; using Rayloom;\n\
                    unsafe static class Layout {\nstatic int wrong;\n\
                    static void Is(string what, long got, long expected) {\n\
                    if (got != expected) { Console.WriteLine(what + \" is \" + got + \", not \" + expected); wrong++; } }\n\
                    static long At<T>(string field) { return Marshal.OffsetOf(typeof(T), field).ToInt64(); }\n\
                    static int Main() {\n"
        .to_owned();
    for (name, size, fields) in structs() {
        writeln!(text, "Is(\"sizeof {name}\", sizeof({name}), {size});").unwrap();
        for (field, offset) in fields {
            writeln!(text, "Is(\"{name}.{field}\", At<{name}>(\"{field}\"), {offset});").unwrap();
        }
    }
    text + "return wrong; } }\n"
}

#[test]
fn csharp_and_rust_agree_on_every_struct() {
    let folder = std::env::temp_dir().join(format!("rayloom-csharp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (source, program) = (folder.join("Layout.cs"), folder.join("layout.exe"));
    std::fs::write(&source, checks()).unwrap();
    let declarations = concat!(env!("CARGO_MANIFEST_DIR"), "/../bindings/csharp/Rayloom.cs");
    let mut compiler = Command::new("mcs");
    compiler
        .args(["-unsafe", "-warnaserror"])
        .arg(format!("-out:{}", program.display()))
        .args([declarations.as_ref(), source.as_path()]);
    assert!(compiler.status().expect("Mono's compiler, mcs, is needed").success());
    let output = Command::new("mono").arg(&program).output().expect("Mono is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn c_and_rust_agree_on_every_struct() {
    let include = concat!(env!("CARGO_MANIFEST_DIR"), "/../include");
    let header = std::fs::read_to_string(format!("{include}/rayloom.h")).unwrap();
    let assertions = assertions();
    for line in header.lines().filter(|line| line.starts_with("typedef struct") && line.ends_with('{')) {
        let name = line.trim_start_matches("typedef struct ").trim_end_matches(" {");
        assert!(assertions.contains(&format!("sizeof({name})")), "{name} is not compared");
    }
    // `cargo xtask check --target` names the other system's compiler: these structs have one layout on all 64-bit targets.
    let compiler = std::env::var("RAYLOOM_TEST_CC").unwrap_or_else(|_| "cc".into());
    let mut compiler = Command::new(compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", include, "-x", "c", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("a C compiler is needed");
    let source = format!("#include <rayloom.h>\n{assertions}");
    compiler.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    assert!(compiler.wait().unwrap().success(), "the compiler's lines above name what differs");
}
