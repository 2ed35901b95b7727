//! Seeded schedules of faults, thousands of them: frames end, no tile is lost, and who holds has its share again.

use rayloom_coordinator::sim::{Schedule, violations};
use std::panic::catch_unwind;

/// Runs schedules of these seeds and shows the first in which something did not hold.
fn run(count: u64) {
    let mut failed = Vec::new();
    for seed in 0..count {
        let wrong = catch_unwind(|| violations(&Schedule::new(seed))).unwrap_or_else(|_| vec!["it panicked".into()]);
        if !wrong.is_empty() {
            failed.push((seed, wrong));
        }
    }
    for (seed, wrong) in failed.iter().take(5) {
        println!("{}  {}", Schedule::new(*seed), wrong.join("\n  "));
        println!("  again: cargo xtask sim --schedules 1 --seed {seed}\n");
    }
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(seeds.is_empty(), "{} of {count} schedules: {seeds:?}", seeds.len());
}

#[test]
fn two_hundred() {
    run(200);
}

#[test]
#[ignore = "long: minutes"]
fn ten_thousand() {
    run(10_000);
}
