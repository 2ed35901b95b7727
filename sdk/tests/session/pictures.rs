//! Pictures as engines take them: in any format and pre-exposure, filtered or not; light that changes, paths that go on.

use crate::embedded::{PATIENCE, first_fresh, session, square};
use glam::Vec3;
use half::f16;
use rayloom::frame::{Extent, LayerKind, PictureFormat, Rect};
use rayloom::scene::{Camera, Environment};
use rayloom::{
    Accumulation, Denoise, FrameDesc, LayerDesc, Output, Overlay, SceneHandle, Session, Tier, ToneMap, ViewDesc,
    ViewHandle,
};
use std::sync::Arc;
use std::time::Duration;

const SIZE: Extent = Extent::new(96, 64);

fn view(session: &Session, change: impl FnOnce(&mut ViewDesc)) -> ViewHandle {
    let mut desc = ViewDesc { accumulation: Accumulation::Off, output_planes: true, ..ViewDesc::new(SIZE) };
    change(&mut desc);
    desc.layers.iter_mut().for_each(|layer| layer.deadline = Duration::from_secs(30));
    session.create_view(desc).unwrap()
}

/// The square near the camera, lit by a sun and by the sky.
fn scene(session: &Session) -> (SceneHandle, u64) {
    let scene = session.create_scene();
    let mut square = square(Vec3::new(0.0, 0.0, -0.9));
    square.environment = Environment { ground: Vec3::ZERO, ..Environment::constant(Vec3::new(0.2, 0.3, 0.5)) };
    scene.replace(square).unwrap();
    let revision = scene.commit().unwrap();
    (scene, revision)
}

fn desc(frame_id: u64, revision: u64) -> FrameDesc {
    let camera = Camera::with_fov(0.9, SIZE.width as f32 / SIZE.height as f32);
    FrameDesc { tone_map: ToneMap::Linear, ..FrameDesc::new(frame_id, revision, camera) }
}

fn show(view: &ViewHandle, desc: FrameDesc) -> Arc<Output> {
    let frame_id = desc.frame_id;
    view.begin_frame(desc).unwrap();
    let output = view.acquire(frame_id, PATIENCE).unwrap();
    assert_eq!((output.frame_id, output.fresh), (frame_id, 1.0));
    output
}

/// Red light of a layer in the middle of the picture, where the square is.
fn middle(output: &Output, kind: LayerKind) -> Vec<f32> {
    let layers = &output.planes.as_ref().unwrap().layers;
    let (_, pixels) = layers.iter().find(|(found, _)| *found == kind).unwrap();
    let inside = (16..48).flat_map(|y| (24..72).map(move |x| y * SIZE.width as usize + x));
    inside.map(|i| f16::from_bits(pixels[i][0]).to_f32()).collect()
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

fn variance(values: &[f32]) -> f32 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / values.len() as f32
}

#[test]
fn pre_exposure_scales_layers_and_not_the_picture() {
    let session = session();
    let (_scene, revision) = scene(&session);
    let view = view(&session, |_| ());
    let first = first_fresh(&view, revision, 0).frame_id;
    let outputs = [(1.0, 1), (1.0 / 64.0, 2)]
        .map(|(pre_exposure, later)| show(&view, FrameDesc { pre_exposure, ..desc(first + later, revision) }));
    let [whole, dimmed] = outputs.each_ref().map(|output| mean(&middle(output, LayerKind::Direct)));
    assert!((whole / dimmed / 64.0 - 1.0).abs() < 0.01, "{whole} and {dimmed}");
    assert_eq!([outputs[0].pre_exposure, outputs[1].pre_exposure], [1.0, 1.0 / 64.0]);
    let [a, b] = outputs
        .each_ref()
        .map(|output| output.color.iter().map(|code| u64::from(*code)).sum::<u64>() as f32 / output.color.len() as f32);
    assert!((a - b).abs() < 1.0, "mean codes {a} and {b}");
}

#[test]
fn half_floats_keep_light_that_bytes_clamp() {
    let session = session();
    let (_scene, revision) = scene(&session);
    let wide = view(&session, |desc| desc.picture = PictureFormat::Rgba16Float);
    let bytes = view(&session, |_| ());
    first_fresh(&wide, revision, 0);
    let bright = |frame_id| FrameDesc { exposure: 50.0, ..desc(frame_id, revision) };
    let (wide, bytes) = (show(&wide, bright(1_000_000)), show(&bytes, bright(1_000_000)));
    let centre = (SIZE.height / 2 * SIZE.width + SIZE.width / 2) as usize;
    assert_eq!(wide.format, PictureFormat::Rgba16Float);
    assert_eq!(wide.color.len(), 2 * bytes.color.len());
    let red = f16::from_le_bytes([wide.color[centre * 8], wide.color[centre * 8 + 1]]).to_f32();
    assert!(red > 5.0, "{red}");
    assert_eq!(bytes.color[centre * 4], 255);
}

#[test]
fn a_denoised_view_has_less_noise_and_says_so() {
    let session = session();
    let (_scene, revision) = scene(&session);
    let views = [Denoise::Off, Denoise::Cpu, Denoise::Gpu].map(|denoise| view(&session, |desc| desc.denoise = denoise));
    first_fresh(&views[0], revision, 0);
    let outputs = views.each_ref().map(|view| show(view, desc(1_000_000, revision)));
    assert_eq!(outputs.each_ref().map(|output| output.is_denoised), [false, true, true]);
    let [noisy, clean @ ..] = outputs.each_ref().map(|output| middle(output, LayerKind::Indirect));
    for clean in &clean {
        assert!(variance(clean) < 0.1 * variance(&noisy), "{} and {}", variance(&noisy), variance(clean));
        assert!((mean(clean) / mean(&noisy) - 1.0).abs() < 0.1, "{} and {}", mean(&noisy), mean(clean));
    }
    let apart = clean[0].iter().zip(&clean[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 0.01 * mean(&noisy), "the GPU's picture is {apart} from the CPU's");
    assert!(outputs[1].times.filter_ms > 0.0);
}

#[test]
fn a_sun_that_sets_is_gone_within_three_frames() {
    let session = session();
    let (scene, revision) = scene(&session);
    let view = view(&session, |desc| desc.accumulation = Accumulation::Frames(64));
    let first = first_fresh(&view, revision, 0).frame_id + 1;
    let last_of = |frames: std::ops::Range<u64>, revision| {
        let shown: Vec<_> = frames.map(|frame_id| show(&view, desc(frame_id, revision))).collect();
        shown.last().map(Arc::clone).unwrap()
    };
    let lit = last_of(first..first + 24, revision);
    let sun = scene.read(|scene| scene.lights[0]);
    scene.set_light(0, rayloom::scene::Light { color: Vec3::ZERO, ..sun }).unwrap();
    let dark = scene.commit().unwrap();
    let set = last_of(first + 24..first + 27, dark);
    let [before, after] = [&lit, &set].map(|output| mean(&middle(output, LayerKind::Direct)));
    assert!(before > 0.1 && after < 0.02 * before, "{after} of {before} stays");
}

#[test]
fn paths_of_a_still_view_converge_beyond_its_history() {
    let session = session();
    let (_scene, revision) = scene(&session);
    let view = view(&session, |desc| {
        desc.layers = vec![LayerDesc::new(LayerKind::Path, Tier::T4)];
        desc.accumulation = Accumulation::Frames(4);
    });
    let first = first_fresh(&view, revision, 0).frame_id + 1;
    let mut noise = Vec::new();
    for frame_id in first..first + 128 {
        noise.push(variance(&middle(&show(&view, desc(frame_id, revision)), LayerKind::Path)));
    }
    // Eight times as many samples have an eighth of the noise; history of four frames alone would stay where it was.
    assert!(noise[127] < noise[15] / 5.0, "{} after 16 frames, {} after 128", noise[15], noise[127]);
    // Other light is asked for: it is no part of that sum, and history counts for four frames again.
    let mut other = LayerDesc::new(LayerKind::Path, Tier::T4);
    other.request.bounces = 1;
    other.deadline = Duration::from_secs(30);
    let changed = show(&view, FrameDesc { layers: vec![other], ..desc(first + 128, revision) });
    let noise_now = variance(&middle(&changed, LayerKind::Path));
    assert!(noise_now > 2.0 * noise[127], "{noise_now} after {}", noise[127]);
}

#[test]
fn what_blocks_cost_is_drawn_over_the_picture() {
    let session = session();
    let (_scene, revision) = scene(&session);
    let view = view(&session, |_| ());
    let mut next = first_fresh(&view, revision, 0).frame_id;
    let mut shown = |overlay: Overlay| {
        view.set_overlay(overlay).unwrap();
        next += 1;
        show(&view, desc(next, revision))
    };
    // Mean codes of the block in the lower right corner, which shows ground and nothing else, and of one on the square.
    let means = |output: &Output, x: u32, y: u32| {
        let pixels = (y..y + 14).flat_map(|y| (x..x + 14).map(move |x| (y * SIZE.width + x) as usize));
        let codes: Vec<[f32; 3]> = pixels.map(|i| [0, 1, 2].map(|c| f32::from(output.color[4 * i + c]))).collect();
        [0, 1, 2].map(|c| codes.iter().map(|code| code[c]).sum::<f32>() / codes.len() as f32)
    };
    let plain = shown(Overlay::Off);
    // Three parts of five are the map's colour: red and green grow with cost.
    let red_of = |drawn: &Output, x: u32, y: u32| (means(drawn, x, y)[0] - 0.4 * means(&plain, x, y)[0]) / 0.6;
    let shows_costs = |drawn: &Output| red_of(drawn, 41, 25) > red_of(drawn, 81, 49) + 40.0;
    let drawn = shown(Overlay::Prediction);
    assert!(shows_costs(&drawn), "{} to {}", red_of(&drawn, 81, 49), red_of(&drawn, 41, 25));
    assert!(drawn.tiles.iter().all(|tile| tile.predicted_ms > 0.0), "{:?}", drawn.tiles);
    // A tile that the machine was late with is bright all over in its own frame; not so in the next ones.
    assert!((0..32).any(|_| shows_costs(&shown(Overlay::Cost))), "no frame's measured costs show the square");
    let error = shown(Overlay::Error);
    for tile in error.tiles.iter().filter(|tile| tile.arrived) {
        // Below the label, and no border: red over blue is by how much it took longer, full at twice.
        let inside =
            Rect::new(tile.rect.x + 1, tile.rect.y + 14, tile.rect.width - 2, tile.rect.height.saturating_sub(15));
        let red_over_blue = |output: &Output| {
            let pixels = (inside.y..inside.bottom()).flat_map(|y| (inside.x..inside.right()).map(move |x| (x, y)));
            let apart = pixels.map(|(x, y)| 4 * (y * SIZE.width + x) as usize);
            let apart = apart.map(|i| f32::from(output.color[i]) - f32::from(output.color[i + 2]));
            apart.sum::<f32>() / inside.pixels() as f32
        };
        let drawn = (red_over_blue(&error) - 0.4 * red_over_blue(&plain)) / 0.6;
        let expected = 235.0 * (tile.peer_ms / tile.predicted_ms).log2().clamp(-1.0, 1.0);
        assert!((drawn - expected).abs() < 12.0, "{drawn} for {expected} of {tile:?}");
    }
    assert!(error.tiles.iter().any(|tile| tile.arrived), "{:?}", error.tiles);
    let off = shown(Overlay::Off);
    assert!((means(&off, 41, 25)[0] - means(&plain, 41, 25)[0]).abs() < 6.0, "nothing stays");
}
