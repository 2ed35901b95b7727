//! Pictures against references that another renderer made: by paths, and by the real-time layers accumulated.

mod alike;
mod ours;
pub(crate) mod reference;

use crate::report::Report;
use glam::Vec3;
use rayloom_renderer::{Renderer, RendererOptions};
use reference::Reference;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of references: NAME.json beside NAME/reference.exr and NAME/meta.json.
    #[arg(long, value_name = "DIR", default_value = "../shared/reference")]
    reference: PathBuf,
    /// All references instead of the first, and four times the samples.
    #[arg(long)]
    full: bool,
    /// Samples a pixel of the path-traced picture, in two halves.
    #[arg(long)]
    samples: Option<u32>,
    /// Writes NAME.png there: the reference, paths, layers, a moving view merged and filtered, and the differences of paths
    /// and layers, eight times.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
}

/// Pixels along a side of the squares whose means are compared.
const SQUARE: usize = 4;

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let mut report = Report::new("picture");
    let samples = arguments.samples.unwrap_or(if arguments.full { 512 } else { 128 });
    let mut names = reference::names(&arguments.reference)?;
    let found = names.len();
    if !arguments.full {
        // The smallest file that is not trivial to light: a lamp of glass, where it is there.
        names.sort_by_key(|n| n != "lamp");
        names.truncate(1);
    }
    let options = RendererOptions { allow_cpu: true, ..RendererOptions::default() };
    let renderer = Renderer::new(&options).map_err(|e| e.to_string())?;
    println!("{}", renderer.choice());
    for name in &names {
        let reference = Reference::read(&arguments.reference, name)?;
        measure(&renderer, &reference, samples, arguments, &mut report)?;
    }
    if names.is_empty() {
        let why = format!("{} holds no reference", arguments.reference.display());
        report.unknown("path_psnr_db", why);
    }
    report.number("references", names.len() as f64);
    report.number("references_found", found as f64);
    report.number("samples", f64::from(samples));
    match alike::seam_max_abs(&renderer) {
        Ok(largest) => report.number("seam_max_abs", largest),
        Err(why) => report.unknown("seam_max_abs", why),
    }
    match alike::front_end_pixels_differing_ppm() {
        Ok(ppm) => report.number("front_end_pixels_differing_ppm", ppm),
        Err(why) => report.unknown("front_end_pixels_differing_ppm", why),
    }
    Ok(report)
}

fn measure(
    renderer: &Renderer,
    reference: &Reference,
    samples: u32,
    arguments: &Arguments,
    report: &mut Report,
) -> Result<(), String> {
    let name = &reference.name;
    let (ours, agreement) = ours::Ours::open(renderer, reference)?;
    println!("{name}: depth agrees on {:.2} % of the pixels that both see, glass left out", agreement * 100.0);
    let (first, second) = (ours.paths(0, samples / 2)?, ours.paths(1, samples / 2)?);
    let paths: Vec<Vec3> = first.iter().zip(&second).map(|(a, b)| (*a + *b) * 0.5).collect();
    let layers = ours.layers(samples)?;
    let [merged, filtered] = ours.real_time()?;
    let width = reference.extent.width as usize;
    let mean = |light: &[Vec3]| light.iter().map(|l| l.as_dvec3()).sum::<glam::DVec3>() / light.len() as f64;
    let exposure = reference.exposure();
    let psnr = |a: &[Vec3], b: &[Vec3]| psnr_db(&shown(a, width, exposure), &shown(b, width, exposure));
    let ratio = mean(&paths) / mean(&reference.radiance);
    report.number(format!("{name}.exposure"), f64::from(exposure));
    report.number(format!("{name}.path_psnr_db"), psnr(&paths, &reference.radiance));
    report.number(format!("{name}.path_mean_ratio"), (ratio.x + ratio.y + ratio.z) / 3.0);
    report.number(format!("{name}.ceiling_psnr_db"), psnr(&first, &second));
    report.number(format!("{name}.hybrid_psnr_db"), psnr(&layers, &reference.radiance));
    report.number(format!("{name}.realtime_unfiltered_psnr_db"), psnr(&merged, &reference.radiance));
    report.number(format!("{name}.realtime_psnr_db"), psnr(&filtered, &reference.radiance));
    if let Some(folder) = &arguments.images {
        std::fs::create_dir_all(folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        let path = folder.join(format!("{name}.png"));
        let parts = [
            reference.radiance.iter().map(|l| *l * exposure).collect::<Vec<_>>(),
            paths.iter().map(|l| *l * exposure).collect(),
            layers.iter().map(|l| *l * exposure).collect(),
            merged.iter().map(|l| *l * exposure).collect(),
            filtered.iter().map(|l| *l * exposure).collect(),
            difference(&paths, &reference.radiance, exposure),
            difference(&layers, &reference.radiance, exposure),
        ];
        side_by_side(&path, &parts, width)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn difference(a: &[Vec3], b: &[Vec3], exposure: f32) -> Vec<Vec3> {
    a.iter().zip(b).map(|(a, b)| ((*a - *b) * exposure).abs() * 8.0).collect()
}

/// sRGB, 0 to 1, of the exposed and clamped means of squares; what is left at the edges is left out.
fn shown(light: &[Vec3], width: usize, exposure: f32) -> Vec<Vec3> {
    let (columns, rows) = (width / SQUARE, light.len() / width / SQUARE);
    let mut out = Vec::with_capacity(columns * rows);
    for y in 0..rows {
        for x in 0..columns {
            let pixels = (0..SQUARE * SQUARE)
                .map(|i| light[(y * SQUARE + i / SQUARE) * width + x * SQUARE + i % SQUARE].as_dvec3());
            let mean = pixels.sum::<glam::DVec3>() / (SQUARE * SQUARE) as f64;
            out.push(srgb(mean.as_vec3() * exposure));
        }
    }
    out
}

fn srgb(light: Vec3) -> Vec3 {
    light.clamp(Vec3::ZERO, Vec3::ONE).to_array().map(encode).into()
}

/// IEC 61966-2-1.
fn encode(linear: f32) -> f32 {
    if linear <= 0.003_130_8 { linear * 12.92 } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

fn psnr_db(a: &[Vec3], b: &[Vec3]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (a.as_dvec3() - b.as_dvec3()).length_squared()).sum();
    -10.0 * (squares / (3 * a.len().max(1)) as f64).log10()
}

fn side_by_side(path: &std::path::Path, parts: &[Vec<Vec3>], width: usize) -> Result<(), String> {
    let height = parts[0].len() / width;
    let mut bytes = Vec::with_capacity(parts.len() * parts[0].len() * 3);
    for y in 0..height {
        for part in parts {
            for light in &part[y * width..][..width] {
                bytes.extend(srgb(*light).to_array().map(|c| (c * 255.0 + 0.5) as u8));
            }
        }
    }
    let (width, height) = ((width * parts.len()) as u32, height as u32);
    image::save_buffer(path, &bytes, width, height, image::ColorType::Rgb8)
        .map_err(|e| format!("cannot write {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_taken_of_light_before_it_is_clamped_and_encoded() {
        let mut light = vec![Vec3::ZERO; 5 * 4];
        light[0] = Vec3::splat(8.0);
        let shown = shown(&light, 5, 1.0);
        assert_eq!(shown.len(), 1, "the fifth column is no whole square");
        assert!((shown[0].x - encode(0.5)).abs() < 1e-6);
    }

    #[test]
    fn psnr_of_one_step_in_256_is_that_of_the_books() {
        let (a, b) = (vec![Vec3::ZERO; 9], vec![Vec3::splat(1.0 / 255.0); 9]);
        assert!((psnr_db(&a, &b) - 48.13).abs() < 0.01);
        assert_eq!(psnr_db(&a, &a), f64::INFINITY);
    }
}
