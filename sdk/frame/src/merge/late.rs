//! Results that come after their frame: what is remembered of finished frames to understand them, and what waits to be merged.
//!
//! Of a finished frame its cameras, its plan and what came of it are kept; of planes only those that the engine gave, and of
//! them only what tiles show that are missing. What comes of it afterwards is put into tiles of its own, which the next frame
//! that finishes takes ([`super::fold`]).

use super::{MAX_UNKNOWN_PARTS, PlannedTile, Predicted, arrivals::primary_words_mut, tile::TileState};
use crate::{Extent, FrameError, LayerKind, LayerRequest, PlaneKind, Primary, Rect, codec::primary_words};

/// Results of so many finished frames still count: a quarter of a second at 60 frames a second, what the last tier has.
pub const LATE_FRAMES: usize = 16;
/// The most late tiles that wait for a frame to finish.
pub const MAX_LATE_TILES: usize = 1024;
/// The most memory that they take, in bytes for each pixel of the view: that of a frame with all layers and planes.
pub const LATE_BYTES_PER_PIXEL: usize = LAYERS * 8 + PlaneKind::PRIMARY.len() * 4;
/// The most memory that given planes of missing tiles take, in bytes for each pixel of the view: two frames without a tile.
const KEPT_BYTES_PER_PIXEL: usize = 2 * GUIDE_BYTES;
/// Bytes of a pixel's depth, normal, material and instance.
const GUIDE_BYTES: usize = 16;
/// Pieces of one frame's tiles that are told apart; what comes beyond is stale.
const MAX_PIECES: usize = 1 << 13;

const LAYERS: usize = LayerKind::ALL.len();

/// Layers of a frame that are due later than the frame, and their plan: diffuse global light may take five times as long as
/// direct light. The frame shows them from history; what comes of them counts as late, or at once when the frame is still open.
#[derive(Clone, Copy, Debug)]
pub struct LaterLayers<'a> {
    /// At least one, none of them in another group or due with the frame.
    pub layers: &'a [LayerRequest],
    /// Each pixel of the view once, as the frame's own. They are counted on from the last tile of the frame, and from the
    /// group before.
    pub tiles: &'a [PlannedTile],
}

/// What a finished frame, or the open one, asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) id: u64,
    /// What its tiles are traced as: the frame itself, or a guess of it.
    pub(super) traced: Predicted,
    pub(super) is_guess: bool,
    /// Its planes did not come with tiles.
    pub(super) has_planes: bool,
    /// Scale of each layer, 0 where it was not asked for.
    pub(super) scales: [u8; LAYERS],
    /// The group of each layer: 0 was due with the frame.
    pub(super) groups: [u8; LAYERS],
}

#[derive(Clone, Copy, Debug)]
struct KnownTile {
    plan: PlannedTile,
    group: u8,
    /// All of it came.
    is_whole: bool,
}

#[derive(Debug, Default)]
struct KnownFrame {
    asked: Option<Asked>,
    /// Its own, those of layers that are due later, and parts that were asked for again.
    tiles: Vec<KnownTile>,
    /// How many of the last.
    parts: usize,
    /// What came of tiles that are not whole.
    came: Vec<(u32, PlaneKind, Rect)>,
    /// Depth, normals, materials and instances that tiles show which are not whole, where the engine gave them.
    kept: Vec<(u32, Primary)>,
}

impl KnownFrame {
    fn kept_bytes(&self) -> usize {
        self.kept.iter().map(|(_, planes)| GUIDE_BYTES * planes.depth.len()).sum()
    }
}

/// What came late of one tile: pixels without its ghost zone, in planes of the tile's size.
#[derive(Debug)]
pub(super) struct LateTile {
    pub(super) frame_id: u64,
    pub(super) tile: u32,
    pub(super) rect: Rect,
    /// Empty where nothing came; [`NOT_THERE`] where a pixel did not.
    pub(super) layers: [Vec<[u16; 4]>; LAYERS],
    pub(super) primary: Primary,
    /// Layers that are whole by now, whenever they came.
    pub(super) whole: [bool; LAYERS],
    /// Pixels that came of each plane of primary hits.
    primary_pixels: [usize; PlaneKind::PRIMARY.len()],
    pieces: u64,
}

/// A pixel of which nothing came: four half floats that are no numbers.
pub(super) const NOT_THERE: [u16; 4] = [0x7e00; 4];

impl LateTile {
    /// Its primary hits are there: what its pixels show is known.
    pub(super) fn has_primary(&self) -> bool {
        self.primary_pixels.iter().all(|pixels| *pixels == self.rect.pixels())
    }

    /// A whole view, whose planes are all there; depth that is no number, and light that is none, where a pixel's are not.
    pub(super) fn of_view(rect: Rect, layers: [Vec<[u16; 4]>; LAYERS], primary: Primary) -> LateTile {
        let primary_pixels = [rect.pixels(); PlaneKind::PRIMARY.len()];
        LateTile { frame_id: 0, tile: 0, rect, layers, primary, whole: [false; LAYERS], primary_pixels, pieces: 0 }
    }

    fn bytes(&self) -> usize {
        let layers: usize = self.layers.iter().map(Vec::len).sum();
        let words: usize = PlaneKind::PRIMARY.into_iter().map(|plane| primary_words(&self.primary, plane).len()).sum();
        8 * layers + 4 * words
    }
}

/// Pixels of a late piece, those of its rectangle.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    Layer(LayerKind, &'a [[u16; 4]]),
    Words(PlaneKind, &'a [u32]),
}

impl Piece<'_> {
    fn plane(&self) -> PlaneKind {
        match self {
            Piece::Layer(kind, _) => PlaneKind::Layer(*kind),
            Piece::Words(plane, _) => *plane,
        }
    }
}

/// Finished frames and what came of them since.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// The newest first; the open frame, if there is one, is the first.
    frames: [KnownFrame; LATE_FRAMES + 1],
    is_open: bool,
    pending: Vec<LateTile>,
}

impl Late {
    /// A frame begins. One that was open and not finished is forgotten.
    pub(super) fn open<'a>(&mut self, asked: Asked, tiles: impl ExactSizeIterator<Item = &'a PlannedTile>) {
        if self.is_open {
            let dropped = self.frames[0].asked.map(|asked| asked.id);
            self.pending.retain(|late| Some(late.frame_id) != dropped);
        } else {
            self.frames.rotate_right(1);
        }
        self.is_open = true;
        let count = tiles.len();
        if self.frames[0].tiles.capacity() < count {
            // For all at once: the frames after this one take no memory.
            self.frames.iter_mut().for_each(|frame| frame.tiles.reserve(count.saturating_sub(frame.tiles.len())));
        }
        let frame = &mut self.frames[0];
        frame.asked = Some(asked);
        frame.came.clear();
        frame.kept.clear();
        frame.parts = 0;
        frame.tiles.clear();
        frame.tiles.extend(tiles.map(|plan| KnownTile { plan: *plan, group: 0, is_whole: false }));
    }

    /// Tiles of a group that is due later than the frame that has begun.
    pub(super) fn open_group(&mut self, group: u8, tiles: &[PlannedTile]) {
        let known = tiles.iter().map(|plan| KnownTile { plan: *plan, group, is_whole: false });
        self.frames[0].tiles.extend(known);
    }

    /// Parts of a finished frame are asked for again; the number of the first.
    pub(super) fn add_parts(
        &mut self,
        frame: usize,
        parts: impl ExactSizeIterator<Item = PlannedTile>,
    ) -> Result<u32, FrameError> {
        let KnownFrame { tiles, parts: asked, .. } = &mut self.frames[frame];
        let count = *asked + parts.len();
        if count > MAX_UNKNOWN_PARTS {
            let text = format!("{count} parts of one finished frame; at most {MAX_UNKNOWN_PARTS} are possible");
            return Err(FrameError::Plan(text));
        }
        *asked = count;
        let first = tiles.len() as u32;
        tiles.extend(parts.map(|plan| KnownTile { plan, group: 0, is_whole: false }));
        Ok(first)
    }

    /// The open frame is finished: what came of it in time is noted.
    pub(super) fn close(&mut self, tiles: &[TileState], planes: &Primary, extent: Extent) {
        self.is_open = false;
        let KnownFrame { asked, tiles: known, came, kept, .. } = &mut self.frames[0];
        let has_planes = asked.is_some_and(|asked| asked.has_planes);
        for ((index, state), known) in (0..).zip(tiles).zip(known) {
            known.is_whole = state.is_complete();
            if !known.is_whole {
                came.extend(state.received().iter().map(|(plane, rect)| (index, *plane, *rect)));
                if has_planes {
                    kept.push((index, guides(planes, known.plan.rect, extent.rect())));
                }
            }
        }
        let mut held: usize = self.frames.iter().map(KnownFrame::kept_bytes).sum();
        for frame in self.frames.iter_mut().rev() {
            if held <= extent.pixels() * KEPT_BYTES_PER_PIXEL {
                break;
            }
            held -= frame.kept_bytes();
            frame.kept.clear();
        }
    }

    /// What a frame shows of a rectangle that lies within a missing tile, where the engine gave it and it was kept: planes of that tile,
    /// and their rectangle.
    pub(super) fn kept(&self, frame_id: u64, rect: Rect) -> Option<(&Primary, Rect)> {
        let frame = &self.frames[self.position(frame_id)?];
        let mut kept = frame.kept.iter().map(|(tile, planes)| (planes, frame.tiles[*tile as usize].plan.rect));
        kept.find(|(_, planes_of)| planes_of.contains_rect(rect))
    }

    /// No frame is known any more.
    pub(super) fn forget(&mut self) {
        self.frames.iter_mut().for_each(|frame| {
            frame.asked = None;
            frame.kept.clear();
        });
        self.pending.clear();
        self.is_open = false;
    }

    /// Where a frame is known, if its results count.
    pub(super) fn position(&self, frame_id: u64) -> Option<usize> {
        // With a frame open the oldest is as many frames older; without one the next frame will be.
        let known = if self.is_open { &self.frames[..] } else { &self.frames[..LATE_FRAMES] };
        known.iter().position(|frame| frame.asked.is_some_and(|asked| asked.id == frame_id))
    }

    /// What a frame asked for, and how many frames before the open one, or the one that is about to be, it was.
    pub(super) fn asked(&self, frame_id: u64) -> Option<(Asked, u8)> {
        let at = self.position(frame_id)?;
        Some((self.frames[at].asked?, at as u8 + u8::from(!self.is_open)))
    }

    /// False when some of it came before.
    pub(super) fn wants(
        &self,
        frame: usize,
        tile: u32,
        (plane, scale, rect): (PlaneKind, u8, Rect),
        extent: Extent,
    ) -> Result<bool, FrameError> {
        let frame = &self.frames[frame];
        let (Some(asked), Some(known)) = (&frame.asked, frame.tiles.get(tile as usize)) else {
            return Err(FrameError::NotPlanned { tile, what: format!("one of {} tiles", frame.tiles.len()) });
        };
        let planned_scale = match plane {
            PlaneKind::Layer(kind) if asked.groups[kind as usize] == known.group => asked.scales[kind as usize],
            PlaneKind::Layer(_) | PlaneKind::GeometricNormal | PlaneKind::Emissive => 0,
            _ => u8::from(known.group == 0 && !asked.has_planes),
        };
        // The rectangle may come from anywhere: its ends may be no numbers at all.
        let ends = rect.x.checked_add(rect.width).is_some() && rect.y.checked_add(rect.height).is_some();
        let is_planned = scale == planned_scale && scale > 0 && ends && !rect.is_empty();
        let traced = known.plan.rect.grown(known.plan.ghost, extent);
        if !is_planned || !traced.scaled(u32::from(scale)).contains_rect(rect) {
            let what = format!("{plane:?} at scale {scale} in {rect:?} of frame {}", asked.id);
            return Err(FrameError::NotPlanned { tile, what });
        }
        let came = |(t, p, r): &(u32, PlaneKind, Rect)| *t == tile && *p == plane && !r.intersection(rect).is_empty();
        Ok(!known.is_whole && !frame.came.iter().any(came))
    }

    /// The rectangle that a whole tile of a frame has, ghost zone included.
    pub(super) fn traced(&self, frame: usize, tile: u32, extent: Extent) -> Option<Rect> {
        let plan = self.frames[frame].tiles.get(tile as usize)?.plan;
        Some(plan.rect.grown(plan.ghost, extent))
    }

    /// True when a frame has a tile of this number, of whatever group.
    pub(super) fn has_tile(&self, frame: usize, tile: u32) -> bool {
        (tile as usize) < self.frames[frame].tiles.len()
    }

    /// Takes a piece that is wanted; gives back how many pieces were dropped to make room. `None`: more pieces of the frame
    /// came than are told apart.
    pub(super) fn put(&mut self, frame: usize, tile: u32, rect: Rect, piece: Piece<'_>, extent: Extent) -> Option<u64> {
        let KnownFrame { asked: Some(asked), tiles, came, .. } = &mut self.frames[frame] else { return None };
        if came.len() >= MAX_PIECES {
            return None;
        }
        let (core, plane) = (tiles[tile as usize].plan.rect, piece.plane());
        came.push((tile, plane, rect));
        let id = asked.id;
        let at = self.pending.iter().position(|late| late.frame_id == id && late.tile == tile).unwrap_or_else(|| {
            self.pending.push(LateTile {
                frame_id: id,
                tile,
                rect: core,
                layers: Default::default(),
                primary: Primary::default(),
                whole: [false; LAYERS],
                primary_pixels: [0; PlaneKind::PRIMARY.len()],
                pieces: 0,
            });
            self.pending.len() - 1
        });
        let late = &mut self.pending[at];
        late.pieces += 1;
        match piece {
            Piece::Layer(kind, pixels) => {
                let own = core.scaled(u32::from(asked.scales[kind as usize]));
                let plane = &mut late.layers[kind as usize];
                plane.resize(own.pixels(), NOT_THERE);
                copy_part(plane, own, rect, pixels);
            }
            Piece::Words(plane, words) => {
                late.primary_pixels[plane.to_u8() as usize - PlaneKind::Depth.to_u8() as usize] +=
                    core.intersection(rect).pixels();
                if late.primary.depth.is_empty() {
                    resize(&mut late.primary, core.pixels());
                }
                if let Some(to) = primary_words_mut(&mut late.primary, plane) {
                    copy_part(to, core, rect, words);
                }
            }
        }
        Some(self.make_room(extent))
    }

    /// Hits came late and wait: they may stand for planes that are missing.
    pub(super) fn has_hits(&self) -> bool {
        self.pending.iter().any(|late| late.primary_pixels.iter().any(|pixels| *pixels > 0))
    }

    /// What came late, for the frame that is being finished: the oldest frame's tiles first, each frame's in their order.
    pub(super) fn take(&mut self) -> Vec<LateTile> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain(|late| self.position(late.frame_id).is_some());
        for late in &mut pending {
            late.whole = LayerKind::ALL.map(|kind| self.is_whole(late, kind));
        }
        pending.sort_by_key(|late| (std::cmp::Reverse(self.position(late.frame_id)), late.tile));
        pending
    }

    fn is_whole(&self, late: &LateTile, kind: LayerKind) -> bool {
        let Some(frame) = self.position(late.frame_id).map(|at| &self.frames[at]) else { return false };
        let scale = frame.asked.map_or(0, |asked| asked.scales[kind as usize]);
        if scale == 0 {
            return false;
        }
        let own = late.rect.scaled(u32::from(scale));
        let of = frame.came.iter().filter(|(tile, plane, _)| *tile == late.tile && *plane == PlaneKind::Layer(kind));
        of.map(|(.., rect)| rect.intersection(own).pixels()).sum::<usize>() == own.pixels()
    }

    /// Bytes of what waits, and of planes that are kept for what may come.
    pub(super) fn held_bytes(&self) -> usize {
        let kept: usize = self.frames.iter().map(KnownFrame::kept_bytes).sum();
        kept + self.pending.iter().map(LateTile::bytes).sum::<usize>()
    }

    /// Drops the oldest tiles until what waits is within its bounds.
    fn make_room(&mut self, extent: Extent) -> u64 {
        let most = extent.pixels() * LATE_BYTES_PER_PIXEL;
        let mut dropped = 0;
        let mut held: usize = self.pending.iter().map(LateTile::bytes).sum();
        while self.pending.len() > MAX_LATE_TILES || held > most {
            let oldest = self.pending.remove(0);
            held -= oldest.bytes();
            dropped += oldest.pieces;
        }
        dropped
    }
}

/// Depth, normals, materials and instances of a rectangle, from planes of one that it lies in.
pub(super) fn guides(planes: &Primary, rect: Rect, planes_of: Rect) -> Primary {
    let mut guides = Primary::default();
    for y in rect.y..rect.bottom() {
        let at = planes_of.index_of(Rect::new(rect.x, y, rect.width, 1));
        let row = at..at + rect.width as usize;
        guides.depth.extend_from_slice(&planes.depth[row.clone()]);
        guides.normal.extend_from_slice(&planes.normal[row.clone()]);
        guides.material.extend_from_slice(&planes.material[row.clone()]);
        guides.instance_id.extend_from_slice(&planes.instance_id[row]);
    }
    guides
}

/// Makes planes of so many pixels.
fn resize(primary: &mut Primary, pixels: usize) {
    let Primary { depth, normal, base_color, material, motion, instance_id } = primary;
    depth.resize(pixels, crate::SKY_DEPTH);
    [normal, base_color, material, motion, instance_id].into_iter().for_each(|words| words.resize(pixels, 0));
}

/// Copies what `rect`'s pixels have of `whole` into a plane of that size.
fn copy_part<T: Copy>(plane: &mut [T], whole: Rect, rect: Rect, pixels: &[T]) {
    let part = whole.intersection(rect);
    let columns = part.width as usize;
    for y in part.y..part.bottom() {
        let row = Rect::new(part.x, y, part.width, 1);
        if columns > 0 {
            let (to, from) = (whole.index_of(row), rect.index_of(row));
            plane[to..to + columns].copy_from_slice(&pixels[from..from + columns]);
        }
    }
}
