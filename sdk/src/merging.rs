//! Slices to finished frames: feeds the merger as results arrive and composes what it made.

use crate::capture::{MadeRecord, MergedSlice};
use crate::clock::Clock;
use crate::config::{Accumulation, FrameDesc};
use crate::denoise::Filtering;
use crate::flight::Flight;
use crate::merge_thread::MergeDesc;
use crate::output::{Output, OutputPlanes, StageTimes, spend};
use crate::picture::PicturePool;
use crate::preparing::Preparing;
use crate::revisions::Resolved;
use crate::workers::MergeThreads;
use rayloom_coordinator::PeerId;
use rayloom_frame::codec::DecodedSlice;
use rayloom_frame::compose::{Display, ToneMap, compose_into_with};
use rayloom_frame::features::BlockFeatures;
use rayloom_frame::merge::{
    Added, FrameInputs, LaterLayers, LayerAge, MergeMode, MergedFrame, Merger, PlannedTile, Predicted, Prepared,
};
use rayloom_frame::{Extent, GBuffer, LayerKind, LayerRequest, PictureFormat, Rect};
use rayloom_scene::Camera;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a frame is merged from, known before anything of it has arrived.
pub(crate) struct Opening {
    pub(crate) frame_id: u64,
    pub(crate) camera: Camera,
    pub(crate) previous_camera: Camera,
    /// History starts anew.
    pub(crate) cut: bool,
    /// What its tiles were traced as, where that was a guess.
    pub(crate) predicted: Option<Predicted>,
    /// Layers and plan of what is due with the frame, and of what is due later; no tiles: nobody traces it.
    pub(crate) groups: Vec<(Vec<LayerRequest>, Vec<PlannedTile>)>,
    pub(crate) planes: Option<Arc<GBuffer>>,
    pub(crate) pre_exposure: f32,
    /// How its light becomes a picture.
    pub(crate) exposure: f32,
    pub(crate) tone_map: ToneMap,
    pub(crate) state: Option<Resolved>,
    /// All that may become part of it, where it is made again.
    pub(crate) prescribed: Option<BTreeSet<MergedSlice>>,
    /// When its tiles are due.
    pub(crate) due_ns: u64,
}

/// A slice of the open frame, or of one before it.
pub(crate) struct Part {
    pub(crate) frame_id: u64,
    /// The tile's place in the plans of all groups, and whose it is.
    pub(crate) tile: u32,
    pub(crate) peer: PeerId,
    pub(crate) slice: DecodedSlice,
}

/// What a finished frame shows, block by block, and from where.
pub(crate) struct Seen {
    pub(crate) features: BlockFeatures,
    pub(crate) camera: Camera,
}

/// The merger of one pipeline. It holds one open frame: the oldest in flight.
pub(crate) struct Merging {
    view: u16,
    is_local: bool,
    merger: Merger,
    threads: MergeThreads,
    clock: Clock,
    size: Extent,
    output_planes: bool,
    picture: PictureFormat,
    filter: Filtering,
    /// The frame that is open, what it is traced from, and what was asked for.
    open: Option<(u64, Made)>,
    prescribed: Option<BTreeSet<MergedSlice>>,
    preparing: Preparing,
    /// What became part of the open frame, where that is recorded.
    merged: Vec<MergedSlice>,
    /// What the last finished frame was made of.
    last: Option<Made>,
    pictures: Arc<PicturePool>,
    /// Gathered anew with each frame.
    features: BlockFeatures,
    /// What frames consist of is told with them.
    is_recorded: bool,
    fills: bool,
    inserted: StageTimes,
}

/// What a frame was traced from, and what was asked for.
type Made = (Option<Resolved>, Vec<LayerRequest>);

/// What a pipeline made of a frame.
#[derive(Default)]
pub(crate) struct Finished {
    /// None where a newer frame was ready to be shown.
    pub(crate) output: Option<Output>,
    /// Where frames are recorded.
    pub(crate) record: Option<MadeRecord>,
    /// Parts of which nothing is known, those that matter most first, where somebody can be asked for them.
    pub(crate) unknown: Vec<Rect>,
}

impl Merging {
    pub(crate) fn new(desc: &MergeDesc, is_local: bool) -> Merging {
        let view = &desc.desc;
        let mut merger = Merger::new(view.size);
        merger.set_mode(match view.accumulation {
            Accumulation::Off => MergeMode::Passthrough,
            Accumulation::Frames(max_history) => MergeMode::Accumulate { max_history },
        });
        merger.set_behind(true);
        Merging {
            view: desc.view,
            is_local,
            merger,
            threads: desc.threads,
            clock: desc.clock,
            size: view.size,
            output_planes: view.output_planes,
            picture: view.picture,
            filter: desc.filters.filter(),
            open: None,
            prescribed: None,
            preparing: Preparing::default(),
            merged: Vec::new(),
            last: None,
            pictures: Arc::default(),
            features: BlockFeatures::default(),
            is_recorded: desc.is_recorded,
            fills: desc.fills && !is_local && view.accumulation != Accumulation::Off,
            inserted: desc.inserted,
        }
    }

    /// What the last finished frame tells of the next one's cost: after it was published, before another opens.
    pub(crate) fn learn(&mut self) -> Option<Seen> {
        let frame = self.merger.finish()?;
        self.features.update_with(&frame, &self.threads);
        Some(Seen { features: self.features.clone(), camera: frame.camera })
    }

    /// Opens a frame: the one before is finished.
    pub(crate) fn open(&mut self, opening: Opening) {
        let Opening { frame_id, camera, previous_camera, cut, predicted, groups, .. } = opening;
        let Opening { planes, pre_exposure, exposure, tone_map, state, prescribed, due_ns, .. } = opening;
        if cut {
            self.merger.forget();
        }
        let whole = [PlannedTile { rect: self.size.rect(), ghost: 0 }];
        // Nobody to trace: everything comes from history.
        let plan = |tiles: &Vec<PlannedTile>| if tiles.is_empty() { whole.to_vec() } else { tiles.clone() };
        let plans: Vec<Vec<PlannedTile>> = groups.iter().map(|(_, tiles)| plan(tiles)).collect();
        let layers: Vec<LayerRequest> = groups.iter().flat_map(|(layers, _)| layers).copied().collect();
        let due = groups.first().map_or(0, |(layers, _)| layers.len());
        let later = groups.iter().zip(&plans).skip(1).map(|((layers, _), tiles)| LaterLayers { layers, tiles });
        let later: Vec<LaterLayers<'_>> = later.collect();
        let this = (state, layers);
        // Planes of the engine's own may show anything.
        let is_unchanged = planes.is_none() && self.last.as_ref() == Some(&this);
        let inputs = FrameInputs {
            frame_id,
            camera,
            previous_camera,
            layers: &this.1[..due],
            tiles: plans.first().map_or(&whole[..], Vec::as_slice),
            later: &later,
            planes: planes.as_ref().map(|planes| &planes.primary),
            pre_exposure,
            is_unchanged,
            predicted,
        };
        if let Err(error) = self.merger.begin(inputs) {
            // A bug of the plan's maker. The frame goes out all the same, from history.
            tracing::error!("frame {frame_id} can't be merged as planned: {error}");
            let without_tiles = FrameInputs { layers: &this.1, tiles: &whole, later: &[], predicted: None, ..inputs };
            self.merger.begin(without_tiles).expect("the whole view is one tile, and its layers were checked before");
        }
        // What is filtered first is composed when that is done.
        if !self.filter.is_on() {
            let display = Display { exposure, tone_map, format: self.picture };
            self.merger.compose_ahead(display, self.pictures.take_memory(picture_bytes(self.size, self.picture)));
        }
        self.open = Some((frame_id, this));
        self.prescribed = prescribed;
        self.preparing.open(self.clock.now_ns(), due_ns);
        self.merged.clear();
    }

    /// Merges what came, for who has nothing more to add at hand; otherwise it is merged when the frame is finished. All threads share it.
    pub(crate) fn merge_ready(&mut self) {
        self.merger.merge_ready_with(&self.threads);
    }

    /// When what is missing of the open frame is to be prepared, while there is nothing else to do; `None` where nothing is to be.
    pub(crate) fn prepares_at_ns(&self) -> Option<u64> {
        self.open.as_ref()?;
        let pixels = || self.merger.missing_tiles().map(|(_, rect)| rect.pixels()).sum();
        self.preparing.at_ns(pixels)
    }

    /// Prepares some of it: half a millisecond's, or a row of blocks.
    pub(crate) fn prepare(&mut self) {
        let from_ns = self.clock.now_ns();
        let (mut tiles, pixels) = (self.merger.missing_tiles().map(|(tile, _)| tile), self.preparing.portion());
        let Some(tile) = tiles.find(|tile| *tile >= self.preparing.tile) else {
            drop(tiles);
            return self.preparing.stop();
        };
        drop(tiles);
        let Prepared { pixels: made, may_go_on } = self.merger.prepare_missing(tile, pixels);
        if made > 0 {
            self.preparing.took(made, self.clock.now_ns() - from_ns);
        }
        self.preparing.tile = tile + u32::from(!may_go_on);
    }

    /// A frame is not made: history stays what it was, unless none is to be seen after it.
    pub(crate) fn skip(&mut self, opening: &Opening) {
        if opening.cut {
            self.merger.forget();
        }
    }

    /// Takes a slice of the open frame, or of one before it: that one counts in the next that finishes.
    pub(crate) fn add(&mut self, part: &Part) {
        let Part { frame_id, tile, peer, slice } = part;
        let this = MergedSlice::new(*tile, slice.plane, slice.rect);
        if self.prescribed.as_ref().is_some_and(|prescribed| !prescribed.contains(&this)) {
            return;
        }
        match self.merger.add_decoded(*frame_id, *tile, peer.0, slice) {
            Ok(Added::Stored { .. }) if self.is_recorded => self.merged.push(this),
            Ok(_) => {}
            Err(error) => tracing::warn!("peer {} sent a slice that can't be used: {error}", peer.0),
        }
    }

    /// Fills what is missing of the open frame; where it is to be shown, filters and composes it too.
    pub(crate) fn finish(&mut self, flight: &Flight, is_shown: bool, is_wanted: &dyn Fn() -> bool) -> Finished {
        spend(self.inserted.wait_ms);
        let merge_ns = self.clock.now_ns();
        spend(self.inserted.merge_ms);
        let Some((frame_id, made)) = self.open.take() else { return Finished::default() };
        self.last = Some(made);
        let Some(frame) = self.merger.finish_with(&self.threads) else { return Finished::default() };
        let merged_ns = self.clock.now_ns();
        let record = self.is_recorded.then(|| MadeRecord {
            view: self.view,
            frame_id,
            is_local: self.is_local,
            tiles: flight
                .request
                .groups
                .first()
                .map_or_else(Vec::new, |due| due.plan.iter().map(|tile| tile.rect).collect()),
            merged: std::mem::take(&mut self.merged),
            digest: frame.digest(),
            fresh: frame.fresh_fraction(),
        });
        let unknown = match self.fills {
            true => frame.unknown_parts().into_iter().map(|part| part.rect).collect(),
            false => Vec::new(),
        };
        if !is_shown || !is_wanted() {
            self.withdraw_picture();
            return Finished { output: None, record, unknown };
        }
        let began_ns = self.clock.now_ns();
        spend(self.inserted.filter_ms);
        let is_denoised = self.filter.filters(&frame);
        let (fresh, pixels_by_age) = (frame.fresh_fraction(), frame.pixels_by_age());
        let layer_ages = ages_of(&frame, flight);
        let is_filtered = self.filter.is_on();
        let shown = self.filter.run(frame, &self.threads, is_wanted);
        if !is_wanted() {
            self.withdraw_picture();
            return Finished { output: None, record, unknown };
        }
        let filtered_ns = self.clock.now_ns();
        spend(self.inserted.compose_ms);
        let FrameDesc { exposure, tone_map, .. } = flight.desc;
        let format = self.picture;
        let (color, planes) = if is_filtered {
            let mut color = self.pictures.take(picture_bytes(self.size, format));
            compose_into_with(&shown, &Display { exposure, tone_map, format }, &mut color, &self.threads);
            (color, self.output_planes.then(|| planes_of(&shown)))
        } else {
            let composed = self.merger.take_picture_with(&self.threads);
            let color = self.pictures.picture(composed.expect("what is not filtered is composed as it is merged"));
            let planes = self.merger.finish().filter(|_| self.output_planes);
            (color, planes.map(|frame| planes_of(&frame)))
        };
        let composed_ns = self.clock.now_ns();
        let output = Output {
            frame_id,
            time_ns: flight.desc.time_ns,
            camera: flight.desc.camera,
            size: self.size,
            color,
            format,
            pre_exposure: flight.desc.pre_exposure,
            is_denoised,
            planes,
            tiles: flight.outcomes(),
            costs: None,
            fresh,
            pixels_by_age,
            traced: flight.layers(),
            layer_ages,
            lowered: flight.lowered,
            is_predicted: flight.request.is_ahead,
            held_ms: 0.0,
            times: flight.stage_times([merge_ns, merged_ns, began_ns, filtered_ns, composed_ns]),
        };
        Finished { output: Some(output), record, unknown }
    }

    /// Parts of a finished frame will come once more.
    pub(crate) fn ask_again(&mut self, frame_id: u64, parts: &[Rect], ghost_px: u32) {
        if let Err(error) = self.merger.add_parts(frame_id, parts, ghost_px) {
            // A bug of who chose them. What comes of them is refused.
            tracing::error!("parts of frame {frame_id} can't be asked for again: {error}");
        }
    }

    /// The open frame's picture is not wanted: its memory is another's.
    fn withdraw_picture(&mut self) {
        if let Some(memory) = self.merger.withdraw_picture() {
            drop(self.pictures.picture(memory));
        }
    }

    /// Whether showing a frame takes so long that one which a newer has overtaken isn't worth it.
    pub(crate) fn is_filtered(&self) -> bool {
        self.filter.is_on()
    }
}

fn picture_bytes(size: Extent, format: PictureFormat) -> usize {
    size.pixels() * format.bytes_per_pixel()
}

/// How old each layer is; those that are due with the frame are as old as each other.
fn ages_of(frame: &MergedFrame<'_>, flight: &Flight) -> Vec<(LayerKind, LayerAge)> {
    let ages = flight.request.groups.iter().flat_map(|group| {
        let first = group.layers.first().and_then(|layer| frame.layer_age(layer.kind));
        group.layers.iter().filter_map(move |layer| Some((layer.kind, first?)))
    });
    ages.collect()
}

fn planes_of(frame: &MergedFrame<'_>) -> OutputPlanes {
    let layers = rayloom_frame::LayerKind::ALL;
    OutputPlanes {
        layers: layers.into_iter().filter_map(|kind| Some((kind, frame.layer(kind)?.to_vec()))).collect(),
        primary: frame.planes.clone(),
        ages: frame.ages.to_vec(),
    }
}
