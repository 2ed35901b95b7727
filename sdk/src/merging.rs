//! Slices to finished frames: feeds the merger as results arrive and composes what it made.

use crate::capture::MergedSlice;
use crate::clock::Clock;
use crate::config::{Accumulation, FrameDesc, ViewDesc};
use crate::denoise::{Filtering, Filters};
use crate::flight::Flight;
use crate::output::{Output, OutputPlanes};
use crate::picture::PicturePool;
use crate::revisions::Resolved;
use crate::workers::MergeThreads;
use rayloom_coordinator::{CostMap, PeerId, TaskId};
use rayloom_frame::codec::DecodedSlice;
use rayloom_frame::compose::{Display, compose_into_with};
use rayloom_frame::features::{BlockFeatures, estimated_cost};
use rayloom_frame::filter::FILTERED;
use rayloom_frame::merge::{Added, FrameInputs, MergeMode, MergedFrame, Merger, PlannedTile};
use rayloom_frame::{Extent, LayerRequest, PictureFormat};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The merger of one pipeline. It holds one open frame: the oldest in flight.
pub(crate) struct Merging {
    merger: Merger,
    threads: MergeThreads,
    size: Extent,
    output_planes: bool,
    picture: PictureFormat,
    filter: Filtering,
    /// What the last finished frame was traced from, and what was asked for.
    last: Option<(Option<Resolved>, Vec<LayerRequest>)>,
    /// What the last finished frame tells of the next one's cost.
    features: Option<BlockFeatures>,
    /// Tiles and milliseconds of each peer in the last finished frame.
    work: BTreeMap<PeerId, (u32, f32)>,
    pictures: Arc<PicturePool>,
    /// The last finished frame's features are still to be gathered.
    has_news: bool,
    /// What frames consist of is told with them.
    is_recorded: bool,
}

impl Merging {
    pub(crate) fn new(view: &ViewDesc, filters: &Filters, threads: MergeThreads, is_recorded: bool) -> Merging {
        let mut merger = Merger::new(view.size);
        merger.set_mode(match view.accumulation {
            Accumulation::Off => MergeMode::Passthrough,
            Accumulation::Frames(max_history) => MergeMode::Accumulate { max_history },
        });
        Merging {
            merger,
            threads,
            size: view.size,
            output_planes: view.output_planes,
            picture: view.picture,
            filter: filters.filter(),
            last: None,
            features: None,
            work: BTreeMap::new(),
            pictures: Arc::default(),
            has_news: false,
            is_recorded,
        }
    }

    /// Estimated cost of each block of the next frame, from the last one's features.
    pub(crate) fn estimate(&self, layers: &[LayerRequest]) -> Option<CostMap> {
        let features = self.features.as_ref()?;
        let cost = estimated_cost(features, layers);
        Some(CostMap { blocks_x: features.blocks_x, blocks_y: features.blocks_y, cost })
    }

    /// What the last finished frame tells of the next one's blocks.
    pub(crate) fn features(&self) -> Option<&BlockFeatures> {
        self.features.as_ref()
    }

    /// Gathers what the last finished frame tells of the next one's cost: after it was published, before another begins.
    pub(crate) fn learn(&mut self) {
        if std::mem::take(&mut self.has_news)
            && let Some(frame) = self.merger.finish()
        {
            self.features.get_or_insert_default().update_with(&frame, &self.threads);
        }
    }

    /// No frame is made for now: no peer works.
    pub(crate) fn rest(&mut self) {
        self.work.clear();
    }

    pub(crate) fn work_of(&self, peer: PeerId) -> (u32, f32) {
        self.work.get(&peer).copied().unwrap_or_default()
    }

    /// Opens the oldest frame in flight, once its tiles are known, and takes what has arrived of it before.
    pub(crate) fn open(&mut self, flight: &mut Flight) {
        if self.merger.open_frame() == Some(flight.desc.frame_id) {
            return;
        }
        self.learn();
        if flight.desc.cut {
            self.merger.forget();
        }
        let whole = [PlannedTile { rect: self.size.rect(), ghost: 0 }];
        let planned: Vec<PlannedTile> =
            flight.plan.iter().map(|tile| PlannedTile { rect: tile.rect, ghost: tile.ghost_px }).collect();
        let before = flight.before.as_ref().map_or(flight.desc.camera, |before| before.camera);
        // Planes of the engine's own may show anything.
        let is_unchanged = flight.planes.is_none()
            && self.last.as_ref().is_some_and(|(state, layers)| *state == flight.state && *layers == flight.layers);
        let inputs = FrameInputs {
            frame_id: flight.desc.frame_id,
            camera: flight.desc.camera,
            previous_camera: flight.desc.previous_camera.unwrap_or(before),
            layers: &flight.layers,
            // Nobody to trace: everything comes from history.
            tiles: if planned.is_empty() { &whole } else { &planned },
            planes: flight.planes.as_ref().map(|planes| &planes.gbuffer.primary),
            pre_exposure: flight.desc.pre_exposure,
            is_unchanged,
        };
        if let Err(error) = self.merger.begin(inputs) {
            // A bug of the plan's maker. The frame goes out all the same, from history.
            tracing::error!("frame {} can't be merged as planned: {error}", flight.desc.frame_id);
            let without_tiles = FrameInputs { tiles: &whole, ..inputs };
            self.merger.begin(without_tiles).expect("the whole view is one tile, and its layers were checked before");
        }
        for index in 0..flight.tiles.len() {
            let task = flight.tiles[index].task;
            for slice in flight.tiles[index].take_waiting() {
                self.add(flight, task, &slice);
            }
        }
    }

    /// Takes a slice of the open frame.
    pub(crate) fn add(&mut self, flight: &mut Flight, task: TaskId, slice: &DecodedSlice) {
        let Some((tile, peer)) = flight.plan_index(task) else { return };
        let this = MergedSlice::new(tile, slice.plane, slice.rect);
        if flight.prescribed.as_ref().is_some_and(|prescribed| !prescribed.contains(&this)) {
            return;
        }
        match self.merger.add_decoded(flight.desc.frame_id, tile, peer.0, slice) {
            Ok(Added::Stored { .. }) if self.is_recorded => flight.merged.push(this),
            Ok(_) => {}
            Err(error) => tracing::warn!("peer {} sent a slice that can't be used: {error}", peer.0),
        }
    }

    /// Fills what is missing, composes, and says what became of the frame; with its digest where frames are recorded.
    pub(crate) fn finish(&mut self, flight: &mut Flight, clock: Clock) -> Option<(Output, Option<[u8; 32]>)> {
        let merge_ns = clock.now_ns();
        self.open(flight);
        let frame = self.merger.finish_with(&self.threads)?;
        let merged_ns = clock.now_ns();
        let is_denoised = self.filter.is_on() && FILTERED.iter().any(|kind| frame.layer(*kind).is_some());
        let shown = self.filter.run(frame, &self.threads);
        let filtered_ns = clock.now_ns();
        let FrameDesc { exposure, tone_map, .. } = flight.desc;
        let format = self.picture;
        let mut color = self.pictures.take(self.size.pixels() * format.bytes_per_pixel());
        compose_into_with(&shown, &Display { exposure, tone_map, format }, &mut color, &self.threads);
        let planes = self.output_planes.then(|| planes_of(&shown));
        let fresh = frame.fresh_fraction();
        let composed_ns = clock.now_ns();
        let digest = self.is_recorded.then(|| frame.digest());
        self.has_news = true;
        self.last = Some((flight.state.clone(), flight.layers.clone()));
        let tiles = flight.outcomes();
        self.work.clear();
        for tile in tiles.iter().filter(|tile| tile.arrived) {
            let work = self.work.entry(PeerId(tile.peer)).or_default();
            work.0 += 1;
            work.1 += tile.peer_ms;
        }
        let output = Output {
            frame_id: flight.desc.frame_id,
            time_ns: flight.desc.time_ns,
            camera: flight.desc.camera,
            size: self.size,
            color,
            format,
            pre_exposure: flight.desc.pre_exposure,
            is_denoised,
            planes,
            tiles,
            fresh,
            times: flight.stage_times([merge_ns, merged_ns, filtered_ns, composed_ns]),
        };
        Some((output, digest))
    }
}

fn planes_of(frame: &MergedFrame<'_>) -> OutputPlanes {
    let layers = rayloom_frame::LayerKind::ALL;
    OutputPlanes {
        layers: layers.into_iter().filter_map(|kind| Some((kind, frame.layer(kind)?.to_vec()))).collect(),
        primary: frame.planes.clone(),
        ages: frame.ages.to_vec(),
    }
}
