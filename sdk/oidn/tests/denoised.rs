//! Noisy frames through the real library, and what is no library at all.

use glam::Vec3;
use half::f16;
use rayloom_frame::merge::{FrameInputs, MergeMode, Merger, PlannedTile};
use rayloom_frame::normal::encode_normal;
use rayloom_frame::{Extent, LayerKind, LayerPlane, LayerRequest, Primary, TracedTile};
use rayloom_oidn::{OidnError, OpenImageDenoise};
use rayloom_scene::Camera;

const EXTENT: Extent = Extent { width: 96, height: 64 };
/// Columns from here on look at the sky, which has no light in these layers.
const SKY: u32 = 80;
const KINDS: [LayerKind; 2] = [LayerKind::Direct, LayerKind::Path];

/// 0 or 2 with equal chance.
fn coin(x: u32, y: u32) -> f32 {
    let mut h = x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b);
    h = (h ^ h >> 15).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ h >> 12).wrapping_mul(0x297a_2d39);
    (h >> 31) as f32 * 2.0
}

/// A wall that is lit by chance, mean 1, with one pixel that is no number; paths are of half that light.
fn merged() -> Merger {
    let pixels = || (0..EXTENT.height).flat_map(|y| (0..EXTENT.width).map(move |x| (x, y)));
    let on_wall = |of: u32| pixels().map(|(x, _)| if x < SKY { of } else { 0 }).collect::<Vec<_>>();
    let half = |v: f32| f16::from_f32(v).to_bits();
    let light = |(x, y), scale: f32| match (x, y) {
        (5, 5) => half(f32::NAN),
        _ if x < SKY => half(coin(x, y) * scale),
        _ => 0,
    };
    let layer = |kind| {
        let scale = if kind == LayerKind::Path { 0.5 } else { 1.0 };
        let pixels = pixels().map(|at| [light(at, scale), light(at, scale), light(at, scale), half(7.0)]).collect();
        LayerPlane { kind, scale: 1, rect: EXTENT.rect(), pixels }
    };
    let traced = TracedTile {
        rect: EXTENT.rect(),
        layers: KINDS.map(layer).to_vec(),
        primary: Some(Primary {
            depth: pixels().map(|(x, _)| if x < SKY { 2.0 } else { f32::INFINITY }).collect(),
            normal: on_wall(encode_normal(Vec3::Z)),
            base_color: on_wall(u32::MAX),
            material: on_wall(255),
            motion: on_wall(0),
            instance_id: on_wall(1),
        }),
        block_rays: Vec::new(),
    };
    let mut merger = Merger::new(EXTENT);
    merger.set_mode(MergeMode::Passthrough);
    let (layers, tiles) = (KINDS.map(LayerRequest::new), [PlannedTile { rect: EXTENT.rect(), ghost: 0 }]);
    let camera = Camera::with_fov(1.0, EXTENT.width as f32 / EXTENT.height as f32);
    merger.begin(FrameInputs::new(1, camera, &layers, &tiles)).unwrap();
    merger.add_tile(1, 0, 0, &traced).unwrap();
    merger
}

#[test]
fn noise_goes_from_light_and_from_paths() {
    let Some(library) = rayloom_test_clients::open_image_denoise() else { return };
    let library = OpenImageDenoise::load_from(Some(&library)).unwrap();
    assert!(library.description().starts_with("Open Image Denoise 1.4."), "{}", library.description());
    let (mut merger, mut denoiser) = (merged(), library.denoiser());
    // Twice, as a view does, and the same.
    let digest = denoiser.run(&merger.finish().unwrap(), &|| true).unwrap().digest();
    let frame = denoiser.run(&merger.finish().unwrap(), &|| true).unwrap();
    assert_eq!(frame.digest(), digest);
    let frame_digest = merged().finish().unwrap().digest();
    let mut unwanted = library.denoiser();
    assert_eq!(unwanted.run(&merged().finish().unwrap(), &|| false).unwrap().digest(), frame_digest);
    for (kind, mean) in [(LayerKind::Direct, 1.0), (LayerKind::Path, 0.5)] {
        let pixels = frame.layer(kind).unwrap();
        assert!(pixels.iter().all(|p| f16::from_bits(p[3]).to_f32() == 7.0), "hit distances stay");
        let red = |(i, p): (usize, &[u16; 4])| (i as u32 % EXTENT.width, f16::from_bits(p[0]).to_f32());
        let wall: Vec<f32> =
            pixels.iter().enumerate().map(red).filter(|(x, _)| (8..SKY - 8).contains(x)).map(|(_, v)| v).collect();
        let found = wall.iter().sum::<f32>() / wall.len() as f32;
        let error = (wall.iter().map(|v| (v / mean - 1.0).powi(2)).sum::<f32>() / wall.len() as f32).sqrt();
        assert!((found / mean - 1.0).abs() < 0.1, "{kind:?}: mean {found} for {mean}");
        // The noise had 1.
        assert!(error < 0.25, "{kind:?}: relative error {error}");
    }
}

#[test]
fn what_is_no_library_is_named() {
    let said = |path: &std::path::Path| OpenImageDenoise::load_from(Some(path)).err().unwrap();
    let missing = said(std::path::Path::new("/nowhere/libOpenImageDenoise.so.2"));
    assert!(matches!(missing, OidnError::NotLoaded { .. }));
    for part in ["/nowhere/libOpenImageDenoise.so.2", "install it", "RAYLOOM_OIDN"] {
        assert!(missing.to_string().contains(part), "{missing}");
    }
    let text = std::env::temp_dir().join(format!("rayloom-oidn-{}.so", std::process::id()));
    std::fs::write(&text, "no library").unwrap();
    assert!(matches!(said(&text), OidnError::NotLoaded { .. }));
    std::fs::remove_file(&text).unwrap();
    #[cfg(target_os = "linux")]
    {
        let other = said(std::path::Path::new("libm.so.6"));
        assert!(matches!(other, OidnError::NoFunction { .. }), "{other}");
        assert!(other.to_string().contains("libm.so.6 has no function oidn"), "{other}");
    }
}
