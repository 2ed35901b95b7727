//! One frame out of many tiles: what arrived, blended into the reprojected last frame.
//!
//! **A missing tile has weight zero**: its pixels come from history, seen from this frame's camera, and age. One
//! mechanism serves smoothness, lateness and loss. See `docs/merging.md`.

mod accumulate;
mod ahead;
mod arrivals;
mod bands;
mod blocks;
mod change;
mod fill;
mod fold;
mod ghost;
mod guess;
mod late;
mod late_frame;
mod layer;
mod merged_frame;
mod missing;
mod offsets;
mod plain;
mod ready;
mod reproject;
mod resolve;
mod tile;
mod unknown;
mod upsample;
mod warp;

use ahead::Ahead;
use blocks::Blocks;
use change::Changes;
use ghost::GhostPixels;
use guess::Guess;
pub use guess::Predicted;
use late::{Asked, Late};
pub use late::{LATE_BYTES_PER_PIXEL, LATE_FRAMES, LaterLayers, MAX_LATE_TILES};
use late_frame::{LateFrame, LatePixels, Optics};
use layer::LayerBuffers;
pub use merged_frame::{LayerAge, MergedFrame, TileResult};
pub use missing::Prepared;
use offsets::Offsets;
use rayloom_scene::Camera;
use reproject::{LastFrame, Reprojection};
use resolve::History;
use tile::TileState;
pub use unknown::{MAX_UNKNOWN_PARTS, UnknownPart};

use crate::{
    Extent, FrameError, Inline, LayerKind, LayerRequest, PlaneKind, Primary, Rect, Workers,
    codec::{Decoder, primary_words},
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
    /// The frame.
    pub frame_id: u64,
    /// Its camera.
    pub camera: Camera,
    /// The camera that the peers' motion vectors lead to.
    pub previous_camera: Camera,
    /// The traced layers that are due with the frame, each kind at most once.
    pub layers: &'a [LayerRequest],
    /// The plan.
    pub tiles: &'a [PlannedTile],
    /// Layers that are due later, in groups with a plan each; they need [`MergeMode::Accumulate`].
    pub later: &'a [LaterLayers<'a>],
    /// What the engine's own raster saw: the peers send layers alone then. `None`: what primary rays hit comes with them.
    pub planes: Option<&'a Primary>,
    /// What the light of layers was multiplied by when it was traced; above 0. History is brought to it.
    pub pre_exposure: f32,
    /// Camera and scene are exactly the last frame's: paths go on being summed, over as many frames as there are.
    pub is_unchanged: bool,
    /// Its tiles were traced from a guess of its camera. That needs [`MergeMode::Accumulate`], and hits that come with them.
    pub predicted: Option<Predicted>,
}

impl<'a> FrameInputs<'a> {
    /// A frame without planes of its own, that may have changed, of a camera that did not move, at pre-exposure 1.
    pub fn new(frame_id: u64, camera: Camera, layers: &'a [LayerRequest], tiles: &'a [PlannedTile]) -> FrameInputs<'a> {
        let (previous_camera, planes, pre_exposure) = (camera, None, 1.0);
        let (later, is_unchanged, predicted): (&[_], _, _) = (&[], false, None);
        FrameInputs {
            frame_id,
            camera,
            previous_camera,
            layers,
            tiles,
            later,
            planes,
            pre_exposure,
            is_unchanged,
            predicted,
        }
    }
}

/// What becomes of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeMode {
    /// Samples are averaged over up to `max_history` frames on diffuse layers, half as many on specular, at most 4 on unlit;
    /// on paths over all frames that are unchanged.
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
            LayerKind::Direct | LayerKind::Indirect | LayerKind::Path => max_history,
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
    /// It is for a finished frame, or a layer of it that is due later: it counts in the next frame that finishes.
    Late,
    /// It is for a frame that is too old, or was never begun, or passed through; it was ignored.
    Stale,
}

/// What arrived, since the merger was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeCounts {
    /// Slices (or whole tiles) that became part of a frame.
    pub stored: u64,
    /// Slices or tiles that had come before.
    pub duplicates: u64,
    /// Slices or tiles that came after their frame, or were due after it, and were taken for the next frame that finishes.
    pub late: u64,
    /// Of these, slices or tiles that were dropped before that, because more came than is kept.
    pub late_dropped: u64,
    /// Slices or tiles for frames that are too old or unknown.
    pub stale: u64,
    /// Slices or tiles that were refused with an error.
    pub rejected: u64,
}

/// What is known of a frame from its begin on.
#[derive(Clone, Copy)]
struct OpenFrame {
    id: u64,
    camera: Camera,
    previous_camera: Camera,
    pre_exposure: f32,
    is_unchanged: bool,
    mode: MergeMode,
    blend_ghosts: bool,
}

impl OpenFrame {
    fn accumulates(&self) -> bool {
        self.mode != MergeMode::Passthrough
    }
}

/// Assembles frames; keeps one frame of history. In steady state it takes no memory.
pub struct Merger {
    extent: Extent,
    mode: MergeMode,
    blend_ghosts: bool,
    counts: MergeCounts,
    frame: Option<OpenFrame>,
    is_finished: bool,
    /// The finished frame may be the next one's history: its pixels are finite numbers.
    is_history: bool,
    /// The last finished frame, whose pixels are in the `last_` planes.
    history: Option<OpenFrame>,
    tiles: Vec<TileState>,
    tile_count: usize,
    /// The tiles' indices from left to right.
    from_left: Vec<u32>,
    results: Vec<TileResult>,
    ghosts: GhostPixels,
    planes: Primary,
    last_planes: Primary,
    offsets: Offsets,
    ages: Vec<u8>,
    last_ages: Vec<u8>,
    lengths: Vec<u8>,
    last_lengths: Vec<u8>,
    layers: [LayerBuffers; LayerKind::ALL.len()],
    changes: Changes,
    blocks: Blocks,
    ahead: Ahead,
    fresh_pixels: usize,
    late: Late,
    guess: Guess,
    /// The first of the finished frames that show exactly what the last one does, and what was asked for.
    unchanged_since: u64,
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
            history: None,
            tiles: Vec::new(),
            tile_count: 0,
            from_left: Vec::new(),
            results: Vec::new(),
            ghosts: GhostPixels::default(),
            planes: primary(plane()),
            // The last frame's motion is never read.
            last_planes: primary(Vec::new()),
            offsets: Offsets::default(),
            ages: vec![resolve::NEVER; extent.pixels()],
            last_ages: vec![resolve::NEVER; extent.pixels()],
            lengths: vec![0; extent.pixels()],
            last_lengths: vec![0; extent.pixels()],
            layers: Default::default(),
            changes: Changes::default(),
            blocks: Blocks::default(),
            ahead: Ahead::default(),
            fresh_pixels: 0,
            late: Late::default(),
            guess: Guess::default(),
            unchanged_since: 0,
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

    /// Bytes of the planes that it holds, and of what came late and waits.
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
            8 * (l.current.capacity() + l.history.capacity() + l.coarse.capacity())
                + 16 * l.sums.capacity()
                + l.coarse_from.capacity()
                + l.times.held_bytes()
        });
        let blocks =
            self.offsets.held_bytes() + self.changes.held_bytes() + self.blocks.held_bytes() + self.ahead.held_bytes();
        let blocks_and_late = blocks + self.late.held_bytes() + self.guess.held_bytes();
        planes(&self.planes) + planes(&self.last_planes) + bytes + layers.sum::<usize>() + blocks_and_late
    }

    /// The frame being assembled: begun and not finished.
    pub fn open_frame(&self) -> Option<u64> {
        self.frame.filter(|_| !self.is_finished).map(|frame| frame.id)
    }

    /// True when everything that is due with the open frame has come.
    pub fn is_complete(&self) -> bool {
        self.open_frame().is_some() && self.arrived_tiles().iter().all(TileState::is_complete)
    }

    /// What has come of the frame's own tiles, whatever camera they were traced from.
    fn arrived_tiles(&self) -> &[TileState] {
        self.guess.tiles().unwrap_or(&self.tiles[..self.tile_count])
    }

    /// Takes effect with the next frame that begins.
    pub fn set_mode(&mut self, mode: MergeMode) {
        self.mode = mode;
    }

    /// Whether ghost zones are mixed across tile borders (full-resolution layers, [`MergeMode::Accumulate`]) or discarded, from
    /// the next frame that begins.
    pub fn set_blend_ghosts(&mut self, blend: bool) {
        self.blend_ghosts = blend;
    }

    /// Drops the history, for example after a cut to another place; what comes of earlier frames is stale from here on.
    pub fn forget(&mut self) {
        self.history = None;
        self.is_finished = false;
        self.frame = None;
        self.late.forget();
    }

    /// Opens a frame; one that was open and not finished is dropped.
    ///
    /// # Errors
    /// Tiles that leave the view, overlap or leave gaps; a layer twice, or at a scale other than 1 and 2; planes of
    /// another size; layers that are due later where frames pass through.
    pub fn begin(&mut self, inputs: FrameInputs<'_>) -> Result<(), FrameError> {
        check_plan(self.extent, inputs.tiles)?;
        if !(inputs.pre_exposure.is_finite() && inputs.pre_exposure > 0.0) {
            let text = format!("a pre-exposure of {}; it must be finite and above 0", inputs.pre_exposure);
            return Err(FrameError::Plan(text));
        }
        if let Some(planes) = inputs.planes {
            check_planes(self.extent, planes)?;
        }
        let asked = self.check_layers(&inputs)?;
        self.guess.begin(&inputs, self.mode, self.extent)?;
        // A frame that was dropped leaves the history as it was; sums of paths that were added to go on as after a change.
        let last_finished = self.is_finished;
        let has_spoilt_sums = !last_finished && self.frame.is_some() && self.ahead.merged_pixels > 0;
        if last_finished {
            self.changes.close(self.layers.each_ref().map(|layer| layer.request));
            self.history = self.frame.filter(|_| self.is_history);
            std::mem::swap(&mut self.planes, &mut self.last_planes);
            std::mem::swap(&mut self.planes.motion, &mut self.last_planes.motion);
            self.offsets.close();
            std::mem::swap(&mut self.ages, &mut self.last_ages);
            std::mem::swap(&mut self.lengths, &mut self.last_lengths);
        }
        let later = inputs.later.iter().flat_map(|group| group.layers);
        for kind in LayerKind::ALL {
            let request = inputs.layers.iter().chain(later.clone()).find(|r| r.kind == kind).copied();
            self.layers[kind as usize].begin(request, asked.groups[kind as usize] > 0, self.extent, last_finished);
        }
        let mut scales = asked.scales;
        for (scale, group) in scales.iter_mut().zip(asked.groups) {
            *scale = if group == 0 { *scale } else { 0 };
        }
        if self.mode == MergeMode::Passthrough {
            self.late.forget();
        } else {
            self.late.open(asked, inputs.tiles.iter());
            for (group, layers) in (1..).zip(inputs.later) {
                self.late.open_group(group, layers.tiles);
            }
        }
        self.tile_count = inputs.tiles.len();
        if self.tiles.len() < self.tile_count {
            self.tiles.resize_with(self.tile_count, TileState::default);
        }
        for (state, plan) in self.tiles.iter_mut().zip(inputs.tiles) {
            state.begin(*plan, scales, inputs.planes.is_some());
        }
        if let Some(planes) = inputs.planes {
            self.planes.clone_from(planes);
        }
        self.from_left.clear();
        self.from_left.extend(0..self.tile_count as u32);
        // In place, unlike a sort that keeps the order of equals.
        self.from_left.sort_unstable_by_key(|i| (inputs.tiles[*i as usize].rect.x, *i));
        self.ghosts.clear();
        let FrameInputs { frame_id: id, camera, previous_camera, pre_exposure, .. } = inputs;
        let is_unchanged = inputs.is_unchanged && !has_spoilt_sums;
        let (mode, blend_ghosts) = (self.mode, self.blend_ghosts);
        let frame = OpenFrame { id, camera, previous_camera, pre_exposure, is_unchanged, mode, blend_ghosts };
        if self.history.is_some() && frame.accumulates() {
            let measured = self.layers.each_ref().map(|layer| layer.request.filter(|_| layer.has_history));
            self.changes.open(self.extent, measured);
        } else {
            self.changes.forget();
        }
        let is_upsampled = self.layers.iter().any(|layer| layer.request.is_some_and(|request| request.scale == 2));
        self.ahead.begin(self.extent, is_upsampled || self.changes.is_limited());
        if !(is_unchanged && self.history.is_some_and(|last| last.camera == camera)) {
            self.unchanged_since = id;
        }
        self.offsets.begin();
        self.frame = Some(frame);
        self.is_finished = false;
        Ok(())
    }

    /// What a frame asks for, if it can be asked for.
    fn check_layers(&self, inputs: &FrameInputs<'_>) -> Result<Asked, FrameError> {
        let (mut scales, mut groups) = ([0; LayerKind::ALL.len()], [0; LayerKind::ALL.len()]);
        let due = std::iter::once((0, inputs.layers));
        for (group, layers) in due.chain((1..).zip(inputs.later.iter().map(|group| group.layers))) {
            for request in layers {
                if scales[request.kind as usize] != 0 || !(1..=2).contains(&request.scale) {
                    let (name, scale) = (request.kind.name(), request.scale);
                    return Err(FrameError::Plan(format!(
                        "layer {name} at scale {scale}: ask for each layer once, at scale 1 or 2"
                    )));
                }
                (scales[request.kind as usize], groups[request.kind as usize]) = (request.scale, group);
            }
        }
        for group in inputs.later {
            if group.layers.is_empty() {
                return Err(FrameError::Plan("a group of 0 layers that are due later; leave it out".into()));
            }
            if self.mode == MergeMode::Passthrough {
                let name = group.layers[0].kind.name();
                let text = "nothing stands for it where frames pass through; have it due with the frame, or accumulate";
                return Err(FrameError::Plan(format!("layer {name} is due later: {text}")));
            }
            check_plan(self.extent, group.tiles)?;
        }
        let traced = Predicted::of(inputs);
        let (is_guess, has_planes) = (inputs.predicted.is_some(), inputs.planes.is_some());
        Ok(Asked { id: inputs.frame_id, traced, is_guess, has_planes, scales, groups })
    }

    /// Closes the open frame: what did not come is filled from history. Without an open frame, the last one again;
    /// `None` before the first.
    pub fn finish(&mut self) -> Option<MergedFrame<'_>> {
        self.finish_with(&Inline)
    }

    /// [`Merger::finish`] on these threads; the bits are the same.
    pub fn finish_with(&mut self, workers: &dyn Workers) -> Option<MergedFrame<'_>> {
        let frame = self.frame?;
        if !self.is_finished {
            self.resolve(&frame, workers);
            self.is_finished = true;
        }
        Some(MergedFrame {
            frame_id: frame.id,
            camera: frame.camera,
            extent: self.extent,
            pre_exposure: frame.pre_exposure,
            planes: &self.planes,
            ages: &self.ages,
            lengths: &self.lengths,
            tiles: &self.results,
            layers: self.layers.each_ref().map(|layer| layer.request.map(|_| layer.current.as_slice())),
            later_ages: self.layers.each_ref().map(|layer| layer.is_later.then(|| layer.times.ages())),
            fresh_pixels: self.fresh_pixels,
        })
    }

    /// What the open frame is made of, and what it becomes.
    fn parts<'a>(
        &'a mut self,
        frame: &OpenFrame,
        late: &'a [LateFrame],
    ) -> (resolve::Inputs<'a>, resolve::Outputs<'a>) {
        let (offsets, last_offsets) = self.offsets.split();
        let history = self.history.filter(|_| frame.accumulates()).map(|last| History {
            last: LastFrame {
                extent: self.extent,
                planes: &self.last_planes,
                offsets: last_offsets,
                ages: &self.last_ages,
                lengths: &self.last_lengths,
                reprojection: Reprojection::new(&frame.camera, &last.camera, self.extent),
            },
            to_this: Reprojection::new(&last.camera, &frame.camera, self.extent),
            motion_leads_there: same_view(&last.camera, &frame.previous_camera),
            brightening: frame.pre_exposure / last.pre_exposure,
            is_unchanged: frame.is_unchanged && frame.camera == last.camera,
        });
        let inputs = resolve::Inputs {
            extent: self.extent,
            frame_id: frame.id,
            mode: frame.mode,
            tiles: &self.tiles[..self.tile_count],
            from_left: &self.from_left,
            ghosts: (frame.blend_ghosts && frame.accumulates()).then_some(&self.ghosts),
            history,
            late,
            optics: Optics::new(&frame.camera, &frame.previous_camera, self.extent),
        };
        let outputs = resolve::Outputs {
            planes: &mut self.planes,
            offsets,
            ages: &mut self.ages,
            lengths: &mut self.lengths,
            layers: &mut self.layers,
            changes: &mut self.changes,
            blocks: &mut self.blocks,
            stages: self.ahead.stages(),
        };
        (inputs, outputs)
    }

    /// What came late, for a frame that is being finished.
    fn late_frames(&mut self, frame: &OpenFrame) -> Vec<LateFrame> {
        let mut tiles = self.late.take().into_iter().peekable();
        let mut frames = Vec::new();
        while let Some(id) = tiles.peek().map(|tile| tile.frame_id) {
            let of_frame = std::iter::from_fn(|| tiles.next_if(|tile| tile.frame_id == id));
            let Some((asked, age)) = self.late.asked(id) else { continue };
            let whole = match age {
                // The merger's planes are the true camera's.
                _ if asked.is_guess => None,
                0 => Some(&self.planes),
                1 if self.history.is_some_and(|last| last.id == id) => Some(&self.last_planes),
                _ => None,
            };
            let tiles = of_frame.map(|tile| {
                let kept = self.late.kept(id, tile.rect);
                let planes = whole.map(|planes| (planes, self.extent.rect())).or(kept);
                LatePixels::new(tile, asked.traced.frame_id, self.extent, planes)
            });
            let tiles = tiles.collect();
            let is_unchanged = !asked.is_guess && (self.unchanged_since..=frame.id).contains(&id);
            frames.push(LateFrame::new((&asked.traced, age), frame, self.extent, is_unchanged, tiles));
        }
        frames
    }

    /// Has room for offsets where pixels of the open frame will be warped.
    fn take_offsets(&mut self, frame: &OpenFrame) {
        let has_history = frame.accumulates() && self.history.is_some();
        let is_warped = has_history && self.tiles[..self.tile_count].iter().any(TileState::lacks_hits);
        self.offsets.take_memory(is_warped, self.extent);
    }

    fn resolve(&mut self, frame: &OpenFrame, workers: &dyn Workers) {
        self.is_history = frame.accumulates();
        self.ghosts.sort();
        let mut late = self.late_frames(frame);
        late.extend(self.guess.finish(frame, self.extent, workers));
        if late.iter().flat_map(|late| &late.tiles).any(|late| late.tile.has_primary()) {
            // They may stand for planes that are missing.
            self.take_back_all();
        }
        self.take_offsets(frame);
        let (inputs, outputs) = self.parts(frame, &late);
        let rest = resolve::resolve(&inputs, outputs, &frame.camera, workers);
        self.fresh_pixels = self.ahead.merged_pixels + rest;
        if let Some(guessed) = self.guess.take_back(late) {
            self.fresh_pixels = self.ages.iter().filter(|age| **age == 0).count();
            debug_assert_eq!(guessed, self.tile_count, "the guess has the frame's own plan");
            let planes = (&mut self.planes, &mut self.last_planes);
            Guess::fill_holes(&self.ages, planes, &mut self.layers, self.extent, &mut self.blocks, workers);
        }
        let tiles = self.guess.tiles().unwrap_or(&self.tiles[..self.tile_count]);
        if frame.accumulates() {
            self.late.close(tiles, &self.planes, self.extent);
        }
        self.results.clear();
        let (ages, width) = (&self.ages, self.extent.width as usize);
        self.results.extend(tiles.iter().map(|tile| {
            let rect = tile.plan().rect;
            let oldest = |y: u32| {
                let start = y as usize * width + rect.x as usize;
                ages[start..start + rect.width as usize].iter().copied().max().unwrap_or(0)
            };
            let is_fresh = tile.is_complete() && self.guess.tiles().is_none();
            let age = if is_fresh { 0 } else { (rect.y..rect.bottom()).map(oldest).max().unwrap_or(0) };
            TileResult { rect, peer: tile.peer(), complete: tile.is_complete(), age }
        }));
    }
}

/// True when both show the same picture; the sub-pixel offset does not matter.
fn same_view(a: &Camera, b: &Camera) -> bool {
    Camera { jitter: b.jitter, ..*a } == *b
}

fn check_planes(extent: Extent, planes: &Primary) -> Result<(), FrameError> {
    for plane in PlaneKind::PRIMARY {
        let pixels = primary_words(planes, plane).len();
        if pixels != extent.pixels() {
            let text = format!("{plane:?} has {pixels} pixels, the view of {extent:?} has {}", extent.pixels());
            return Err(FrameError::Plan(text));
        }
    }
    Ok(())
}

/// Whether a rectangle lies in a view of this size. It may come from anywhere: its ends may be no numbers.
fn lies_in(rect: Rect, extent: Extent) -> bool {
    let ends = |from: u32, length: u32| u64::from(from) + u64::from(length);
    ends(rect.x, rect.width) <= extent.width.into() && ends(rect.y, rect.height) <= extent.height.into()
}

fn check_plan(extent: Extent, tiles: &[PlannedTile]) -> Result<(), FrameError> {
    if tiles.len() > MAX_TILES {
        return Err(FrameError::Plan(format!("{} tiles; at most {MAX_TILES} are possible", tiles.len())));
    }
    let mut pixels = 0u64;
    for (i, PlannedTile { rect, .. }) in tiles.iter().enumerate() {
        if rect.is_empty() || !lies_in(*rect, extent) {
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
