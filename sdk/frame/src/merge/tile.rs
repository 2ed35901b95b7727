//! What has arrived of one planned tile: which rectangles, and which rows of which planes are complete.

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
    /// Whether it was noted that all of it came.
    is_noted: bool,
}

impl TileState {
    pub(super) fn begin(&mut self, plan: PlannedTile, scales: [u8; LayerKind::ALL.len()], has_planes: bool) {
        self.plan = Some(plan);
        self.scales = scales;
        self.has_planes = has_planes;
        self.peer = None;
        self.is_noted = false;
        self.received.clear();
        self.row_pixels.clear();
        self.row_pixels.resize(SLOTS * plan.rect.height as usize, 0);
        let layer_rows: u32 = scales.iter().filter(|s| **s > 0).map(|s| plan.rect.scaled(*s as u32).height).sum();
        let planes = if has_planes { 0 } else { PlaneKind::PRIMARY.len() as u32 };
        self.rows_missing = layer_rows + planes * plan.rect.height;
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

    /// True the first time that it is asked.
    pub(super) fn note_once(&mut self) -> bool {
        !std::mem::replace(&mut self.is_noted, true)
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
