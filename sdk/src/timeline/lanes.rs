//! Lanes of a track: profilers draw spans that overlap only where they are of different ones.

use super::{Run, Track};
use std::collections::BTreeMap;

/// More frames or tiles than this are not at work at once; what is more goes into the last lane.
const MOST: usize = 64;

/// One of a track's lanes, the first of which is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    pub(super) track: Track,
    pub(super) index: usize,
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.index {
            0 => write!(f, "{}", self.track),
            more => write!(f, "{} ({})", self.track, more + 1),
        }
    }
}

/// Until when each lane is taken, nanoseconds.
#[derive(Default)]
pub(super) struct Lanes(BTreeMap<Track, Vec<u64>>);

impl Lanes {
    /// The first lane of its track that is free when the run begins; it is taken until the run ends.
    pub(super) fn place(&mut self, run: &Run) -> Lane {
        let ends = self.0.entry(run.track).or_default();
        let from_ns = run.spans.iter().map(|span| span.from_ns).min().unwrap_or(u64::MAX);
        let to_ns = run.spans.iter().map(|span| span.from_ns.saturating_add(span.ns)).max().unwrap_or(0);
        let free = ends.iter().position(|end| *end <= from_ns);
        let index = free.unwrap_or_else(|| {
            ends.resize((ends.len() + 1).min(MOST), 0);
            ends.len() - 1
        });
        ends[index] = ends[index].max(to_ns);
        Lane { track: run.track, index }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    fn place(lanes: &mut Lanes, track: Track, spans: &[(u64, u64)]) -> String {
        let spans = spans.iter().map(|(from_ns, ns)| Span { name: "x", from_ns: *from_ns, ns: *ns }).collect();
        lanes.place(&Run { track, spans }).to_string()
    }

    #[test]
    fn what_overlaps_gets_a_lane_of_its_own() {
        let mut lanes = Lanes::default();
        let mut place = |track, spans: &[(u64, u64)]| place(&mut lanes, track, spans);
        assert_eq!(place(Track::View(0), &[(0, 10), (10, 10)]), "view 0");
        assert_eq!(place(Track::View(0), &[(15, 10)]), "view 0 (2)");
        assert_eq!(place(Track::Peer(0), &[(15, 10)]), "peer 0");
        assert_eq!(place(Track::View(0), &[(20, 1)]), "view 0", "it ended when this begins");
        assert_eq!(place(Track::View(0), &[(20, 9)]), "view 0 (3)");
    }

    #[test]
    fn lanes_are_bounded() {
        let mut lanes = Lanes::default();
        let last = (0..200).map(|_| place(&mut lanes, Track::View(1), &[(0, 5)])).last();
        assert_eq!(last.unwrap(), "view 1 (64)");
    }
}
