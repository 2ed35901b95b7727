//! Bench of what is seen of peers that die: real processes at 30 fps, the same camera path with and without the fault.

pub(crate) mod engine;
mod figures;
mod outcome;
mod run;
mod truth;

use crate::captures::Shoot;
use crate::report::Report;
use figures::Figures;
use outcome::Run;
use rayloom::frame::{Extent, LayerKind, LayerRequest};
use rayloom::scene::city::city;
use run::{DEADLINE, Fault, Setup};
use std::fmt::Write as _;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Each fault five times: the worst of each figure.
    #[arg(long)]
    full: bool,
    /// What became of each frame.
    #[arg(long)]
    frames: bool,
}

const CITY_TRIANGLES: usize = 20_000;
/// Traced by the peers, and answered from captures.
const TRACED: Extent = Extent::new(160, 90);
const STORED: Extent = Extent::new(640, 360);
/// What two cores trace, merge and show thirty times a second for an engine and four peers of theirs.
const LAYERS: [LayerRequest; 3] = [
    LayerRequest { kind: LayerKind::Direct, samples: 1, scale: 2, bounces: 1 },
    LayerRequest { kind: LayerKind::Indirect, samples: 1, scale: 2, bounces: 1 },
    LayerRequest { kind: LayerKind::Unlit, samples: 1, scale: 1, bounces: 1 },
];
/// Of the circle that the camera goes in two seconds: 1.6 m/s, and it turns by up to 18 degrees a second.
const RADIUS_M: f32 = 0.5;
const FAULTS: [(&str, Fault); 3] = [("kill", Fault::Kill), ("stop", Fault::Stop), ("all_killed", Fault::AllKilled)];
const OVERLOADED: &str =
    "this machine is too slow or too busy for 30 frames a second: the figures of faults mean little";
/// Nobody is left to trace, so history goes on ageing.
const ONLY_HISTORY: &str =
    "stored captures have no embedded peer to fall back to: what is shown is history, on time and ever older";

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let source = city(CITY_TRIANGLES, 1);
    let shoot = |size| Shoot { source: &source, size, radius_m: RADIUS_M, layers: &LAYERS };
    let (traced, stored) = (shoot(TRACED), shoot(STORED));
    let captures = stored.captures()?;
    let setups = [
        Setup { name: "traced", truth: truth::many_samples(&traced, run::watched())?, shoot: traced, captures: None },
        Setup {
            name: "stored",
            truth: truth::captures(&stored, &captures, run::watched())?,
            shoot: stored,
            captures: Some(captures),
        },
    ];
    let times = if arguments.full { 5 } else { 1 };
    let mut report = Report::new("faults");
    let mut worst = [Figures::default(); FAULTS.len()];
    for setup in &setups {
        let unbroken = setup.run(Fault::None)?;
        if arguments.frames {
            print!("{}", table(setup.name, &unbroken));
        }
        let (key, missed) = (format!("{}.unbroken.frames_missed", setup.name), unbroken.missed().total());
        report.number(&key, missed.into());
        if missed > 0 {
            report.explain(key, OVERLOADED);
        }
        report.number(format!("{}.unbroken.frames_a_second", setup.name), unbroken.frames_a_second());
        report.number(format!("{}.unbroken.whole_pct", setup.name), 100.0 * unbroken.whole_share());
        report.number(format!("{}.unbroken.psnr_db", setup.name), figures::psnr_db(&unbroken, &setup.truth));
        for ((name, fault), worst) in FAULTS.into_iter().zip(&mut worst) {
            let mut here = Figures::default();
            for _ in 0..times {
                let broken = setup.run(fault)?;
                if arguments.frames {
                    print!("{}", table(&format!("{}.{name}", setup.name), &broken));
                }
                here = here.worse(Figures::new(&unbroken, &broken, &setup.truth));
            }
            let why = (setup.captures.is_some() && fault == Fault::AllKilled).then_some(ONLY_HISTORY);
            here.write(&mut report, &format!("{}.{name}", setup.name), why);
            *worst = worst.worse(here);
        }
    }
    for ((name, fault), worst) in FAULTS.into_iter().zip(worst) {
        worst.write(&mut report, name, (fault == Fault::AllKilled).then_some(ONLY_HISTORY));
    }
    let drained = setups[0].run(Fault::Drain)?;
    if arguments.frames {
        print!("{}", table("drain", &drained));
    }
    report.number("drain.frames_missing_tiles", drained.frames_missing_tiles().into());
    report.number("drain.frames_missed", drained.missed().total().into());
    match engine::freed_after() {
        Ok(seconds) => report.number("engine_killed.session_freed_s", seconds),
        Err(why) => report.unknown("engine_killed.session_freed_s", why),
    }
    report.number("deadline_ms", DEADLINE.as_secs_f64() * 1e3);
    Ok(report)
}

/// A line for each frame around the fault.
fn table(name: &str, run: &Run) -> String {
    let mut text = format!("{name}\n");
    for (since, frame) in run.around_fault() {
        let (fresh, age) = frame.output.as_ref().map_or((0.0, 0), |output| (output.fresh, outcome::oldest(output)));
        let ready = frame.ready_ms.map_or("-".into(), |ms| format!("{ms:.0} ms"));
        let peers = frame.output.as_ref().map(|output| outcome::planned_peers(output)).unwrap_or_default();
        let _ = write!(text, "  {since:4}: ready {ready:>7}, fresh {fresh:.3}, oldest {age}, peers {peers:?}");
        if let Some(t) = frame.output.as_ref().map(|output| output.times) {
            let peer = t.send_ms + t.queue_ms + t.upload_ms;
            let back = t.encode_ms + t.return_ms;
            let _ = write!(text, "; to peer {peer:.0}, trace {:.0}, back {back:.0}", t.trace_ms);
            let _ = write!(text, ", wait {:.0}, merge {:.0}, compose {:.0}", t.wait_ms, t.merge_ms, t.compose_ms);
        }
        text.push('\n');
    }
    for (since, event) in &run.events {
        let _ = writeln!(text, "  {since:4}: {event}");
    }
    text
}
