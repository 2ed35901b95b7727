//! Renders a scene to a PNG: layers accumulated over frames and composed, sRGB, rays through pixel centres.
//!
//! `cargo run --release -p rayloom-renderer --example render -- SCENE OUT.png [--setup SETUP.json] [--size 640x360]
//! [--frames 64] [--scale 2] [--filter 8] [--exposure 1] [--views PREFIX] [--path 16]
//! [--front-end compute|ray-query|rt-pipeline]`
//!
//! SCENE is a glTF file or `city`; SETUP.json holds `camera_to_world_rowmajor`, `projection_rowmajor_gl` and `setup` with
//! `sun` and `sky`. `--views` writes the layers apart; `--path` traces paths instead, so many a pixel and frame, and takes all
//! glass as bodies, as Cycles does. Prints where the time went.

use glam::{Mat3, Quat, Vec2, Vec3};
use rayloom_frame::demodulate::Surface;
use rayloom_frame::normal::decode_normal;
use rayloom_frame::srgb::linear_to_srgb;
use rayloom_frame::{Extent, LayerKind, LayerRequest, Primary, TracedTile};
use rayloom_renderer::{FrameState, FrontEnd, Renderer, RendererOptions, TraceJob};
use rayloom_scene::{Camera, Environment, Light, LightShape, Scene};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

const USAGE: &str =
    "usage: render SCENE OUT.png [--setup SETUP.json] [--size 640x360] [--frames 64] [--scale 2] [--filter 8]
    [--exposure 1] [--views PREFIX] [--path 16] [--front-end compute|ray-query|rt-pipeline]
SCENE is a glTF file or `city`; `--path` traces paths, so many a pixel and frame; `--views` writes the layers apart.";

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().skip(1).any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return Ok(());
    }
    let options = Options::parse()?;
    let renderer =
        Renderer::new(&RendererOptions { allow_cpu: true, front_end: options.front_end, ..Default::default() })?;
    println!("device: {}", renderer.choice());
    let start = Instant::now();
    renderer.warm_up()?;
    println!("warm-up {:.2?}", start.elapsed());

    let start = Instant::now();
    let mut scene = load(&options.scene)?;
    println!("load {:.2?}", start.elapsed());
    if options.setup.is_none() {
        // As a session does that loads a file.
        scene.add_default_lighting();
    }
    let camera = match &options.setup {
        Some(path) => apply_setup(&mut scene, path)?,
        None => first_camera(&scene, options.extent),
    };
    if options.path.is_some() {
        for glass in scene.materials.iter_mut().filter(|m| m.transmission > 0.0) {
            glass.thickness = glass.thickness.max(1e-3);
        }
    }
    let start = Instant::now();
    let gpu = renderer.create_scene(&scene, &mut |_| ())?;
    let (triangles, mib) = (gpu.triangle_count(), gpu.gpu_bytes() >> 20);
    println!("upload {:.2?}: {triangles} triangles, {mib} MiB", start.elapsed());

    let request = |kind, scale| LayerRequest { kind, samples: 1, scale, bounces: LayerRequest::BOUNCES };
    let scale = options.scale;
    let real_time = [
        request(LayerKind::Direct, 1),
        request(LayerKind::Specular, scale),
        request(LayerKind::Indirect, scale),
        request(LayerKind::Unlit, 1),
    ];
    let paths = options
        .path
        .map(|samples| [LayerRequest { kind: LayerKind::Path, samples, scale: 1, bounces: LayerRequest::BOUNCES }]);
    let layers = paths.as_ref().map_or(&real_time[..], |paths| paths);
    let job = TraceJob { filter_radius: options.filter, ..TraceJob::whole_view(options.extent, camera, layers) };
    let mut sums = vec![[Vec3::ZERO; LayerKind::ALL.len()]; options.extent.pixels()];
    let mut picture = Picture::default();
    for frame_id in 0..options.frames {
        let (cpu, start) = (cpu_time(), Instant::now());
        let frame = Arc::new(gpu.frame(&FrameState::default())?);
        let (tile, timings) = renderer.trace(&frame, &TraceJob { frame_id, ..job })?;
        picture.spent += start.elapsed();
        picture.cpu += cpu_time().saturating_sub(cpu);
        picture.rays += tile.block_rays.iter().map(|r| u64::from(*r)).sum::<u64>();
        for (i, (name, time)) in timings.passes.iter().enumerate() {
            if picture.passes.len() == i {
                picture.passes.push((name, Duration::ZERO));
            }
            picture.passes[i].1 += *time;
        }
        accumulate(&mut sums, &tile, options.extent);
        picture.last = tile.primary;
    }
    picture.report(options.frames);
    let primary = picture.last.ok_or("no frames")?;
    let means: Vec<[Vec3; LayerKind::ALL.len()]> = sums.iter().map(|s| s.map(|v| v / options.frames as f32)).collect();
    save(&options.out, options.extent, |i, pixel| {
        compose(&means[i], &primary, i, &camera, pixel, options.extent) * options.exposure
    })?;
    if let Some(prefix) = &options.views {
        for (l, kind) in LayerKind::ALL.into_iter().enumerate() {
            save(&format!("{prefix}-{}.png", kind.name()), options.extent, |i, _| means[i][l])?;
        }
        save(&format!("{prefix}-normal.png"), options.extent, |i, _| decode_normal(primary.normal[i]) * 0.5 + 0.5)?;
        save(&format!("{prefix}-base.png"), options.extent, |i, _| surface(&primary, i).base_color)?;
    }
    Ok(())
}

struct Options {
    scene: String,
    out: String,
    setup: Option<String>,
    views: Option<String>,
    extent: Extent,
    frames: u64,
    scale: u8,
    filter: u32,
    path: Option<u8>,
    exposure: f32,
    front_end: Option<FrontEnd>,
}

impl Options {
    fn parse() -> Result<Options, Box<dyn Error>> {
        let mut args = std::env::args().skip(1);
        let (scene, out) = match (args.next(), args.next()) {
            (Some(scene), Some(out)) => (scene, out),
            _ => return Err(format!("a scene and a picture to write are needed\n{USAGE}").into()),
        };
        let extent = Extent::new(640, 360);
        let mut o = Options {
            scene,
            out,
            setup: None,
            views: None,
            extent,
            frames: 64,
            scale: 1,
            filter: 0,
            path: None,
            exposure: 1.0,
            front_end: None,
        };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--setup" => o.setup = Some(value),
                "--views" => o.views = Some(value),
                "--size" => {
                    let (w, h) = value.split_once('x').ok_or("--size needs WxH")?;
                    o.extent = Extent::new(w.parse()?, h.parse()?);
                }
                "--frames" => o.frames = value.parse()?,
                "--front-end" => o.front_end = Some(value.parse()?),
                "--scale" => o.scale = value.parse()?,
                "--path" => o.path = Some(value.parse()?),
                "--filter" => o.filter = value.parse()?,
                "--exposure" => o.exposure = value.parse()?,
                _ => return Err(format!("unknown option {flag}").into()),
            }
        }
        Ok(o)
    }
}

#[derive(Default)]
struct Picture {
    spent: Duration,
    cpu: Duration,
    rays: u64,
    passes: Vec<(&'static str, Duration)>,
    last: Option<Primary>,
}

impl Picture {
    fn report(&self, frames: u64) {
        let ms = |d: Duration| d.as_secs_f64() * 1e3 / frames as f64;
        let per_cpu_s = self.rays as f64 / self.cpu.as_secs_f64().max(0.01) / 1e6;
        println!(
            "{:.1} ms and {:.1} CPU-ms a frame, {} rays, {per_cpu_s:.2} Mrays per CPU-second",
            ms(self.spent),
            ms(self.cpu),
            self.rays / frames
        );
        for (name, time) in &self.passes {
            println!("  {name}: {:.2} ms", ms(*time));
        }
    }
}

/// CPU time of this process, ended threads included, in steps of 10 ms; zero where the system does not tell.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 (user, system) in hundredths of a second; the second field, in parentheses, may hold spaces.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|v| v.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn load(name: &str) -> Result<Scene, Box<dyn Error>> {
    if name == "city" {
        return Ok(rayloom_scene::city(200_000, 1));
    }
    Ok(rayloom_scene::gltf::load(std::path::Path::new(name), &mut |_| ())?)
}

fn first_camera(scene: &Scene, extent: Extent) -> Camera {
    let aspect = extent.width as f32 / extent.height as f32;
    match scene.cameras.first() {
        Some(named) => {
            let tan = named.camera.tan_half_fov.y;
            Camera { tan_half_fov: Vec2::new(tan * aspect, tan), ..named.camera }
        }
        None => Camera::look_at(Vec3::new(3.0, 2.0, 4.0), Vec3::ZERO, 0.8, aspect),
    }
}

fn apply_setup(scene: &mut Scene, path: &str) -> Result<Camera, Box<dyn Error>> {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let number = |v: &serde_json::Value| v.as_f64().unwrap_or(0.0) as f32;
    let matrix = |name: &str, r: usize, c: usize| number(&json[name][r][c]);
    let vector = |v: &serde_json::Value| Vec3::new(number(&v[0]), number(&v[1]), number(&v[2]));
    let world = |r, c| matrix("camera_to_world_rowmajor", r, c);
    let projection = |r, c| matrix("projection_rowmajor_gl", r, c);
    let column = |c| Vec3::new(world(0, c), world(1, c), world(2, c));
    let setup = &json["setup"];
    if setup["sun"].is_object() {
        scene.lights.push(Light {
            shape: LightShape::Directional { angle: number(&setup["sun"]["angle_deg"]).to_radians() * 0.5 },
            color: vector(&setup["sun"]["irradiance"]),
            position: Vec3::ZERO,
            direction: -vector(&setup["sun"]["direction"]).normalize(),
            range: 0.0,
            user_id: 0,
        });
    }
    scene.environment = Environment::constant(vector(&setup["sky"]));
    Ok(Camera {
        position: column(3),
        rotation: Quat::from_mat3(&Mat3::from_cols(column(0), column(1), column(2))).normalize(),
        tan_half_fov: Vec2::new(1.0 / projection(0, 0), 1.0 / projection(1, 1)),
        center: Vec2::new(-projection(0, 2), -projection(1, 2)),
        jitter: Vec2::ZERO,
    })
}

/// Adds a frame's layers, coarse ones spread over their blocks, in the order of [`LayerKind::ALL`].
fn accumulate(sums: &mut [[Vec3; LayerKind::ALL.len()]], tile: &TracedTile, extent: Extent) {
    for layer in &tile.layers {
        let scale = u32::from(layer.scale);
        for y in 0..extent.height {
            for x in 0..extent.width {
                let from = (y / scale) as usize * layer.rect.width as usize + (x / scale) as usize;
                let p = layer.pixels[from].map(|b| half::f16::from_bits(b).to_f32());
                sums[(y * extent.width + x) as usize][layer.kind as usize] += Vec3::new(p[0], p[1], p[2]);
            }
        }
    }
}

fn surface(primary: &Primary, i: usize) -> Surface {
    Surface::unpack(primary.base_color[i], primary.material[i])
}

fn compose(
    layers: &[Vec3; LayerKind::ALL.len()],
    primary: &Primary,
    i: usize,
    camera: &Camera,
    pixel: Vec2,
    extent: Extent,
) -> Vec3 {
    let [direct, specular, indirect, unlit, path] = *layers;
    if primary.depth[i].is_infinite() {
        return unlit + path;
    }
    let s = surface(primary, i);
    let view = -camera.ray(pixel, Vec2::new(extent.width as f32, extent.height as f32)).normalize();
    let n_dot_v = decode_normal(primary.normal[i]).dot(view);
    (direct + indirect) * s.albedo_divisor() + specular * s.specular_divisor(n_dot_v) + unlit + path
}

fn save(path: &str, extent: Extent, color: impl Fn(usize, Vec2) -> Vec3) -> Result<(), Box<dyn Error>> {
    let mut bytes = Vec::with_capacity(extent.pixels() * 3);
    for y in 0..extent.height {
        for x in 0..extent.width {
            let pixel = Vec2::new(x as f32 + 0.5, y as f32 + 0.5);
            let c = color((y * extent.width + x) as usize, pixel);
            bytes.extend([c.x, c.y, c.z].map(linear_to_srgb));
        }
    }
    image::save_buffer(path, &bytes, extent.width, extent.height, image::ColorType::Rgb8)?;
    Ok(())
}
