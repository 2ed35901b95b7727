//! Whether pictures are alike however they are made: in tiles or whole, by one front end or another.

use half::f16;
use rayloom_frame::{Extent, LayerKind, LayerRequest, Rect, TracedTile};
use rayloom_renderer::{FrameState, FrontEnd, GpuFrame, Renderer, RendererOptions, TraceJob};
use rayloom_scene::Camera;
use std::sync::Arc;

const EXTENT: Extent = Extent::new(640, 360);
/// Where the view is cut, at odd places.
const CUTS: ([u32; 4], [u32; 4]) = ([0, 173, 401, 640], [0, 97, 251, 360]);
const LAYERS: [LayerRequest; 5] = {
    let mut layers = [LayerRequest { kind: LayerKind::Path, samples: 1, scale: 1, bounces: LayerRequest::BOUNCES }; 5];
    let mut i = 0;
    while i < 5 {
        layers[i].kind = LayerKind::ALL[i];
        i += 1;
    }
    layers
};

fn city(renderer: &Renderer) -> Result<(Arc<GpuFrame>, Camera), String> {
    let scene = rayloom_scene::city(200_000, 1);
    let camera = scene.cameras.iter().find(|c| c.name == "street").ok_or("the city has no street")?.camera;
    let on_device = renderer.create_scene(&scene, &mut |_| ()).map_err(|e| e.to_string())?;
    Ok((Arc::new(on_device.frame(&FrameState::default()).map_err(|e| e.to_string())?), camera))
}

/// The largest difference between a view in nine tiles with odd borders and the whole of it, in any layer.
pub(crate) fn seam_max_abs(renderer: &Renderer) -> Result<f64, String> {
    let (frame, camera) = city(renderer)?;
    let trace = |rect: Rect| {
        let job = TraceJob { rect, primary: false, ..TraceJob::whole_view(EXTENT, camera, &LAYERS) };
        renderer.trace(&frame, &job).map(|(tile, _)| tile).map_err(|e| e.to_string())
    };
    let whole = trace(EXTENT.rect())?;
    let mut largest = 0.0f64;
    for (top, bottom) in CUTS.1.iter().zip(&CUTS.1[1..]) {
        for (left, right) in CUTS.0.iter().zip(&CUTS.0[1..]) {
            let rect = Rect::new(*left, *top, right - left, bottom - top);
            for (part, of) in trace(rect)?.layers.iter().zip(&whole.layers) {
                for (i, pixel) in part.pixels.iter().enumerate() {
                    let (x, y) = (rect.x as usize + i % rect.width as usize, rect.y as usize + i / rect.width as usize);
                    let same = &of.pixels[y * EXTENT.width as usize + x];
                    let value = |bits: u16| f64::from(f16::from_bits(bits));
                    largest =
                        pixel.iter().zip(same).map(|(a, b)| (value(*a) - value(*b)).abs()).fold(largest, f64::max);
                }
            }
        }
    }
    Ok(largest)
}

/// Of a million pixels, those of the path-traced picture that another front end shows differently by more than 1/255: the
/// worst of all pairs.
pub(crate) fn front_end_pixels_differing_ppm() -> Result<f64, String> {
    let mut pictures: Vec<Vec<[u8; 3]>> = Vec::new();
    for front_end in FrontEnd::ALL {
        let options = RendererOptions { allow_cpu: true, front_end: Some(front_end), ..RendererOptions::default() };
        let Ok(renderer) = Renderer::new(&options) else { continue };
        let (frame, camera) = city(&renderer)?;
        let job = TraceJob { primary: false, ..TraceJob::whole_view(EXTENT, camera, &LAYERS) };
        pictures.push(shown(&renderer.trace(&frame, &job).map_err(|e| e.to_string())?.0));
    }
    if pictures.len() < 2 {
        return Err("the device has one front end only".into());
    }
    let differs = |(a, b): (&[u8; 3], &[u8; 3])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > 1);
    let pairs = pictures.iter().enumerate().flat_map(|(i, a)| pictures[i + 1..].iter().map(move |b| (a, b)));
    let counts = pairs.map(|(a, b)| a.iter().zip(b).filter(|pair| differs(*pair)).count());
    Ok(counts.max().unwrap_or(0) as f64 * 1e6 / EXTENT.pixels() as f64)
}

fn shown(tile: &TracedTile) -> Vec<[u8; 3]> {
    let path = tile.layers.iter().filter(|l| l.kind == LayerKind::Path).flat_map(|l| &l.pixels);
    path.map(|p| [p[0], p[1], p[2]].map(|bits| rayloom_frame::srgb::linear_to_srgb(f16::from_bits(bits).to_f32())))
        .collect()
}
