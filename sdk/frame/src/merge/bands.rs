//! Rows of a frame that are worked on together, and what of them: what a band writes, no other reads.

use super::{
    ahead::Stage,
    change::{Difference, SIDE},
    layer::{LayerParts, Own},
    resolve::LAYERS,
};
use crate::{Extent, LayerKind, Rect, TracedTile};

/// Whole rows of what is written.
pub(super) struct Band<'a> {
    pub(super) first_row: usize,
    pub(super) ages: &'a mut [u8],
    pub(super) lengths: &'a mut [u8],
    pub(super) currents: [&'a mut [[u16; 4]]; LAYERS],
    /// Of layers that are due later than the frame.
    pub(super) own: [Option<Own<'a>>; LAYERS],
    /// Of its blocks; none of layers that are not measured.
    pub(super) differences: [&'a mut [Difference]; LAYERS],
    /// Where paths are traced.
    pub(super) path_sums: &'a mut [[f32; 4]],
    /// Of its blocks; none where only some pixels are worked on.
    pub(super) stages: &'a mut [Stage],
}

/// The rows of a frame from top to bottom, those that no band has yet.
pub(super) struct Rows<'a> {
    width: usize,
    left: Band<'a>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        extent: Extent,
        (ages, lengths): (&'a mut [u8], &'a mut [u8]),
        layers: [LayerParts<'a>; LAYERS],
        differences: [&'a mut [Difference]; LAYERS],
        stages: &'a mut [Stage],
    ) -> Rows<'a> {
        let (mut currents, mut own): ([&mut [[u16; 4]]; LAYERS], [Option<Own<'_>>; LAYERS]) = Default::default();
        let mut path_sums: &mut [[f32; 4]] = &mut [];
        for (layer, parts) in layers.into_iter().enumerate() {
            (currents[layer], own[layer]) = (parts.current, parts.own);
            if layer == LayerKind::Path as usize {
                path_sums = parts.sums;
            }
        }
        let left = Band { first_row: 0, ages, lengths, currents, own, differences, path_sums, stages };
        Rows { width: extent.width as usize, left }
    }

    /// The next rows, fewer at the end. The first of a band's rows is the first of its blocks' rows.
    pub(super) fn take(&mut self, rows: usize) -> Band<'a> {
        let (pixels, blocks) = (rows * self.width, rows.div_ceil(SIDE) * self.width.div_ceil(SIDE));
        let left = &mut self.left;
        let first_row = left.first_row;
        left.first_row += rows;
        Band {
            first_row,
            ages: take(&mut left.ages, pixels),
            lengths: take(&mut left.lengths, pixels),
            currents: left.currents.each_mut().map(|current| take(current, pixels)),
            own: left.own.each_mut().map(|own| {
                let Own { ages, lengths } = own.as_mut()?;
                Some(Own { ages: take(ages, pixels), lengths: take(lengths, pixels) })
            }),
            differences: left.differences.each_mut().map(|differences| take(differences, blocks)),
            path_sums: take(&mut left.path_sums, pixels),
            stages: take(&mut left.stages, blocks),
        }
    }

    /// Bands of parts of the view, and their parts. Those come from top to bottom; each has whole rows of blocks. Parts that begin in
    /// the same row end in the same row, and no others have pixels of their rows.
    pub(super) fn take_parts<'p>(
        mut self,
        parts: &'p [Rect],
    ) -> impl ExactSizeIterator<Item = (Band<'a>, &'p [Rect])> + Send {
        bands_of(parts).map(move |(first_row, height, parts)| {
            self.take(first_row - self.left.first_row);
            (self.take(height), parts)
        })
    }
}

/// First rows and heights of bands of these parts, and the parts of each; see [`Rows::take_parts`].
pub(super) fn bands_of(parts: &[Rect]) -> impl ExactSizeIterator<Item = (usize, usize, &[Rect])> + Send {
    let mut bands = parts.chunk_by(|a, b| a.y == b.y);
    let count = bands.clone().count();
    (0..count).map(move |_| {
        let parts = bands.next().unwrap_or_default();
        let rows = parts.first().map_or(0..0, |part| part.y as usize..part.bottom() as usize);
        (rows.start, rows.len(), parts)
    })
}

/// The first of what is left, at most so many.
pub(super) fn take<'a, T>(rest: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let count = count.min(rest.len());
    let (first, others) = std::mem::take(rest).split_at_mut(count);
    *rest = others;
    first
}

/// What came of pixels that are merged before their frame is finished.
#[derive(Clone, Copy)]
pub(super) enum Only<'a> {
    /// All of them, and of what is around them; layers of a whole tile may be read from where they came.
    Whole(Option<Incoming<'a>>),
    /// Nothing.
    Missing,
}

impl<'a> Only<'a> {
    /// A layer's pixels from one on, if they are not in their place in the view.
    #[inline(always)]
    pub(super) fn from(&self, layer: usize, pixel: (u32, u32)) -> Option<&'a [[u16; 4]]> {
        match self {
            Only::Whole(Some(incoming)) => incoming.from(layer, pixel),
            _ => None,
        }
    }
}

/// Layers of a tile at full resolution that are merged from where they came, rather than from their place in the view.
#[derive(Clone, Copy)]
pub(super) struct Incoming<'a> {
    /// Of the tile, with its ghost zone.
    origin: (u32, u32),
    width: u32,
    layers: [Option<&'a [[u16; 4]]>; LAYERS],
}

impl<'a> Incoming<'a> {
    pub(super) fn of(traced: &'a TracedTile) -> Incoming<'a> {
        let mut layers = [None; LAYERS];
        for layer in traced.layers.iter().filter(|layer| layer.scale == 1) {
            layers[layer.kind as usize] = Some(layer.pixels.as_slice());
        }
        Incoming { origin: (traced.rect.x, traced.rect.y), width: traced.rect.width, layers }
    }

    #[inline(always)]
    fn from(&self, layer: usize, (x, y): (u32, u32)) -> Option<&'a [[u16; 4]]> {
        self.layers[layer]?.get(((y - self.origin.1) * self.width + x - self.origin.0) as usize..)
    }
}
