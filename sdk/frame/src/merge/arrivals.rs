//! What arrives for the open frame: checked against the plan, and put in its place.

use super::{Added, Merger, late::Piece, layer::copy_rows, tile::TileState};
use crate::{
    Extent, FrameError, LayerKind, LayerPlane, PlaneKind, Primary, Rect, TracedTile,
    codec::{DecodeLimits, DecodedSlice, Slice, SlicePixels, primary_words},
};

impl Merger {
    /// Takes a slice of tile `tile` (its index in the plan) of frame `frame_id` from `peer`.
    ///
    /// # Errors
    /// What [`crate::codec::decode_slice`] refuses, and what the plan does not ask for. Nothing of a refused slice counts.
    pub fn add_slice(&mut self, frame_id: u64, tile: u32, peer: u32, slice: &Slice) -> Result<Added, FrameError> {
        let add_late = |merger: &mut Merger, frame| merger.try_late_slice(frame, tile, slice);
        self.add(frame_id, tile, |merger| merger.try_add_slice(tile, peer, slice), add_late)
    }

    /// Takes a whole traced tile, as a peer in this process gives it.
    ///
    /// # Errors
    /// A tile whose rectangle, layers or primary planes are not those of the plan; any primary planes where the engine gave the frame's.
    /// Nothing of a refused tile counts.
    pub fn add_tile(&mut self, frame_id: u64, tile: u32, peer: u32, traced: &TracedTile) -> Result<Added, FrameError> {
        let add_late = |merger: &mut Merger, frame| merger.try_late_tile(frame, tile, traced);
        self.add(frame_id, tile, |merger| merger.try_add_tile(tile, peer, traced), add_late)
    }

    /// Takes a slice that was decoded elsewhere, for example by threads with a [`crate::codec::Decoder`] each.
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
        let add_late = |merger: &mut Merger, frame| merger.try_late_decoded(frame, tile, slice);
        self.add(frame_id, tile, |merger| merger.try_add_decoded(tile, peer, slice), add_late)
    }

    /// Places what is for the open frame, keeps what is for those before it, and counts what became of it.
    fn add(
        &mut self,
        frame_id: u64,
        tile: u32,
        place: impl FnOnce(&mut Merger) -> Result<Added, FrameError>,
        place_late: impl FnOnce(&mut Merger, usize) -> Result<Added, FrameError>,
    ) -> Result<Added, FrameError> {
        let is_open = self.open_frame() == Some(frame_id);
        let late = self.late.position(frame_id);
        let added = match late {
            // Tiles beyond the frame's own are of layers that are due later.
            Some(frame) if !is_open || self.late.has_tile(frame, tile) && tile as usize >= self.tile_count => {
                place_late(self, frame)
            }
            _ if is_open => match self.guess.merger() {
                Some(guess) => place(guess),
                None => place(self),
            },
            _ => Ok(Added::Stale),
        };
        *match &added {
            Ok(Added::Stored { .. }) => &mut self.counts.stored,
            Ok(Added::Duplicate) => &mut self.counts.duplicates,
            Ok(Added::Late) => &mut self.counts.late,
            Ok(Added::Stale) => &mut self.counts.stale,
            Err(_) => &mut self.counts.rejected,
        } += 1;
        if matches!(added, Ok(Added::Stored { .. })) {
            self.merge_ahead(tile);
        }
        added
    }

    fn try_late_slice(&mut self, frame: usize, tile: u32, slice: &Slice) -> Result<Added, FrameError> {
        let limits = DecodeLimits::new(self.extent);
        slice.check(limits)?;
        let of = (slice.plane, slice.scale, slice.rect);
        if !self.late.wants(frame, tile, of, self.extent)? {
            return Ok(Added::Duplicate);
        }
        self.decoded.decode_here(slice, limits)?;
        let piece = match slice.plane {
            PlaneKind::Layer(kind) => Piece::Layer(kind, &self.decoded.layer),
            plane => Piece::Words(plane, &self.decoded.words),
        };
        let Some(dropped) = self.late.put(frame, tile, slice.rect, piece, self.extent) else { return Ok(Added::Stale) };
        self.counts.late_dropped += dropped;
        Ok(Added::Late)
    }

    fn try_late_decoded(&mut self, frame: usize, tile: u32, slice: &DecodedSlice) -> Result<Added, FrameError> {
        let DecodedSlice { plane, scale, rect, .. } = slice;
        if !self.late.wants(frame, tile, (*plane, *scale, *rect), self.extent)? {
            return Ok(Added::Duplicate);
        }
        let piece = piece_of(slice).ok_or_else(|| mismatch(tile, slice))?;
        let Some(dropped) = self.late.put(frame, tile, *rect, piece, self.extent) else { return Ok(Added::Stale) };
        self.counts.late_dropped += dropped;
        Ok(Added::Late)
    }

    /// A whole tile may bring some of the layers alone.
    fn try_late_tile(&mut self, frame: usize, tile: u32, traced: &TracedTile) -> Result<Added, FrameError> {
        let refuse = |what: String| Err(FrameError::NotPlanned { tile, what });
        let Some(rect) = self.late.traced(frame, tile, self.extent) else {
            return refuse("a tile that the frame does not have".into());
        };
        if traced.rect != rect {
            return refuse(format!("a tile of {:?} where {rect:?} is", traced.rect));
        }
        for (i, layer) in traced.layers.iter().enumerate() {
            let twice = traced.layers[..i].iter().any(|l| l.kind == layer.kind);
            let own = (1..=2).contains(&layer.scale).then(|| rect.scaled(u32::from(layer.scale)));
            if twice || own != Some(layer.rect) || layer.pixels.len() != layer.rect.pixels() {
                return refuse(described(layer));
            }
            if !self.late.wants(frame, tile, (PlaneKind::Layer(layer.kind), layer.scale, layer.rect), self.extent)? {
                return Ok(Added::Duplicate);
            }
        }
        for plane in PlaneKind::PRIMARY {
            let Some(primary) = &traced.primary else { break };
            let pixels = primary_words(primary, plane).len();
            if pixels != rect.pixels() {
                return refuse(format!("{plane:?} with {pixels} pixels in {rect:?}"));
            }
            if !self.late.wants(frame, tile, (plane, 1, rect), self.extent)? {
                return Ok(Added::Duplicate);
            }
        }
        let mut is_kept = false;
        let layers = traced.layers.iter().map(|layer| (layer.rect, Piece::Layer(layer.kind, &layer.pixels)));
        let planes = traced.primary.iter().flat_map(|primary| {
            PlaneKind::PRIMARY.map(|plane| (rect, Piece::Words(plane, primary_words(primary, plane))))
        });
        for (rect, piece) in layers.chain(planes) {
            if let Some(dropped) = self.late.put(frame, tile, rect, piece, self.extent) {
                self.counts.late_dropped += dropped;
                is_kept = true;
            }
        }
        Ok(if is_kept { Added::Late } else { Added::Stale })
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
        let DecodedSlice { plane, scale, rect, .. } = slice;
        if !self.wants(tile, *plane, *scale, *rect)? {
            return Ok(Added::Duplicate);
        }
        Ok(match piece_of(slice).ok_or_else(|| mismatch(tile, slice))? {
            Piece::Layer(kind, pixels) => self.place_layer(tile, peer, kind, *rect, pixels),
            Piece::Words(plane, words) => self.place_words(tile, peer, plane, *rect, words),
        })
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
        self.take_back(tile, rect, self.tiles[tile as usize].scale(PlaneKind::Layer(kind)));
        let state = &mut self.tiles[tile as usize];
        let (core, scale) = (state.plan().rect, state.scale(PlaneKind::Layer(kind)));
        self.layers[kind as usize].write(core, rect, pixels, self.extent, scale as u32);
        if self.frame.is_some_and(|frame| frame.blend_ghosts) && scale == 1 {
            self.ghosts.keep(tile, kind, core, rect, pixels);
        }
        state.set_peer(peer);
        state.note(PlaneKind::Layer(kind), rect);
        Added::Stored { tile_complete: state.is_complete() }
    }

    fn place_words(&mut self, tile: u32, peer: u32, plane: PlaneKind, rect: Rect, words: &[u32]) -> Added {
        self.take_back(tile, rect, 1);
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
        if traced.primary.is_some() && state.scale(PlaneKind::Depth) == 0 {
            let what = "a tile with primary hits, where the engine gave the frame's planes (leave `primary` out),";
            return refuse(what.into());
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
                return refuse(described(layer));
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
        if let Some((frame, inner)) = self.inner_pixels(tile).filter(|_| self.is_whole(tile, traced)) {
            return Ok(self.place_and_merge(&frame, tile, traced, inner));
        }
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

    /// True when all that is due of a tile, of which nothing came, comes with this one.
    fn is_whole(&self, tile: u32, traced: &TracedTile) -> bool {
        let state = &self.tiles[tile as usize];
        let has_planes = traced.primary.is_some() || state.scale(PlaneKind::Depth) == 0;
        let has_layer = |kind: LayerKind| {
            state.scale(PlaneKind::Layer(kind)) == 0 || traced.layers.iter().any(|layer| layer.kind == kind)
        };
        state.received().is_empty() && has_planes && LayerKind::ALL.into_iter().all(has_layer)
    }
}

fn planned(tiles: &[TileState], tile: u32) -> Result<&TileState, FrameError> {
    tiles
        .get(tile as usize)
        .ok_or_else(|| FrameError::NotPlanned { tile, what: format!("one of {} tiles", tiles.len()) })
}

fn described(layer: &LayerPlane) -> String {
    let LayerPlane { kind, scale, rect, pixels } = layer;
    format!("layer {} at scale {scale} in {rect:?} with {} pixels", kind.name(), pixels.len())
}

/// A decoded slice's pixels, if they are those of its rectangle and plane.
fn piece_of(slice: &DecodedSlice) -> Option<Piece<'_>> {
    match (slice.plane, &slice.pixels) {
        (PlaneKind::Layer(kind), SlicePixels::Layer(pixels)) if pixels.len() == slice.rect.pixels() => {
            Some(Piece::Layer(kind, pixels))
        }
        (PlaneKind::Layer(_), _) | (_, SlicePixels::Layer(_)) => None,
        (plane, SlicePixels::Primary(words)) if words.len() == slice.rect.pixels() => Some(Piece::Words(plane, words)),
        _ => None,
    }
}

fn mismatch(tile: u32, slice: &DecodedSlice) -> FrameError {
    let (kind, pixels) = match &slice.pixels {
        SlicePixels::Layer(pixels) => ("layer pixels", pixels.len()),
        SlicePixels::Primary(words) => ("words", words.len()),
    };
    FrameError::NotPlanned { tile, what: format!("{:?} with {pixels} {kind} in {:?}", slice.plane, slice.rect) }
}

pub(super) fn write_primary(
    planes: &mut Primary,
    plane: PlaneKind,
    extent: Extent,
    core: Rect,
    rect: Rect,
    words: &[u32],
) {
    if let Some(plane) = primary_words_mut(planes, plane) {
        copy_rows(plane, extent.width, core, rect, words);
    }
}

/// A plane of primary hits as words; `None` for planes that are none.
pub(super) fn primary_words_mut(planes: &mut Primary, plane: PlaneKind) -> Option<&mut [u32]> {
    Some(match plane {
        PlaneKind::Depth => bytemuck::cast_slice_mut(&mut planes.depth),
        PlaneKind::Normal => &mut planes.normal,
        PlaneKind::BaseColor => &mut planes.base_color,
        PlaneKind::Material => &mut planes.material,
        PlaneKind::Motion => &mut planes.motion,
        PlaneKind::InstanceId => &mut planes.instance_id,
        PlaneKind::GeometricNormal | PlaneKind::Emissive | PlaneKind::Layer(_) => return None,
    })
}
