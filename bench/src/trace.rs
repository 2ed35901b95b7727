//! Traversal alone: stored rays of four kinds through the compute walk and through Embree.

mod device;
mod embree;
mod rays;
mod scenes;

use crate::cpu_time::cpu_seconds;
use crate::report::{Report, median};
use rayloom_bvh::Blas;
use rays::{KINDS, RaySet};
use scenes::BenchScene;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also the large scene, and more repetitions.
    #[arg(long)]
    full: bool,
    /// A glTF file to measure as well.
    #[arg(long, value_name = "FILE")]
    scene: Option<PathBuf>,
}

/// Traced pixels; every kind has at most one ray for each.
const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let repetitions = if arguments.full { 11 } else { 5 };
    let mut report = Report::new("trace");
    let mut names = vec![BenchScene::city("city_200k", 200_000)];
    if arguments.full {
        names.push(BenchScene::city("city_1m", 1_000_000));
    }
    if let Some(file) = &arguments.scene {
        names.push(BenchScene::file(file)?);
    }
    let mut device = device::Device::new();
    if let Ok(device) = &device {
        println!("{}", device.name());
    }
    let embree = embree::Embree::load();
    for scene in &names {
        measure(scene, &mut device, &embree, repetitions, &mut report)?;
    }
    builds(&mut report);
    let no_gpu = "no GPU front end yet";
    report.unknown("gpu.compute.mrays_per_s", no_gpu);
    report.unknown("gpu.share_of_bare", no_gpu);
    Ok(report)
}

fn measure(
    scene: &BenchScene,
    device: &mut Result<device::Device, String>,
    embree: &Result<embree::Embree, String>,
    repetitions: usize,
    report: &mut Report,
) -> Result<(), String> {
    let name = &scene.name;
    let sets = rays::generate(scene, WIDTH, HEIGHT);
    let mut compute = match device {
        Ok(device) => device.upload(scene, &sets),
        Err(e) => Err(e.clone()),
    };
    let mut reference = match embree {
        Ok(embree) => embree.scene(scene),
        Err(e) => Err(e.clone()),
    };
    let mut seconds: [[Vec<f64>; 4]; 2] = Default::default();
    let mut hits = vec![[Vec::new(), Vec::new()]; 4];
    // The first round compiles shaders and fills caches; it is not counted.
    for round in 0..=repetitions {
        for (kind, set) in sets.iter().enumerate() {
            if let Ok(compute) = &mut compute {
                let start = cpu_seconds();
                compute.trace(kind)?;
                let spent = cpu_seconds() - start;
                if round > 0 {
                    seconds[0][kind].push(spent);
                } else {
                    hits[kind][0] = compute.hits(kind);
                }
            }
            if let Ok(reference) = &mut reference {
                let start = cpu_seconds();
                let traced = reference.trace(set);
                let spent = cpu_seconds() - start;
                if round > 0 {
                    seconds[1][kind].push(spent);
                } else {
                    hits[kind][1] = traced;
                }
            }
        }
    }
    let mut overall = [f64::NAN; 2];
    let failures = [compute.err(), reference.err()];
    for (side, (end, failure)) in ["compute", "embree"].into_iter().zip(failures).enumerate() {
        if let Some(why) = failure {
            report.unknown(format!("{name}.{end}.mrays_per_cpu_s"), why);
            continue;
        }
        // Equal shares: the time of one ray is the mean over the kinds, however many rays each has.
        let mut per_ray = 0.0;
        for (kind, set) in sets.iter().enumerate() {
            let time = median(&mut seconds[side][kind]) / set.rays.len() as f64;
            per_ray += time / sets.len() as f64;
            report.number(format!("{name}.{end}.{}.mrays_per_cpu_s", KINDS[kind]), 1e-6 / time);
        }
        overall[side] = 1e-6 / per_ray;
        report.number(format!("{name}.{end}.mrays_per_cpu_s"), overall[side]);
    }
    for end in ["ray_query", "pipeline"] {
        report.unknown(format!("{name}.{end}.mrays_per_cpu_s"), "no such front end yet");
    }
    if overall.iter().all(|o| o.is_finite()) {
        report.number(format!("{name}.compute_to_embree"), overall[0] / overall[1]);
        let differing: usize = (0..4).map(|kind| RaySet::differing(&hits[kind][0], &hits[kind][1])).sum();
        report.number(format!("{name}.embree_rays_differing"), differing as f64);
    } else {
        report.unknown(format!("{name}.compute_to_embree"), "one of the two could not run");
    }
    report.unknown(format!("{name}.pixels_differing"), "there is one front end so far");
    Ok(())
}

/// Building a million triangles, and refitting a hundred thousand.
fn builds(report: &mut Report) {
    let (positions, indices) = BenchScene::city("", 1_000_000).flattened();
    let mut times: Vec<f64> = (0..3)
        .map(|_| {
            let start = cpu_seconds();
            std::hint::black_box(Blas::build(&positions, &indices));
            cpu_seconds() - start
        })
        .collect();
    report.number("bvh_build_1m_cpu_s", median(&mut times));
    let (positions, indices) = BenchScene::city("", 100_000).flattened();
    let mut blas = Blas::build(&positions, &indices);
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let start = cpu_seconds();
            blas.refit(std::hint::black_box(&positions));
            (cpu_seconds() - start) * 1e3
        })
        .collect();
    report.number("refit_100k_cpu_ms", median(&mut times));
}
