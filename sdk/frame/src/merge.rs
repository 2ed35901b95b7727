//! One frame out of many tiles: what arrived, blended into the reprojected last frame.
//!
//! **A missing tile has weight zero**: its pixels come from history, seen from this frame's camera, and age. One
//! mechanism serves smoothness, lateness and loss. See `docs/merging.md`.

mod ghost;
mod layer;
mod reproject;
mod resolve;
mod tile;
mod upsample;
mod warp;

use ghost::GhostPixels;
use layer::{LayerBuffers, copy_rows};
use rayloom_scene::Camera;
use reproject::{LastFrame, Reprojection};
use resolve::History;
use tile::TileState;

use crate::{
    Extent, FrameError, Inline, LayerKind, LayerRequest, PlaneKind, Primary, Rect, TracedTile, Workers,
    codec::{DecodeLimits, DecodedSlice, Decoder, Slice, SlicePixels, primary_words},
};

/// The most tiles that a frame may be cut into.
pub const MAX_TILES: usize = 4096;

/// A tile of a frame's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedTile {
    /// The pixels that are this tile's own. All tiles of a plan cover the view, each pixel once.
    pub rect: Rect,
    /// Pixels that are traced around it (none beyond the view's edges).
    pub ghost: u32,
}

/// What a frame is to be.
#[derive(Clone, Copy, Debug)]
pub struct FrameInputs<'a> {
    /// The frame. Results for other frames are stale.
    pub frame_id: u64,
    /// Its camera.
    pub camera: Camera,
    /// The camera that the peers' motion vectors lead to.
    pub previous_camera: Camera,
    /// The traced layers, each kind at most once.
    pub layers: &'a [LayerRequest],
    /// The plan.
    pub tiles: &'a [PlannedTile],
}

/// What becomes of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeMode {
    /// Samples are averaged over up to `max_history` frames on diffuse layers, half as many on specular, at most 4 on unlit.
    Accumulate {
        /// Frames, at least 1 (which turns averaging off but still covers missing tiles from history).
        max_history: u8,
    },
    /// Exactly what was traced, bit for bit where a layer has full resolution; missing pixels are black and never filled.
    Passthrough,
}

impl MergeMode {
    fn history_limit(self, kind: LayerKind) -> u8 {
        let MergeMode::Accumulate { max_history } = self else { return 1 };
        let limit = match kind {
            LayerKind::Direct | LayerKind::Indirect => max_history,
            LayerKind::Specular => max_history / 2,
            LayerKind::Unlit => max_history.min(4),
        };
        limit.max(1)
    }
}

/// What became of a slice or tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is part of the frame.
    Stored {
        /// True when nothing of this tile is missing any more.
        tile_complete: bool,
    },
    /// It, or some of it, had come before; it was ignored.
    Duplicate,
    /// It is for another frame, or this one is finished; it was ignored.
    Stale,
}

/// What arrived, since the merger was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeCounts {
    /// Slices (or whole tiles) that became part of a frame.
    pub stored: u64,
    /// Slices or tiles that had come before.
    pub duplicates: u64,
    /// Slices or tiles for another frame.
    pub stale: u64,
    /// Slices or tiles that were refused with an error.
    pub rejected: u64,
}

/// A tile of a finished frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileResult {
    /// Its pixels.
    pub rect: Rect,
    /// Who traced it, if anything came.
    pub peer: Option<u32>,
    /// True when all of it came.
    pub complete: bool,
    /// The greatest age of its pixels, in frames.
    pub age: u8,
}

/// A finished frame: planes of the whole view, rows from the top, valid until the next [`Merger::begin`].
#[derive(Clone, Copy, Debug)]
pub struct MergedFrame<'a> {
    /// The frame.
    pub frame_id: u64,
    /// Its camera.
    pub camera: Camera,
    /// Size of every plane.
    pub extent: Extent,
    /// What the primary rays hit; of missing tiles, what the last frame's hits look like from here.
    pub planes: &'a Primary,
    /// Age of each pixel in frames: 0 was traced for exactly this frame, 255 never was.
    pub ages: &'a [u8],
    /// Frames gathered in each pixel; 0 and 1 where the surface has just become visible.
    pub lengths: &'a [u8],
    /// The plan with what came of it.
    pub tiles: &'a [TileResult],
    layers: &'a [LayerBuffers; LayerKind::ALL.len()],
    fresh_pixels: usize,
}

impl<'a> MergedFrame<'a> {
    /// A merged, demodulated layer: bits of four half floats a pixel; `None` when it was not requested.
    pub fn layer(&self, kind: LayerKind) -> Option<&'a [[u16; 4]]> {
        let layer = &self.layers[kind as usize];
        layer.request.map(|_| layer.current.as_slice())
    }

    /// Share of the pixels that were traced for exactly this frame, in all layers.
    pub fn fresh_fraction(&self) -> f32 {
        self.fresh_pixels as f32 / self.extent.pixels().max(1) as f32
    }
}

/// Assembles frames; keeps one frame of history. In steady state it takes no memory but for a list of bands.
pub struct Merger {
    extent: Extent,
    mode: MergeMode,
    blend_ghosts: bool,
    counts: MergeCounts,
    frame: Option<(u64, Camera, Camera)>,
    is_finished: bool,
    /// The finished frame may be the next one's history: its pixels are finite numbers.
    is_history: bool,
    /// The camera of the last finished frame, whose pixels are in the `last_` planes.
    history_camera: Option<Camera>,
    tiles: Vec<TileState>,
    tile_count: usize,
    /// The tiles' indices from left to right.
    from_left: Vec<u32>,
    results: Vec<TileResult>,
    ghosts: GhostPixels,
    planes: Primary,
    last_planes: Primary,
    ages: Vec<u8>,
    last_ages: Vec<u8>,
    lengths: Vec<u8>,
    last_lengths: Vec<u8>,
    layers: [LayerBuffers; LayerKind::ALL.len()],
    fresh_pixels: usize,
    decoded: Decoder,
}

impl Merger {
    /// A merger for views of `extent` pixels, neither side 0: gathers up to 32 frames, discards ghost zones.
    pub fn new(extent: Extent) -> Merger {
        let plane = || vec![0; extent.pixels()];
        let primary = |motion| Primary {
            depth: vec![crate::SKY_DEPTH; extent.pixels()],
            normal: plane(),
            base_color: plane(),
            material: plane(),
            motion,
            instance_id: plane(),
        };
        Merger {
            extent,
            mode: MergeMode::Accumulate { max_history: 32 },
            blend_ghosts: false,
            counts: MergeCounts::default(),
            frame: None,
            is_finished: false,
            is_history: false,
            history_camera: None,
            tiles: Vec::new(),
            tile_count: 0,
            from_left: Vec::new(),
            results: Vec::new(),
            ghosts: GhostPixels::default(),
            planes: primary(plane()),
            // The last frame's motion is never read.
            last_planes: primary(Vec::new()),
            ages: vec![resolve::NEVER; extent.pixels()],
            last_ages: vec![resolve::NEVER; extent.pixels()],
            lengths: vec![0; extent.pixels()],
            last_lengths: vec![0; extent.pixels()],
            layers: Default::default(),
            fresh_pixels: 0,
            decoded: Decoder::default(),
        }
    }

    /// Size of the view.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// What arrived so far.
    pub fn counts(&self) -> MergeCounts {
        self.counts
    }

    /// Bytes of the planes that it holds.
    pub fn held_bytes(&self) -> usize {
        let words = |p: &Primary| {
            [&p.normal, &p.base_color, &p.material, &p.motion, &p.instance_id]
                .map(|v| v.capacity())
                .iter()
                .sum::<usize>()
        };
        let planes = |p: &Primary| 4 * (p.depth.capacity() + words(p));
        let bytes = [&self.ages, &self.last_ages, &self.lengths, &self.last_lengths]
            .map(|v| v.capacity())
            .iter()
            .sum::<usize>();
        let layers = self.layers.iter().map(|l| {
            8 * (l.current.capacity() + l.history.capacity() + l.coarse.capacity()) + l.coarse_from.capacity()
        });
        planes(&self.planes) + planes(&self.last_planes) + bytes + layers.sum::<usize>()
    }

    /// The frame being assembled: begun and not finished.
    pub fn open_frame(&self) -> Option<u64> {
        self.frame.filter(|_| !self.is_finished).map(|(id, ..)| id)
    }

    /// True when everything of the open frame has come.
    pub fn is_complete(&self) -> bool {
        self.open_frame().is_some() && self.tiles[..self.tile_count].iter().all(TileState::is_complete)
    }

    /// Takes effect with the next frame that is finished.
    pub fn set_mode(&mut self, mode: MergeMode) {
        self.mode = mode;
    }

    /// Whether ghost zones are mixed across tile borders (full-resolution layers, [`MergeMode::Accumulate`]) or discarded.
    pub fn set_blend_ghosts(&mut self, blend: bool) {
        self.blend_ghosts = blend;
    }

    /// Drops the history, for example after a cut to another place.
    pub fn forget(&mut self) {
        self.history_camera = None;
        self.is_finished = false;
        self.frame = None;
    }

    /// Opens a frame; one that was open and not finished is dropped.
    ///
    /// # Errors
    /// Tiles that leave the view, overlap or leave gaps; a layer twice, or at a scale other than 1 and 2.
    pub fn begin(&mut self, inputs: FrameInputs<'_>) -> Result<(), FrameError> {
        check_plan(self.extent, inputs.tiles)?;
        let mut scales = [0; LayerKind::ALL.len()];
        for request in inputs.layers {
            if scales[request.kind as usize] != 0 || !(1..=2).contains(&request.scale) {
                let (name, scale) = (request.kind.name(), request.scale);
                return Err(FrameError::Plan(format!(
                    "layer {name} at scale {scale}: ask for each layer once, at scale 1 or 2"
                )));
            }
            scales[request.kind as usize] = request.scale;
        }
        // A frame that was dropped leaves the history as it was.
        let last_finished = self.is_finished;
        if last_finished {
            self.history_camera = self.frame.filter(|_| self.is_history).map(|(_, camera, _)| camera);
            std::mem::swap(&mut self.planes, &mut self.last_planes);
            std::mem::swap(&mut self.planes.motion, &mut self.last_planes.motion);
            std::mem::swap(&mut self.ages, &mut self.last_ages);
            std::mem::swap(&mut self.lengths, &mut self.last_lengths);
        }
        for kind in LayerKind::ALL {
            let request = inputs.layers.iter().find(|r| r.kind == kind).copied();
            self.layers[kind as usize].begin(request, self.extent, last_finished);
        }
        self.tile_count = inputs.tiles.len();
        if self.tiles.len() < self.tile_count {
            self.tiles.resize_with(self.tile_count, TileState::default);
        }
        for (state, plan) in self.tiles.iter_mut().zip(inputs.tiles) {
            state.begin(*plan, scales);
        }
        self.from_left.clear();
        self.from_left.extend(0..self.tile_count as u32);
        self.from_left.sort_by_key(|i| inputs.tiles[*i as usize].rect.x);
        self.ghosts.clear();
        self.frame = Some((inputs.frame_id, inputs.camera, inputs.previous_camera));
        self.is_finished = false;
        Ok(())
    }

    /// Takes a slice of tile `tile` (its index in the plan) of frame `frame_id` from `peer`.
    ///
    /// # Errors
    /// What [`crate::codec::decode_slice`] refuses, and what the plan does not ask for. Nothing of a refused slice counts.
    pub fn add_slice(&mut self, frame_id: u64, tile: u32, peer: u32, slice: &Slice) -> Result<Added, FrameError> {
        if self.open_frame() != Some(frame_id) {
            self.counts.stale += 1;
            return Ok(Added::Stale);
        }
        let added = self.try_add_slice(tile, peer, slice);
        self.count(&added);
        added
    }

    /// Takes a whole traced tile, as a peer in this process gives it.
    ///
    /// # Errors
    /// A tile whose rectangle, layers or primary planes are not those of the plan. Nothing of a refused tile counts.
    pub fn add_tile(&mut self, frame_id: u64, tile: u32, peer: u32, traced: &TracedTile) -> Result<Added, FrameError> {
        if self.open_frame() != Some(frame_id) {
            self.counts.stale += 1;
            return Ok(Added::Stale);
        }
        let added = self.try_add_tile(tile, peer, traced);
        self.count(&added);
        added
    }

    /// Takes a slice that was decoded elsewhere, for example by threads with a [`Decoder`] each.
    ///
    /// # Errors
    /// What the plan does not ask for, and pixels that are not those of the rectangle. Nothing of a refused slice counts.
    pub fn add_decoded(
        &mut self,
        frame_id: u64,
        tile: u32,
        peer: u32,
        slice: &DecodedSlice,
    ) -> Result<Added, FrameError> {
        if self.open_frame() != Some(frame_id) {
            self.counts.stale += 1;
            return Ok(Added::Stale);
        }
        let added = self.try_add_decoded(tile, peer, slice);
        self.count(&added);
        added
    }

    /// Closes the open frame: what did not come is filled from history. Without an open frame, the last one again;
    /// `None` before the first.
    pub fn finish(&mut self) -> Option<MergedFrame<'_>> {
        self.finish_with(&Inline)
    }

    /// [`Merger::finish`] on these threads; the bits are the same.
    pub fn finish_with(&mut self, workers: &dyn Workers) -> Option<MergedFrame<'_>> {
        let (frame_id, camera, previous_camera) = self.frame?;
        if !self.is_finished {
            self.resolve(frame_id, &camera, &previous_camera, workers);
            self.is_finished = true;
        }
        Some(MergedFrame {
            frame_id,
            camera,
            extent: self.extent,
            planes: &self.planes,
            ages: &self.ages,
            lengths: &self.lengths,
            tiles: &self.results,
            layers: &self.layers,
            fresh_pixels: self.fresh_pixels,
        })
    }

    fn resolve(&mut self, frame_id: u64, camera: &Camera, previous_camera: &Camera, workers: &dyn Workers) {
        let accumulates = self.mode != MergeMode::Passthrough;
        self.is_history = accumulates;
        let history = self.history_camera.filter(|_| accumulates).map(|last| History {
            last: LastFrame {
                extent: self.extent,
                planes: &self.last_planes,
                ages: &self.last_ages,
                lengths: &self.last_lengths,
                reprojection: Reprojection::new(camera, &last, self.extent),
            },
            to_this: Reprojection::new(&last, camera, self.extent),
            motion_leads_there: same_view(&last, previous_camera),
        });
        let tiles = &self.tiles[..self.tile_count];
        let inputs = resolve::Inputs {
            extent: self.extent,
            frame_id,
            mode: self.mode,
            tiles,
            from_left: &self.from_left,
            ghosts: (self.blend_ghosts && accumulates).then_some(self.ghosts.sorted()),
            history,
        };
        let outputs = resolve::Outputs {
            planes: &mut self.planes,
            ages: &mut self.ages,
            lengths: &mut self.lengths,
            layers: &mut self.layers,
        };
        self.fresh_pixels = resolve::resolve(&inputs, outputs, workers);
        self.results.clear();
        let (ages, width) = (&self.ages, self.extent.width as usize);
        self.results.extend(tiles.iter().map(|tile| {
            let rect = tile.plan().rect;
            let oldest = |y: u32| {
                let start = y as usize * width + rect.x as usize;
                ages[start..start + rect.width as usize].iter().copied().max().unwrap_or(0)
            };
            let age = if tile.is_complete() { 0 } else { (rect.y..rect.bottom()).map(oldest).max().unwrap_or(0) };
            TileResult { rect, peer: tile.peer(), complete: tile.is_complete(), age }
        }));
    }

    fn try_add_slice(&mut self, tile: u32, peer: u32, slice: &Slice) -> Result<Added, FrameError> {
        let limits = DecodeLimits::new(self.extent);
        slice.check(limits)?;
        if !self.wants(tile, slice.plane, slice.scale, slice.rect)? {
            return Ok(Added::Duplicate);
        }
        self.decoded.decode_here(slice, limits)?;
        // Its buffers, while the rest of the merger takes what is in them.
        let decoded = std::mem::take(&mut self.decoded);
        let added = match slice.plane {
            PlaneKind::Layer(kind) => self.place_layer(tile, peer, kind, slice.rect, &decoded.layer),
            plane => self.place_words(tile, peer, plane, slice.rect, &decoded.words),
        };
        self.decoded = decoded;
        Ok(added)
    }

    fn try_add_decoded(&mut self, tile: u32, peer: u32, slice: &DecodedSlice) -> Result<Added, FrameError> {
        let DecodedSlice { plane, scale, rect, pixels } = slice;
        if !self.wants(tile, *plane, *scale, *rect)? {
            return Ok(Added::Duplicate);
        }
        match (plane, pixels) {
            (PlaneKind::Layer(kind), SlicePixels::Layer(pixels)) if pixels.len() == rect.pixels() => {
                Ok(self.place_layer(tile, peer, *kind, *rect, pixels))
            }
            (PlaneKind::Layer(_), _) | (_, SlicePixels::Layer(_)) => Err(mismatch(tile, slice)),
            (_, SlicePixels::Primary(words)) if words.len() == rect.pixels() => {
                Ok(self.place_words(tile, peer, *plane, *rect, words))
            }
            _ => Err(mismatch(tile, slice)),
        }
    }

    /// False when some of it came before.
    fn wants(&self, tile: u32, plane: PlaneKind, scale: u8, rect: Rect) -> Result<bool, FrameError> {
        let state = planned(&self.tiles[..self.tile_count], tile)?;
        // The rectangle may come from anywhere: its ends may be no numbers at all.
        let ends = rect.x.checked_add(rect.width).is_some() && rect.y.checked_add(rect.height).is_some();
        let planned = scale == state.scale(plane) && scale > 0 && ends && !rect.is_empty();
        if !planned || !state.traced(scale, self.extent).contains_rect(rect) {
            let what = format!("{plane:?} at scale {scale} in {rect:?}");
            return Err(FrameError::NotPlanned { tile, what });
        }
        Ok(!state.has_any_of(plane, rect))
    }

    fn place_layer(&mut self, tile: u32, peer: u32, kind: LayerKind, rect: Rect, pixels: &[[u16; 4]]) -> Added {
        let state = &mut self.tiles[tile as usize];
        let (core, scale) = (state.plan().rect, state.scale(PlaneKind::Layer(kind)));
        self.layers[kind as usize].write(core, rect, pixels, self.extent, scale as u32);
        if self.blend_ghosts && scale == 1 {
            self.ghosts.keep(tile, kind, core, rect, pixels);
        }
        state.set_peer(peer);
        state.note(PlaneKind::Layer(kind), rect);
        Added::Stored { tile_complete: state.is_complete() }
    }

    fn place_words(&mut self, tile: u32, peer: u32, plane: PlaneKind, rect: Rect, words: &[u32]) -> Added {
        let state = &mut self.tiles[tile as usize];
        write_primary(&mut self.planes, plane, self.extent, state.plan().rect, rect, words);
        state.set_peer(peer);
        state.note(plane, rect);
        Added::Stored { tile_complete: state.is_complete() }
    }

    fn try_add_tile(&mut self, tile: u32, peer: u32, traced: &TracedTile) -> Result<Added, FrameError> {
        let state = planned(&self.tiles[..self.tile_count], tile)?;
        let refuse = |what: String| Err(FrameError::NotPlanned { tile, what });
        let rect = state.traced(1, self.extent);
        if traced.rect != rect {
            return refuse(format!("a tile of {:?} where {rect:?} is", traced.rect));
        }
        for (i, layer) in traced.layers.iter().enumerate() {
            let plane = PlaneKind::Layer(layer.kind);
            let scale = state.scale(plane);
            let twice = traced.layers[..i].iter().any(|l| l.kind == layer.kind);
            if twice
                || scale == 0
                || layer.scale != scale
                || layer.rect != rect.scaled(scale as u32)
                || layer.pixels.len() != layer.rect.pixels()
            {
                return refuse(format!(
                    "layer {} at scale {} in {:?} with {} pixels",
                    layer.kind.name(),
                    layer.scale,
                    layer.rect,
                    layer.pixels.len()
                ));
            }
            if state.has_any_of(plane, layer.rect) {
                return Ok(Added::Duplicate);
            }
        }
        if let Some(primary) = &traced.primary {
            for plane in PlaneKind::PRIMARY {
                let pixels = primary_words(primary, plane).len();
                if pixels != rect.pixels() {
                    return refuse(format!("{plane:?} with {pixels} pixels in {rect:?}"));
                }
                if state.has_any_of(plane, rect) {
                    return Ok(Added::Duplicate);
                }
            }
        }
        self.tiles[tile as usize].set_peer(peer);
        for layer in &traced.layers {
            self.place_layer(tile, peer, layer.kind, layer.rect, &layer.pixels);
        }
        if let Some(primary) = &traced.primary {
            for plane in PlaneKind::PRIMARY {
                self.place_words(tile, peer, plane, rect, primary_words(primary, plane));
            }
        }
        Ok(Added::Stored { tile_complete: self.tiles[tile as usize].is_complete() })
    }

    fn count(&mut self, added: &Result<Added, FrameError>) {
        match added {
            Ok(Added::Stored { .. }) => self.counts.stored += 1,
            Ok(Added::Duplicate) => self.counts.duplicates += 1,
            Ok(Added::Stale) => self.counts.stale += 1,
            Err(_) => self.counts.rejected += 1,
        }
    }
}

fn planned(tiles: &[TileState], tile: u32) -> Result<&TileState, FrameError> {
    tiles
        .get(tile as usize)
        .ok_or_else(|| FrameError::NotPlanned { tile, what: format!("one of {} tiles", tiles.len()) })
}

fn mismatch(tile: u32, slice: &DecodedSlice) -> FrameError {
    let (kind, pixels) = match &slice.pixels {
        SlicePixels::Layer(pixels) => ("layer pixels", pixels.len()),
        SlicePixels::Primary(words) => ("words", words.len()),
    };
    FrameError::NotPlanned { tile, what: format!("{:?} with {pixels} {kind} in {:?}", slice.plane, slice.rect) }
}

fn write_primary(planes: &mut Primary, plane: PlaneKind, extent: Extent, core: Rect, rect: Rect, words: &[u32]) {
    let plane: &mut [u32] = match plane {
        PlaneKind::Depth => bytemuck::cast_slice_mut(&mut planes.depth),
        PlaneKind::Normal => &mut planes.normal,
        PlaneKind::BaseColor => &mut planes.base_color,
        PlaneKind::Material => &mut planes.material,
        PlaneKind::Motion => &mut planes.motion,
        PlaneKind::InstanceId => &mut planes.instance_id,
        PlaneKind::Layer(_) => return,
    };
    copy_rows(plane, extent.width, core, rect, words);
}

/// True when both show the same picture; the sub-pixel offset does not matter.
fn same_view(a: &Camera, b: &Camera) -> bool {
    Camera { jitter: b.jitter, ..*a } == *b
}

fn check_plan(extent: Extent, tiles: &[PlannedTile]) -> Result<(), FrameError> {
    if tiles.len() > MAX_TILES {
        return Err(FrameError::Plan(format!("{} tiles; at most {MAX_TILES} are possible", tiles.len())));
    }
    let mut pixels = 0u64;
    for (i, PlannedTile { rect, .. }) in tiles.iter().enumerate() {
        let inside = rect.x as u64 + rect.width as u64 <= extent.width as u64
            && rect.y as u64 + rect.height as u64 <= extent.height as u64;
        if rect.is_empty() || !inside {
            return Err(FrameError::Plan(format!("tile {i}, {rect:?}, is empty or leaves the view of {extent:?}")));
        }
        if let Some(other) = tiles[..i].iter().position(|t| !t.rect.intersection(*rect).is_empty()) {
            return Err(FrameError::Plan(format!(
                "tiles {other} and {i} overlap in {:?}; use `ghost` for margins",
                tiles[other].rect.intersection(*rect)
            )));
        }
        pixels += rect.pixels() as u64;
    }
    if pixels != extent.pixels() as u64 || pixels == 0 {
        return Err(FrameError::Plan(format!(
            "tiles cover {pixels} of {} pixels; cover each pixel once",
            extent.pixels()
        )));
    }
    Ok(())
}
