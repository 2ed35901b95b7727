//! Seeded schedules of faults: who is there, what goes wrong with whom and when, and how frames are begun.

use super::{Fault, Pace, SimPeer, Simulation, SplitMix, Tier, Trouble, Truth};
use crate::{Config, Flaw, PeerPrior, Refusal, Time};
use rayloom_frame::Extent;
use std::fmt;
use std::time::Duration;

/// What is traced: large enough for sixteen peers, small enough for ten thousand runs.
const VIEW: Extent = Extent::new(320, 192);
const GHOST_PX: u32 = 2;
/// Faults begin from then on and until then.
const FAULTS_FROM: Duration = Duration::from_millis(150);
const FAULTS_UNTIL: Duration = Duration::from_millis(800);
/// What may be said of a refusal.
const REFUSALS: [Refusal; 4] = [Refusal::Other, Refusal::OutOfMemory, Refusal::DeviceLost, Refusal::NoRoom];
/// Most frames of a run that begins them as fast as they go.
const MOST_FRAMES: usize = 1000;

/// A run with faults; the same seed gives the same one.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its seed.
    pub seed: u64,
    /// Who is there, and what goes wrong with each.
    pub peers: Vec<SimPeer>,
    /// The first so many are a fleet; the others come and go in a crowd.
    pub fleet: usize,
    /// See [`Simulation::tiered`].
    pub tiers: Vec<Tier>,
    /// How frames are begun.
    pub pace: Pace,
    /// Nanoseconds of a frame on a peer of speed 1.
    pub frame_ns: f64,
    /// What the embedded peer, which is on standby then, has for what frames lack.
    pub fill_budget: Option<Duration>,
    /// When the engine's clock is set, and by how many nanoseconds.
    pub clock: Vec<(Time, i64)>,
}

impl Schedule {
    /// The schedule of a seed.
    pub fn new(seed: u64) -> Schedule {
        let mut random = SplitMix(seed ^ 0x7363_6865_6475_6c65);
        let has_embedded = random.unit() < 0.3;
        let count = 1 + below(&mut random, 16);
        let mut peers: Vec<SimPeer> = (0..count).map(|_| peer(&mut random)).collect();
        if has_embedded {
            let prior = PeerPrior { is_embedded: true, ..PeerPrior::default() };
            peers[0] =
                SimPeer { one_way: Duration::ZERO, jitter: Duration::ZERO, prior, ..SimPeer::new(0.5 + random.unit()) };
        }
        let faults = random.below(9);
        for _ in 0..faults {
            let index = random.below(count);
            let fault = fault(&mut random);
            // Who has gone does not go again.
            if !(peers[index].leaves() && leaves(&fault)) {
                peers[index].faults.push(fault);
            }
        }
        if random.unit() < 0.1 {
            let at = moment(&mut random);
            let back = at + spell(&mut random);
            for peer in &mut peers {
                let scene_after = Some(Duration::from_millis(random.below(100) as u64));
                if !peer.leaves() {
                    peer.faults.push(Fault::Restart { at, back, scene_after });
                }
            }
        }
        if random.unit() < 0.1 {
            peers.extend(crowd(&mut random));
        }
        let steps = if random.unit() < 0.2 { 1 + random.below(3) } else { 0 };
        let clock = (0..steps).map(|_| (moment(&mut random), step(&mut random))).collect();
        let interval = Duration::from_millis(20 + random.below(21) as u64);
        let is_sure = peers[0].faults.is_empty() && random.unit() < 0.3;
        // Without anybody there, frames would end as soon as they begin and time would stand still.
        let pace = if is_sure { Pace::InFlight(1 + random.below(3)) } else { Pace::Every(interval) };
        let speeds: f64 = peers[..count].iter().map(|peer| peer.speed).sum();
        // No peer alone takes longer than what any first tile may.
        let frame_ns = ((0.2 + 0.3 * random.unit()) * interval.as_nanos() as f64 * speeds).min(120e6);
        let tiers = tiers(&mut random, interval);
        peers[0].prior.is_standby = has_embedded && count > 1 && random.unit() < 0.5;
        let fill_budget = peers[0].prior.is_standby.then(|| Duration::from_micros(500 + random.below(8000) as u64));
        Schedule { seed, peers, fleet: count, tiers, pace, frame_ns, fill_budget, clock }
    }

    /// Everything that goes wrong for a while, or until somebody else does its work, is over by then.
    pub fn calm_from(&self) -> Time {
        let ends = self.peers.iter().flat_map(|peer| peer.faults.iter().map(Fault::over));
        let clock = self.clock.iter().map(|(at, _)| *at);
        ends.chain(clock).max().unwrap_or_default()
    }

    /// Settings under which a run takes seconds where an engine takes minutes.
    pub fn config() -> Config {
        Config {
            first_tile_grace: Duration::from_millis(500),
            probe_interval_max: Duration::from_millis(200),
            block_pause: Duration::from_millis(100)..=Duration::from_millis(800),
            forgive_after: Duration::from_secs(1),
            max_frames_in_flight: 8,
            ..Config::default()
        }
    }

    /// Runs it until so long after the last fault.
    pub fn run(&self, calm: Duration) -> Simulation {
        let blocks = VIEW.scaled(16).pixels();
        let ns_per_px = (self.frame_ns / VIEW.pixels() as f64) as f32;
        let truth = move |_| Truth { ns_per_px: vec![ns_per_px; blocks], rays_per_px: vec![2.0; blocks] };
        let mut run = Simulation::new(Schedule::config(), self.seed, VIEW, self.peers.clone(), truth)
            .with_ghosts(GHOST_PX)
            .tiered(self.tiers.clone())
            .filling(self.fill_budget)
            .with_clock(self.clock.clone());
        let until = self.calm_from() + calm;
        let deadline = self.tiers[0].deadline;
        match self.pace {
            Pace::Every(interval) => {
                let frames = until.0.div_ceil(interval.as_nanos() as u64);
                run.run(frames, self.pace, deadline, None);
            }
            Pace::InFlight(_) => {
                while run.now() < until && run.frames.len() < MOST_FRAMES {
                    run.run(20, self.pace, deadline, None);
                }
            }
        }
        run
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "schedule {}: {:?}, {} ms a frame at speed 1", self.seed, self.pace, self.frame_ns * 1e-6)?;
        for tier in &self.tiers {
            writeln!(f, "  a group with {:.2} of the work within {:?}", tier.work, tier.deadline)?;
        }
        for (at, by) in &self.clock {
            writeln!(f, "  the engine's clock is set by {} ms at {} ms", by / 1_000_000, at.0 / 1_000_000)?;
        }
        if let Some(budget) = self.fill_budget {
            writeln!(f, "  the embedded peer is on standby, and fills for {budget:?} a frame")?;
        }
        for (index, peer) in self.peers[..self.fleet].iter().enumerate() {
            let link = 2 * peer.one_way;
            let kind = if peer.prior.is_embedded { "embedded" } else { "peer" };
            writeln!(f, "  {kind} {index}: speed {:.2}, round trip {link:?}, {:?}", peer.speed, peer.faults)?;
        }
        match &self.peers[self.fleet..] {
            [] => Ok(()),
            crowd => writeln!(f, "  and {} that come from {:?} on and go", crowd.len(), crowd[0].joins),
        }
    }
}

impl Fault {
    /// When all of its consequences that others notice begin to end.
    fn over(&self) -> Time {
        match self {
            Fault::Crash { at } | Fault::Disconnect { at } | Fault::Throttle { at, .. } | Fault::Caught { at } => *at,
            Fault::Stall { until, .. } | Fault::Spell { until, .. } => *until,
            Fault::Restart { back, scene_after, .. } => *back + scene_after.unwrap_or_default(),
            Fault::Drain { leaves, .. } => *leaves,
            Fault::Neighbour { .. } => Time(0),
        }
    }
}

impl SimPeer {
    /// It goes sooner or later.
    fn leaves(&self) -> bool {
        self.faults.iter().any(leaves)
    }

    /// It ends up connected, with its scene, and never caught lying.
    pub fn stays(&self) -> bool {
        self.scene_after.is_some()
            && self.faults.iter().all(|fault| match fault {
                Fault::Restart { scene_after, .. } => scene_after.is_some(),
                Fault::Crash { .. } | Fault::Disconnect { .. } | Fault::Drain { .. } | Fault::Caught { .. } => false,
                _ => true,
            })
    }
}

fn leaves(fault: &Fault) -> bool {
    matches!(fault, Fault::Crash { .. } | Fault::Disconnect { .. } | Fault::Restart { .. } | Fault::Drain { .. })
}

/// Small numbers more often than large ones.
fn below(random: &mut SplitMix, count: usize) -> usize {
    let most = 1 + random.below(count);
    random.below(most)
}

fn moment(random: &mut SplitMix) -> Time {
    Time::from_duration(FAULTS_FROM + (FAULTS_UNTIL - FAULTS_FROM).mul_f64(random.unit()))
}

fn spell(random: &mut SplitMix) -> Duration {
    Duration::from_millis(30 + random.below(470) as u64)
}

fn step(random: &mut SplitMix) -> i64 {
    let ns = [1, 50, 1500, 5000, 600_000][random.below(5)] * 1_000_000;
    // As far forward as a few frames take is as if that time had passed: whoever was to answer within has not.
    if random.unit() < 0.5 && ns != 50_000_000 { ns } else { -ns }
}

fn peer(random: &mut SplitMix) -> SimPeer {
    let peer = SimPeer::new(0.5 + 1.5 * random.unit()).at_rtt(Duration::from_micros(200 + random.below(2000) as u64));
    SimPeer { noise: 0.02 + 0.05 * random.unit(), ..peer }
}

fn fault(random: &mut SplitMix) -> Fault {
    let at = moment(random);
    let until = at + spell(random);
    let later = at + Duration::from_millis(20 + random.below(200) as u64);
    match random.below(12) {
        0 => Fault::Crash { at },
        1 => Fault::Disconnect { at },
        2 => {
            let scene_after = (random.unit() < 0.8).then(|| Duration::from_millis(random.below(200) as u64));
            Fault::Restart { at, back: later, scene_after }
        }
        3 => Fault::Drain { at, leaves: later },
        4 => Fault::Stall { from: at, until },
        5 => Fault::Throttle { at, factor: 1.2 + 1.8 * random.unit() },
        6 => {
            let period = Duration::from_millis(50 + random.below(300) as u64);
            Fault::Neighbour { period, busy: period.mul_f64(0.5 * random.unit()), factor: 1.2 + 0.8 * random.unit() }
        }
        7 if random.unit() < 0.3 => Fault::Caught { at },
        _ => Fault::Spell { from: at, until, trouble: trouble(random) },
    }
}

fn trouble(random: &mut SplitMix) -> Trouble {
    match random.below(9) {
        0 => Trouble::Slow(1.5 + 20.0 * random.unit()),
        1 => Trouble::Deaf,
        2 => Trouble::Mute,
        3 => Trouble::Corrupt([Flaw::NotFinite, Flaw::WrongSize, Flaw::DigestMismatch][random.below(3)]),
        4 => Trouble::Refuses(REFUSALS[random.below(REFUSALS.len())]),
        5 => Trouble::Twice,
        6 => Trouble::Unasked,
        7 => Trouble::Stubborn,
        _ => Trouble::Claims([0.0, 0.01, 0.5, 3.0, 1e4, f64::INFINITY][random.below(6)]),
    }
}

/// A thousand a second for a while: half of them hold the scene, all go again.
fn crowd(random: &mut SplitMix) -> Vec<SimPeer> {
    let from = moment(random);
    let count = 20 + random.below(60) as u64;
    let one = |index: u64| {
        let joins = from + Duration::from_millis(index);
        let scene_after = index.is_multiple_of(2).then_some(Duration::from_millis(5));
        SimPeer { joins, scene_after, ..SimPeer::new(0.5) }
            .with(Fault::Disconnect { at: joins + Duration::from_millis(60) })
    };
    (0..count).map(one).collect()
}

fn tiers(random: &mut SplitMix, interval: Duration) -> Vec<Tier> {
    let groups = if random.unit() < 0.5 { 1 } else { 2 + random.below(3) };
    let first = interval.mul_f64(1.0 + 2.0 * random.unit());
    let tier = |group: usize| Tier { deadline: first * (1 + group as u32), work: 1.0 / groups as f64 };
    (0..groups).map(tier).collect()
}
