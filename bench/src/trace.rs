//! Traversal alone: stored rays of four kinds through the three front ends and through Embree.

mod device;
mod embree;
mod rays;
mod scenes;

use crate::cpu_time::cpu_seconds;
use crate::report::{Report, median};
use rayloom_bvh::Blas;
use rayloom_renderer::FrontEnd;
use rays::{KINDS, RayHit, RaySet};
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
    let embree = embree::Embree::load();
    for scene in &names {
        measure(scene, &embree, repetitions, &mut report)?;
    }
    builds(&mut report);
    let no_gpu = "the renderer measures CPU time here";
    report.unknown("gpu.compute.mrays_per_s", no_gpu);
    report.unknown("gpu.share_of_bare", no_gpu);
    Ok(report)
}

/// The front ends, and Embree last.
const ENDS: [&str; 4] = ["compute", "ray_query", "rt_pipeline", "embree"];
const EMBREE: usize = 3;

fn measure(
    scene: &BenchScene,
    embree: &Result<embree::Embree, String>,
    repetitions: usize,
    report: &mut Report,
) -> Result<(), String> {
    let name = &scene.name;
    let sets = rays::generate(scene, WIDTH, HEIGHT);
    let front_ends = FrontEnd::ALL.map(|front_end| device::Traced::new(front_end, scene, &sets));
    let mut reference = match embree {
        Ok(embree) => embree.scene(scene),
        Err(e) => Err(e.clone()),
    };
    let mut seconds: [[Vec<f64>; 4]; ENDS.len()] = Default::default();
    let mut hits: [[Vec<RayHit>; 4]; ENDS.len()] = Default::default();
    for traced in front_ends.iter().flatten() {
        println!("{}", traced.name());
    }
    // The first round compiles shaders and fills caches; it is not counted.
    for round in 0..=repetitions {
        for (kind, set) in sets.iter().enumerate() {
            for (end, traced) in front_ends.iter().enumerate() {
                let Ok(traced) = traced else { continue };
                let start = cpu_seconds();
                traced.trace(kind)?;
                let spent = cpu_seconds() - start;
                if round > 0 {
                    seconds[end][kind].push(spent);
                } else {
                    hits[end][kind] = traced.hits(kind);
                }
            }
            if let Ok(reference) = &mut reference {
                let start = cpu_seconds();
                let traced = reference.trace(set);
                let spent = cpu_seconds() - start;
                if round > 0 {
                    seconds[EMBREE][kind].push(spent);
                } else {
                    hits[EMBREE][kind] = traced;
                }
            }
        }
    }
    let mut overall = [f64::NAN; ENDS.len()];
    let failures = front_ends.map(Result::err).into_iter().chain([reference.err()]);
    for (side, (end, failure)) in ENDS.into_iter().zip(failures).enumerate() {
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
    let differing = |a: usize, b: usize| -> usize {
        (0..KINDS.len()).map(|kind| RaySet::differing(&hits[a][kind], &hits[b][kind])).sum()
    };
    if overall[0].is_finite() && overall[EMBREE].is_finite() {
        report.number(format!("{name}.compute_to_embree"), overall[0] / overall[EMBREE]);
    } else {
        report.unknown(format!("{name}.compute_to_embree"), "one of the two could not run");
    }
    let ran: Vec<usize> = (0..ENDS.len()).filter(|end| overall[*end].is_finite()).collect();
    let mut worst = None;
    for (i, a) in ran.iter().enumerate() {
        for b in &ran[i + 1..] {
            let count = differing(*a, *b);
            report.number(format!("{name}.rays_differing.{}.{}", ENDS[*a], ENDS[*b]), count as f64);
            if *b != EMBREE {
                worst = worst.max(Some(count));
            }
        }
    }
    match worst {
        Some(count) => report.number(format!("{name}.pixels_differing"), count as f64),
        None => report.unknown(format!("{name}.pixels_differing"), "the device has one front end"),
    }
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
