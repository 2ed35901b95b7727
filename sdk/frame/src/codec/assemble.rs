//! A tile put together again from its slices.

use super::{DecodedSlice, SlicePixels};
use crate::{LayerPlane, LayerRequest, PlaneKind, Primary, Rect, SKY_DEPTH, TracedTile};

/// Puts decoded slices of `rect` together, whatever their order: the layers of the request in its order, and the planes of
/// primary hits if `has_primary`. What no slice covers stays black, or sky; what does not belong to the tile is left out.
/// [`TracedTile::block_rays`] is empty.
///
/// Takes memory for the tile, whatever the slices say.
pub fn assemble_tile(rect: Rect, layers: &[LayerRequest], has_primary: bool, slices: &[DecodedSlice]) -> TracedTile {
    let layer = |request: &LayerRequest| {
        let rect = rect.scaled(u32::from(request.scale));
        LayerPlane { kind: request.kind, scale: request.scale, rect, pixels: vec![[0; 4]; rect.pixels()] }
    };
    let words = || vec![0; rect.pixels()];
    let primary = has_primary.then(|| Primary {
        depth: vec![SKY_DEPTH; rect.pixels()],
        normal: words(),
        base_color: words(),
        material: words(),
        motion: words(),
        instance_id: words(),
    });
    let mut tile = TracedTile { rect, layers: layers.iter().map(layer).collect(), primary, block_rays: Vec::new() };
    slices.iter().for_each(|slice| place(&mut tile, slice));
    tile
}

fn place(tile: &mut TracedTile, slice: &DecodedSlice) {
    match (slice.plane, &slice.pixels) {
        (PlaneKind::Layer(kind), SlicePixels::Layer(pixels)) => {
            let layer = tile.layers.iter_mut().find(|layer| layer.kind == kind && layer.scale == slice.scale);
            if let Some(layer) = layer {
                copy(&mut layer.pixels, layer.rect, slice.rect, pixels);
            }
        }
        (plane, SlicePixels::Primary(words)) if slice.scale == 1 => {
            let Some(primary) = &mut tile.primary else { return };
            let to: &mut [u32] = match plane {
                PlaneKind::Depth => bytemuck::cast_slice_mut(&mut primary.depth),
                PlaneKind::Normal => &mut primary.normal,
                PlaneKind::BaseColor => &mut primary.base_color,
                PlaneKind::Material => &mut primary.material,
                PlaneKind::Motion => &mut primary.motion,
                PlaneKind::InstanceId => &mut primary.instance_id,
                PlaneKind::Layer(_) | PlaneKind::GeometricNormal | PlaneKind::Emissive => return,
            };
            copy(to, tile.rect, slice.rect, words);
        }
        _ => {}
    }
}

/// Copies the pixels of `part` to where they lie in a plane of `whole`, if they do and are as many as they should be.
fn copy<T: Copy>(to: &mut [T], whole: Rect, part: Rect, pixels: &[T]) {
    if part.is_empty() || !whole.contains_rect(part) || pixels.len() != part.pixels() {
        return;
    }
    let first = whole.index_of(part);
    for (row, pixels) in pixels.chunks_exact(part.width as usize).enumerate() {
        let at = first + row * whole.width as usize;
        to[at..at + pixels.len()].copy_from_slice(pixels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerKind;

    fn slice(plane: PlaneKind, scale: u8, rect: Rect, pixels: SlicePixels) -> DecodedSlice {
        DecodedSlice { plane, scale, rect, pixels }
    }

    #[test]
    fn slices_lie_where_they_belong_and_the_rest_is_sky() {
        let words = |words: Vec<u32>| SlicePixels::Primary(words);
        let direct = PlaneKind::Layer(LayerKind::Direct);
        let slices = [
            slice(
                PlaneKind::Depth,
                1,
                Rect::new(11, 21, 2, 2),
                words([1.0f32, 2.0, 3.0, 4.0].map(f32::to_bits).into()),
            ),
            slice(PlaneKind::InstanceId, 1, Rect::new(13, 20, 1, 1), words(vec![7])),
            slice(PlaneKind::Motion, 1, Rect::new(13, 22, 2, 1), words(vec![8, 8])),
            slice(PlaneKind::Normal, 2, Rect::new(10, 20, 1, 1), words(vec![9])),
            slice(direct, 2, Rect::new(6, 10, 1, 1), SlicePixels::Layer(vec![[1, 2, 3, 4]])),
            slice(direct, 1, Rect::new(10, 20, 1, 1), SlicePixels::Layer(vec![[5; 4]])),
            slice(direct, 2, Rect::new(5, 10, 2, 1), SlicePixels::Layer(vec![[6; 4]])),
        ];
        let request = LayerRequest { scale: 2, ..LayerRequest::new(LayerKind::Direct) };
        let tile = assemble_tile(Rect::new(10, 20, 4, 3), &[request], true, &slices);
        let (sky, primary) = (SKY_DEPTH, tile.primary.unwrap());
        assert_eq!(primary.depth, [sky, sky, sky, sky, sky, 1.0, 2.0, sky, sky, 3.0, 4.0, sky]);
        assert_eq!(primary.instance_id, [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(primary.motion.iter().chain(&primary.normal).all(|word| *word == 0), "neither fits");
        let black = [0; 4];
        assert_eq!(tile.layers[0].rect, Rect::new(5, 10, 2, 2));
        assert_eq!(tile.layers[0].pixels, [black, [1, 2, 3, 4], black, black]);
    }
}
