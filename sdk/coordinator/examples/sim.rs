//! The simulator at the command line, behind `cargo xtask sim`: prints a table, writes a picture.

use rayloom_coordinator::sim::figures::{on_recording, quantile};
use rayloom_coordinator::sim::{
    FleetKind, FrameRecord, Pace, Recording, Schedule, SimPeer, Simulation, fleet, svg, violations,
};
use rayloom_coordinator::{Config, PeerId};
use rayloom_frame::Extent;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

const USAGE: &str = "\
usage: cargo xtask sim [OPTION...]

  --peers N        peers of real GPUs, 1 to 1000 (8)
  --rtt MS         mean round trip to them (20)
  --faulty SHARE   share of peers that crash, stall, throttle, join late, have neighbours or lie (0.2)
  --frames N       frames (300)
  --fps F          begun a second (30)
  --deadline MS    of each frame (100)
  --frame-ms MS    what a frame takes on a GPU of speed 1, an RTX 4070 (120)
  --hedge SHARE    extra work that backups may cause (0.05)
  --seed S         the same seed gives the same run (1)
  --costs FILE     recorded costs (target/bench/costs-1280x720.bin, written by `cargo xtask bench balance`, or made up)
  --planes         the engine gives its planes: features are of the frame itself
  --schedules N    instead: so many seeded schedules of faults, from --seed on, of which all that must hold is checked
  --out FILE       the picture (target/bench/sim.svg)
";

struct Options {
    kind: FleetKind,
    frames: u64,
    fps: f64,
    deadline: Duration,
    frame_ms: f64,
    hedge: f32,
    seed: u64,
    costs: Option<PathBuf>,
    planes: bool,
    schedules: u64,
    out: PathBuf,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| options.map_or(Ok(()), |options| run(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let kind = FleetKind { peers: 8, rtt: Duration::from_millis(20), faulty: 0.2, span: Duration::ZERO };
    let mut options = Options {
        kind,
        frames: 300,
        fps: 30.0,
        deadline: Duration::from_millis(100),
        frame_ms: 120.0,
        hedge: 0.05,
        seed: 1,
        costs: None,
        planes: false,
        schedules: 0,
        out: PathBuf::from("target/bench/sim.svg"),
    };
    while let Some(word) = words.next() {
        if matches!(word.as_str(), "-h" | "--help") {
            print!("{USAGE}");
            return Ok(None);
        }
        if word == "--planes" {
            options.planes = true;
            continue;
        }
        let value = words.next().ok_or(format!("{word} takes a value\n\n{USAGE}"))?;
        let number = |low: f64, high: f64| match value.parse::<f64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(number),
            _ => Err(format!("{word} takes {low} to {high}, not {value}")),
        };
        let ms = |ms: f64| Duration::from_secs_f64(ms * 1e-3);
        match word.as_str() {
            "--peers" => options.kind.peers = number(1.0, 1000.0)? as usize,
            "--rtt" => options.kind.rtt = ms(number(0.0, 10_000.0)?),
            "--faulty" => options.kind.faulty = number(0.0, 1.0)?,
            "--frames" => options.frames = number(1.0, 100_000.0)? as u64,
            "--fps" => options.fps = number(0.1, 1000.0)?,
            "--deadline" => options.deadline = ms(number(1.0, 60_000.0)?),
            "--frame-ms" => options.frame_ms = number(0.1, 1e6)?,
            "--hedge" => options.hedge = number(0.0, 1.0)? as f32,
            "--seed" => options.seed = value.parse().map_err(|_| format!("--seed takes a number, not {value}"))?,
            "--schedules" => options.schedules = number(1.0, 1e9)? as u64,
            "--costs" => options.costs = Some(value.into()),
            "--out" => options.out = value.into(),
            _ => return Err(format!("there is no option {word}\n\n{USAGE}")),
        }
    }
    Ok(Some(options))
}

/// Runs schedules of faults, and shows those in which something did not hold.
fn schedules(count: u64, first: u64) -> Result<(), String> {
    let mut failed = 0;
    for seed in first..first.saturating_add(count) {
        let schedule = Schedule::new(seed);
        let wrong = violations(&schedule);
        if !wrong.is_empty() {
            failed += 1;
            println!("{schedule}  {}\n", wrong.join("\n  "));
        }
    }
    println!("schedules {count} from seed {first}, in which something did not hold {failed}");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {count} schedules")) }
}

fn run(options: &Options) -> Result<(), String> {
    if options.schedules > 0 {
        return schedules(options.schedules, options.seed);
    }
    let (recording, source) = recording(options.costs.as_ref())?;
    let recording = Rc::new(recording);
    let interval = Duration::from_secs_f64(1.0 / options.fps);
    let kind = FleetKind { span: interval.mul_f64(options.frames as f64), ..options.kind };
    let peers = fleet(&kind, options.seed);
    let config = Config { hedge_budget: options.hedge, max_frames_in_flight: 8, ..Config::default() };
    let frame_ns = options.frame_ms * 1e6;
    let mut run = on_recording(&recording, config, peers.clone(), frame_ns, options.planes, options.seed);
    run.run(options.frames, Pace::Every(interval), options.deadline, None);
    println!("costs: {source}; seed {}\n", options.seed);
    table(&run, &peers);
    summary(&run, options);
    let picture = svg(&run, &recording, 12);
    if let Some(folder) = options.out.parent() {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    std::fs::write(&options.out, picture).map_err(|error| format!("{}: {error}", options.out.display()))?;
    println!("\npicture: {}", options.out.display());
    Ok(())
}

fn recording(costs: Option<&PathBuf>) -> Result<(Recording, String), String> {
    let usual = PathBuf::from("target/bench/costs-1280x720.bin");
    let path = costs.cloned().or_else(|| usual.exists().then_some(usual));
    let Some(path) = path else {
        return Ok((Recording::made_up(Extent::new(1280, 720), 60, 1), "made up".into()));
    };
    let say = |error: std::io::Error| format!("{}: {error}", path.display());
    let bytes = std::fs::read(&path).map_err(say)?;
    let recording = Recording::read(&mut bytes.as_slice()).map_err(say)?;
    Ok((recording, format!("recorded in {}", path.display())))
}

fn table(run: &Simulation, peers: &[SimPeer]) {
    println!("peer  speed  rtt ms  believed  link ms  tiles  missed  share %  busy %  what happens");
    let views: Vec<_> = run.coordinator.peers().collect();
    let fastest = peers.iter().map(|peer| peer.speed).fold(f64::MIN_POSITIVE, f64::max);
    for (index, peer) in peers.iter().enumerate().take(64) {
        let busy: u64 =
            run.spans.iter().filter(|s| s.peer.0 as usize == index).map(|s| s.ended.ns_since(s.begun)).sum();
        let Some(view) = views.iter().find(|view| view.id == PeerId(index as u32)) else {
            println!("{index:>4}  {:>5.2}  never joined", peer.speed);
            continue;
        };
        let lie = if peer.claims == 1.0 { String::new() } else { format!("claims {:.2} of its time", peer.claims) };
        let fault = peer.faults.first().map(|fault| format!("{fault:?}")).unwrap_or(lie);
        println!(
            "{index:>4}  {:>5.2}  {:>6.1}  {:>8.2}  {:>7.1}  {:>5}  {:>6}  {:>7.1}  {:>6.1}  {fault}",
            peer.speed,
            2e3 * peer.one_way.as_secs_f64(),
            f64::from(view.speed) * fastest,
            view.link_ms,
            view.tiles,
            view.missed,
            100.0 * view.share,
            busy as f64 / run.now().0.max(1) as f64 * 100.0,
        );
    }
    if peers.len() > 64 {
        println!("  and {} more", peers.len() - 64);
    }
}

fn summary(run: &Simulation, options: &Options) {
    let took = |frame: &FrameRecord| frame.ended.map(|(at, _)| at.ns_since(frame.begun) as f64 * 1e-6);
    let mut times: Vec<f64> = run.frames.iter().filter_map(took).collect();
    let complete = run.frames.iter().filter(|frame| frame.ended.is_some_and(|(_, complete)| complete)).count();
    let mut imbalance: Vec<f64> = run.frames.iter().map(FrameRecord::peer_imbalance).collect();
    let mut ghosts: Vec<f64> = run.frames.iter().map(|frame| f64::from(frame.plan.ghost_share)).collect();
    println!("\nframes {}, complete {complete}", options.frames);
    println!(
        "frame ms p50 {:.1}, p95 {:.1}, p99 {:.1}",
        quantile(&mut times, 0.5),
        quantile(&mut times, 0.95),
        quantile(&mut times, 0.99)
    );
    println!("longest over mean p50 {:.3}, p95 {:.3}", quantile(&mut imbalance, 0.5), quantile(&mut imbalance, 0.95));
    println!("pixels traced twice {:.1} %", 100.0 * quantile(&mut ghosts, 0.5));
    println!("suspicions, blocks and recoveries {}", run.events.len());
}
