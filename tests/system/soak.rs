//! Nothing grows: half an hour of frames, and a thousand sessions, leave the memory, descriptors and threads of engine and peers as they
//! were. Of the long suite; `RAYLOOM_SOAK_MINUTES` makes it shorter.

use crate::engine::Engine;
use crate::fleet::{Fleet, Peer};
use rayloom::{Embedded, Event, Session, SessionDesc};
use std::process::Command;
use std::time::{Duration, Instant};

const PEERS: usize = 2;
const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 30);
/// Until pipelines are compiled, histories filled, arenas taken, as a share of the whole.
const WARM_UP: f64 = 0.2;
const SAMPLES: u32 = 60;
/// Of the memory after warming up.
const MAY_GROW: f64 = 1.02;
const SESSIONS: usize = 1000;

/// True in a process whose memory comes from one arena, as that of all it starts: how much sixteen of them hold depends on which
/// threads come upon which, some percent from one moment to the next. Else the test is run again, in such a process.
fn has_one_arena(test: &str) -> bool {
    const ARENAS: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(ARENAS).is_some_and(|arenas| arenas == "1") {
        return true;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--ignored", "--exact", "--nocapture", &format!("soak::{test}")]).env(ARENAS, "1");
    assert!(again.status().unwrap().success(), "it failed with one arena");
    false
}

/// What a process has.
#[derive(Clone, Copy, Debug)]
struct Held {
    resident_kib: f64,
    descriptors: usize,
    threads: usize,
}

impl Held {
    fn by(process: &str) -> Held {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let listed = |folder: &str| std::fs::read_dir(format!("/proc/{process}/{folder}")).unwrap();
        // Those that merge a frame together live for a part of it.
        let stays = |task: &std::fs::DirEntry| {
            let name = std::fs::read_to_string(task.path().join("comm"));
            name.is_ok_and(|name| name.trim_end() != "rayloom-merge")
        };
        Held {
            resident_kib: line.trim().trim_end_matches("kB").trim().parse().unwrap(),
            descriptors: listed("fd").count(),
            threads: listed("task").flatten().filter(stays).count(),
        }
    }
}

/// The median of some samples of each figure; of threads the fewest: one that starts bears its parent's name until it runs, and leaves soon.
fn median(samples: &[Held]) -> Held {
    fn middle<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> T {
        let mut values: Vec<T> = values.collect();
        values.sort_by(|a, b| a.partial_cmp(b).unwrap());
        values[values.len() / 2]
    }
    Held {
        resident_kib: middle(samples.iter().map(|held| held.resident_kib)),
        descriptors: middle(samples.iter().map(|held| held.descriptors)),
        threads: samples.iter().map(|held| held.threads).min().unwrap(),
    }
}

fn assert_flat(who: &str, samples: &[Held]) {
    let tenth = (samples.len() / 10).max(3);
    let (before, after) = (median(&samples[..tenth]), median(&samples[samples.len() - tenth..]));
    println!("{who}: {before:?} to {after:?}");
    assert!(after.resident_kib <= MAY_GROW * before.resident_kib, "{who}: {before:?} to {after:?}");
    assert!(after.descriptors <= before.descriptors, "{who}: {before:?} to {after:?}");
    assert!(after.threads <= before.threads, "{who}: {before:?} to {after:?}");
}

fn processes(fleet: &[Peer]) -> Vec<String> {
    std::iter::once("self".to_owned()).chain(fleet.iter().map(|peer| peer.id().to_string())).collect()
}

#[test]
#[ignore = "long: half an hour"]
fn half_an_hour_of_frames_leaves_nothing_behind() {
    if !has_one_arena("half_an_hour_of_frames_leaves_nothing_behind") {
        return;
    }
    let minutes = std::env::var("RAYLOOM_SOAK_MINUTES").map_or(30.0, |text| text.parse::<f64>().unwrap());
    let whole = Duration::from_secs_f64(60.0 * minutes);
    let fleet = Fleet::start(PEERS);
    let mut engine = Engine::new(fleet.addresses());
    engine.whole_frame_by(&[0, 1]);
    let names = processes(&fleet.peers);
    let mut samples: Vec<Vec<Held>> = vec![Vec::new(); names.len()];
    let (begun, pause) = (Instant::now(), whole.mul_f64((1.0 - WARM_UP) / f64::from(SAMPLES)));
    let mut next_sample = begun + whole.mul_f64(WARM_UP);
    let mut next_frame = begun;
    while begun.elapsed() < whole {
        engine.frame();
        // What was told is not what is measured here.
        engine.events.clear();
        next_frame += FRAME;
        match next_frame.checked_duration_since(Instant::now()) {
            Some(early) => std::thread::sleep(early),
            None => next_frame = Instant::now(),
        }
        if next_sample <= Instant::now() {
            next_sample += pause;
            samples.iter_mut().zip(&names).for_each(|(samples, name)| samples.push(Held::by(name)));
        }
    }
    println!("{} frames in {minutes} minutes", engine.next_frame_id);
    for (samples, name) in samples.iter().zip(&names) {
        assert_flat(name, samples);
    }
}

#[test]
#[ignore = "long: a thousand sessions"]
fn a_thousand_sessions_leave_nothing_behind() {
    if !has_one_arena("a_thousand_sessions_leave_nothing_behind") {
        return;
    }
    let fleet = Fleet::start(1);
    let names = processes(&fleet.peers);
    let mut samples: Vec<Vec<Held>> = vec![Vec::new(); names.len()];
    for index in 0..SESSIONS {
        let peers = fleet.addresses();
        let session = Session::new(SessionDesc { peers, embedded: Embedded::Never, ..SessionDesc::default() }).unwrap();
        crate::engine::wait_for(&session, |event| matches!(event, Event::PeerConnected { .. }));
        drop(session);
        if index >= SESSIONS / 5 && index % 10 == 0 {
            samples.iter_mut().zip(&names).for_each(|(samples, name)| samples.push(Held::by(name)));
        }
    }
    for (samples, name) in samples.iter().zip(&names) {
        assert_flat(name, samples);
    }
}
