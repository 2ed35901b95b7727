//! What has arrived of one planned tile: which rectangles, and which rows of which planes are complete.

use std::ops::Range;

use super::PlannedTile;
use crate::{Extent, LayerKind, PlaneKind, Rect};

/// Planes that are counted: the layers, then those of primary hits.
const SLOTS: usize = LayerKind::ALL.len() + PlaneKind::PRIMARY.len();

fn slot(plane: PlaneKind) -> usize {
    match plane {
        PlaneKind::Layer(kind) => kind as usize,
        other => other.to_u8() as usize - 16 + LayerKind::ALL.len(),
    }
}

/// The state of one tile in the frame being assembled; kept from frame to frame for its memory.
#[derive(Debug, Default)]
pub(super) struct TileState {
    plan: Option<PlannedTile>,
    /// Scale of each layer, 0 where it is not requested.
    scales: [u8; LayerKind::ALL.len()],
    /// The engine gave the planes of primary hits: they are there, and none may come.
    has_planes: bool,
    peer: Option<u32>,
    received: Vec<(PlaneKind, Rect)>,
    /// Pixels of the core that came, for each slot and each row of the core (in the plane's own rows).
    row_pixels: Vec<u32>,
    rows_missing: u32,
    /// Of each row of the core: planes of which not all came yet.
    planes_missing: Vec<u8>,
    /// Rows of the core among which some became whole since that was last asked.
    new_rows: Range<u32>,
    /// The next row of the view that may be prepared.
    next_row: u32,
}

/// Of rows that were asked for: they are whole, and known to be.
const TOLD: u8 = u8::MAX;

impl TileState {
    pub(super) fn begin(&mut self, plan: PlannedTile, scales: [u8; LayerKind::ALL.len()], has_planes: bool) {
        self.plan = Some(plan);
        self.scales = scales;
        self.has_planes = has_planes;
        self.peer = None;
        self.received.clear();
        self.row_pixels.clear();
        self.row_pixels.resize(SLOTS * plan.rect.height as usize, 0);
        let layer_rows: u32 = scales.iter().filter(|s| **s > 0).map(|s| plan.rect.scaled(*s as u32).height).sum();
        let planes = if has_planes { 0 } else { PlaneKind::PRIMARY.len() as u32 };
        self.rows_missing = layer_rows + planes * plan.rect.height;
        let layers = scales.iter().filter(|s| **s > 0).count() as u32;
        self.planes_missing.clear();
        self.planes_missing.resize(plan.rect.height as usize, (planes + layers) as u8);
        (self.new_rows, self.next_row) = (0..0, 0);
    }

    pub(super) fn plan(&self) -> PlannedTile {
        self.plan.expect("begin came first: the merger only looks at tiles of the current plan")
    }

    pub(super) fn peer(&self) -> Option<u32> {
        self.peer
    }

    pub(super) fn set_peer(&mut self, peer: u32) {
        self.peer.get_or_insert(peer);
    }

    /// Rows of the view, next to each other, of which every pixel of every plane came since it was last asked; once each.
    pub(super) fn next_whole_rows(&mut self) -> Option<Range<u32>> {
        let Range { start, end } = self.new_rows;
        let rows = &mut self.planes_missing[start as usize..end as usize];
        let Some(first) = rows.iter().position(|missing| *missing == 0) else {
            self.new_rows = 0..0;
            return None;
        };
        let count = rows[first..].iter().position(|missing| *missing != 0).unwrap_or(rows.len() - first);
        rows[first..first + count].fill(TOLD);
        let first = start + first as u32;
        self.new_rows.start = first + count as u32;
        let top = self.plan().rect.y;
        Some(top + first..top + first + count as u32)
    }

    /// True while nothing came of these pixels of the view, nor of those beside them that share a sample with one.
    pub(super) fn has_nothing_of(&self, rect: Rect) -> bool {
        self.received.iter().all(|(plane, part)| {
            let scale = u32::from(self.scale(*plane));
            rect.scaled(scale).intersection(*part).is_empty()
        })
    }

    /// The engine gave the planes of primary hits.
    pub(super) fn has_planes(&self) -> bool {
        self.has_planes
    }

    /// The next rows of the view to be prepared, at most so many, of those from `first` to `end`; the turn of what is before them is over.
    pub(super) fn next_to_prepare(&mut self, first: u32, end: u32, most: u32) -> Range<u32> {
        let start = self.next_row.max(first).min(end);
        self.next_row = (start + most).min(end);
        start..self.next_row
    }

    /// Some of it has not come, and what its pixels show comes with it.
    pub(super) fn lacks_hits(&self) -> bool {
        !(self.is_complete() || self.has_planes)
    }

    /// True when every pixel of every plane has come.
    pub(super) fn is_complete(&self) -> bool {
        self.rows_missing == 0
    }

    /// Scale at which the plane is wanted, 0 when it is not.
    pub(super) fn scale(&self, plane: PlaneKind) -> u8 {
        match plane {
            PlaneKind::Layer(kind) => self.scales[kind as usize],
            PlaneKind::GeometricNormal | PlaneKind::Emissive => 0,
            _ => u8::from(!self.has_planes),
        }
    }

    /// What may come: the tile with its ghost zone, in the plane's own pixels.
    pub(super) fn traced(&self, scale: u8, extent: Extent) -> Rect {
        let plan = self.plan();
        plan.rect.grown(plan.ghost, extent).scaled(scale as u32)
    }

    /// What came, in the planes' own pixels.
    pub(super) fn received(&self) -> &[(PlaneKind, Rect)] {
        &self.received
    }

    pub(super) fn has_any_of(&self, plane: PlaneKind, rect: Rect) -> bool {
        self.received.iter().any(|(p, r)| *p == plane && !r.intersection(rect).is_empty())
    }

    /// Notes what came: `rect` in the plane's own pixels, not overlapping with anything noted before.
    pub(super) fn note(&mut self, plane: PlaneKind, rect: Rect) {
        self.received.push((plane, rect));
        let core = self.plan().rect.scaled(self.scale(plane) as u32);
        let part = core.intersection(rect);
        for y in part.y..part.y + part.height {
            let row = slot(plane) * self.plan().rect.height as usize + (y - core.y) as usize;
            self.row_pixels[row] += part.width;
            if self.row_pixels[row] == core.width {
                self.rows_missing -= 1;
                self.note_row(y, u32::from(self.scale(plane)));
            }
        }
    }

    /// Row `y` of a plane of this scale came.
    fn note_row(&mut self, y: u32, scale: u32) {
        let rect = self.plan().rect;
        for row in (y * scale).max(rect.y)..((y + 1) * scale).min(rect.bottom()) {
            let row = row - rect.y;
            let missing = &mut self.planes_missing[row as usize];
            *missing -= 1;
            if *missing == 0 {
                let is_first = self.new_rows.is_empty();
                let Range { start, end } = self.new_rows;
                self.new_rows = if is_first { row..row + 1 } else { start.min(row)..end.max(row + 1) };
            }
        }
    }

    /// True when the plane's row that covers row `y` of the view (inside of the core) came.
    pub(super) fn has_row(&self, plane: PlaneKind, y: u32) -> bool {
        let scale = self.scale(plane) as u32;
        if scale == 0 {
            return false;
        }
        let rect = self.plan().rect;
        let row = y / scale - rect.y / scale;
        let width = rect.scaled(scale).width;
        self.row_pixels[slot(plane) * rect.height as usize + row as usize] == width
    }

    pub(super) fn has_primary_row(&self, y: u32) -> bool {
        self.has_planes || PlaneKind::PRIMARY.into_iter().all(|plane| self.has_row(plane, y))
    }
}
