//! One layer's pixels: this frame's signal, which becomes the merged layer in place, and the last frame's result.

use super::resolve::NEVER;
use crate::{Extent, LayerKind, LayerRequest, Rect};

/// The buffers of a layer that has been requested at least once.
#[derive(Debug, Default)]
pub(super) struct LayerBuffers {
    /// `None` when this frame does not trace it.
    pub(super) request: Option<LayerRequest>,
    /// Signal of layers at full resolution; after [`super::Merger::finish`] the merged layer.
    pub(super) current: Vec<[u16; 4]>,
    /// The last frame's merged layer.
    pub(super) history: Vec<[u16; 4]>,
    /// False until the last frame had this layer too.
    pub(super) has_history: bool,
    /// It is due later than the frame, and was later than the last one: its pixels have ages and lengths of their own.
    pub(super) is_later: bool,
    was_later: bool,
    pub(super) times: Times,
    /// Of paths: the sums of samples' red, green and blue over unchanged frames, and how many samples that is.
    pub(super) sums: Vec<[f32; 4]>,
    /// Signal of layers at half resolution, one pixel a block.
    pub(super) coarse: Vec<[u16; 4]>,
    /// Who gave each block: [`MISSING`], [`NEIGHBOUR`] or [`OWNER`].
    pub(super) coarse_from: Vec<u8>,
}

/// Ages of a layer's own samples and frames gathered of it, in this frame and the last one; nothing of layers that are due
/// with their frames.
#[derive(Debug, Default)]
pub(super) struct Times {
    ages: Vec<u8>,
    lengths: Vec<u8>,
    last_ages: Vec<u8>,
    last_lengths: Vec<u8>,
}

impl Times {
    pub(super) fn ages(&self) -> &[u8] {
        &self.ages
    }

    pub(super) fn lengths(&self) -> &[u8] {
        &self.lengths
    }

    pub(super) fn held_bytes(&self) -> usize {
        [&self.ages, &self.lengths, &self.last_ages, &self.last_lengths].map(|v| v.capacity()).iter().sum()
    }
}

/// A layer's own ages and lengths.
pub(super) struct Own<'a> {
    pub(super) ages: &'a mut [u8],
    pub(super) lengths: &'a mut [u8],
}

/// A layer, taken apart into what is read and what is written.
pub(super) struct LayerParts<'a> {
    pub(super) source: LayerSource<'a>,
    /// What becomes the merged layer.
    pub(super) current: &'a mut [[u16; 4]],
    pub(super) sums: &'a mut [[f32; 4]],
    pub(super) own: Option<Own<'a>>,
}

/// What a layer's merged pixels are made of, but for those that become it in place.
#[derive(Clone, Copy)]
pub(super) struct LayerSource<'a> {
    pub(super) request: Option<LayerRequest>,
    pub(super) has_history: bool,
    /// Nothing of it comes with the frame's own tiles.
    pub(super) is_later: bool,
    /// The last frame's own ages and lengths, where it was due later then.
    pub(super) last_own: Option<(&'a [u8], &'a [u8])>,
    pub(super) history: &'a [[u16; 4]],
    pub(super) coarse: &'a [[u16; 4]],
    pub(super) coarse_from: &'a [u8],
    pub(super) all_blocks_came: bool,
}

/// No tile has given this block.
pub(super) const MISSING: u8 = 0;
/// A tile that only touches the block gave it.
const NEIGHBOUR: u8 = 1;
/// The tile whose core has the block's top left pixel gave it: its word counts.
const OWNER: u8 = 2;

impl LayerBuffers {
    /// Makes the last result the history, if there is one, and takes the new request.
    pub(super) fn begin(&mut self, request: Option<LayerRequest>, is_later: bool, extent: Extent, last_finished: bool) {
        if last_finished {
            self.has_history = self.request.is_some();
            self.was_later = self.is_later;
            std::mem::swap(&mut self.current, &mut self.history);
            std::mem::swap(&mut self.times.ages, &mut self.times.last_ages);
            std::mem::swap(&mut self.times.lengths, &mut self.times.last_lengths);
        }
        self.request = request;
        self.is_later = is_later;
        if is_later {
            let Times { ages, lengths, last_ages, last_lengths } = &mut self.times;
            [ages, last_ages].into_iter().for_each(|ages| ages.resize(extent.pixels(), NEVER));
            [lengths, last_lengths].into_iter().for_each(|lengths| lengths.resize(extent.pixels(), 0));
        } else if !self.was_later {
            self.times = Times::default();
        }
        let Some(request) = request else { return };
        self.current.resize(extent.pixels(), [0; 4]);
        self.history.resize(extent.pixels(), [0; 4]);
        if request.kind == LayerKind::Path {
            self.sums.resize(extent.pixels(), [0.0; 4]);
        }
        if request.scale == 2 && !is_later {
            let blocks = extent.scaled(2).pixels();
            self.coarse.resize(blocks, [0; 4]);
            self.coarse_from.clear();
            self.coarse_from.resize(blocks, MISSING);
        }
    }

    /// What is read, and what is written; `is_whole`: no block that will be read is missing.
    pub(super) fn split(&mut self, is_whole: bool) -> LayerParts<'_> {
        let Times { ages, lengths, last_ages, last_lengths } = &mut self.times;
        let source = LayerSource {
            request: self.request,
            has_history: self.has_history,
            is_later: self.is_later,
            last_own: self.was_later.then_some((&**last_ages, &**last_lengths)),
            history: &self.history,
            coarse: &self.coarse,
            coarse_from: &self.coarse_from,
            all_blocks_came: is_whole || self.is_later || !self.coarse_from.contains(&MISSING),
        };
        let own = (self.is_later && self.request.is_some()).then_some(Own { ages, lengths });
        let current = if self.request.is_some() { self.current.as_mut_slice() } else { &mut [] };
        LayerParts { source, current, sums: &mut self.sums, own }
    }

    /// Takes a decoded rectangle of a tile whose core is `core`, all in this layer's own pixels except the core.
    pub(super) fn write(&mut self, core: Rect, rect: Rect, pixels: &[[u16; 4]], extent: Extent, scale: u32) {
        self.write_part((core, core), rect, pixels, extent, scale);
    }

    /// The same of some of the core's rows.
    pub(super) fn write_part(
        &mut self,
        (core, rows): (Rect, Rect),
        rect: Rect,
        pixels: &[[u16; 4]],
        extent: Extent,
        scale: u32,
    ) {
        if scale == 1 {
            copy_rows(&mut self.current, extent.width, rows, rect, pixels);
            return;
        }
        let width = extent.scaled(scale).width as usize;
        let part = rows.scaled(scale).intersection(rect);
        for y in part.y..part.y + part.height {
            for x in part.x..part.right() {
                let from = if core.contains(x * scale, y * scale) { OWNER } else { NEIGHBOUR };
                let at = y as usize * width + x as usize;
                if from > self.coarse_from[at] {
                    self.coarse_from[at] = from;
                    self.coarse[at] = pixels[(y - rect.y) as usize * rect.width as usize + (x - rect.x) as usize];
                }
            }
        }
    }
}

/// Copies what `rect`'s pixels have of `core` into a plane of the whole view.
pub(super) fn copy_rows<T: Copy>(plane: &mut [T], width: u32, core: Rect, rect: Rect, pixels: &[T]) {
    let part = core.intersection(rect);
    let columns = part.width as usize;
    for y in part.y..part.y + part.height {
        let to = y as usize * width as usize + part.x as usize;
        let from = (y - rect.y) as usize * rect.width as usize + (part.x - rect.x) as usize;
        plane[to..to + columns].copy_from_slice(&pixels[from..from + columns]);
    }
}
