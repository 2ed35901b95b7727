//! The commitment to a traced tile: BLAKE3 over the exact bits, before any codec.

use crate::{PlaneKind, Rect, TracedTile, codec::primary_words};

/// BLAKE3 over the tile's rectangle, its layers and its primary hits; costs ([`TracedTile::block_rays`]) are not part of it.
///
/// Each plane is preceded by its number, scale, rectangle and length, so no two tiles share their bytes.
pub fn digest(tile: &TracedTile) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("rayloom traced tile v1");
    let mut plane = |kind: PlaneKind, scale: u8, rect: Rect, bytes: &[u8]| {
        hasher.update(&[kind.to_u8(), scale]);
        hasher.update(bytemuck::cast_slice(&[rect.x, rect.y, rect.width, rect.height]));
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    if let Some(primary) = &tile.primary {
        for kind in PlaneKind::PRIMARY {
            plane(kind, 1, tile.rect, bytemuck::cast_slice(primary_words(primary, kind)));
        }
    }
    for layer in &tile.layers {
        plane(PlaneKind::Layer(layer.kind), layer.scale, layer.rect, bytemuck::cast_slice(&layer.pixels));
    }
    let Rect { x, y, width, height } = tile.rect;
    hasher.update(bytemuck::cast_slice(&[x, y, width, height]));
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LayerKind, LayerPlane};

    fn tile() -> TracedTile {
        let rect = Rect::new(3, 4, 2, 1);
        let layer = LayerPlane { kind: LayerKind::Direct, scale: 1, rect, pixels: vec![[1, 2, 3, 4], [5, 6, 7, 8]] };
        TracedTile { rect, layers: vec![layer], primary: None, block_rays: vec![9] }
    }

    #[test]
    fn one_bit_changes_it_and_costs_do_not() {
        let original = digest(&tile());
        let mut cheaper = tile();
        cheaper.block_rays[0] = 1;
        assert_eq!(digest(&cheaper), original);
        let mut forged = tile();
        forged.layers[0].pixels[1][2] ^= 1;
        assert_ne!(digest(&forged), original);
        let mut moved = tile();
        moved.rect.x += 1;
        assert_ne!(digest(&moved), original);
    }
}
