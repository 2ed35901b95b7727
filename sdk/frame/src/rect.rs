//! Sizes and rectangles in absolute pixels of a view.

/// A size in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Extent {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Extent {
    /// A size.
    #[inline]
    pub const fn new(width: u32, height: u32) -> Extent {
        Extent { width, height }
    }

    /// The rectangle that covers it.
    #[inline]
    pub const fn rect(self) -> Rect {
        Rect { x: 0, y: 0, width: self.width, height: self.height }
    }

    /// Number of pixels.
    #[inline]
    pub const fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// The size of a plane that has one pixel per `scale` x `scale` block (rounded up).
    #[inline]
    pub const fn scaled(self, scale: u32) -> Extent {
        Extent { width: self.width.div_ceil(scale), height: self.height.div_ceil(scale) }
    }
}

/// A rectangle of pixels; (0, 0) is the top left pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rect {
    /// Left column.
    pub x: u32,
    /// Top row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// A rectangle.
    #[inline]
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    /// One past the right column.
    #[inline]
    pub const fn right(self) -> u32 {
        self.x + self.width
    }

    /// One past the bottom row.
    #[inline]
    pub const fn bottom(self) -> u32 {
        self.y + self.height
    }

    /// Number of pixels.
    #[inline]
    pub const fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// True when it has no pixel.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// True when the pixel lies in it.
    #[inline]
    pub const fn contains(self, x: u32, y: u32) -> bool {
        x >= self.x && y >= self.y && x < self.right() && y < self.bottom()
    }

    /// True when all of `other` lies in it.
    #[inline]
    pub const fn contains_rect(self, other: Rect) -> bool {
        other.x >= self.x && other.y >= self.y && other.right() <= self.right() && other.bottom() <= self.bottom()
    }

    /// What both cover; empty (at the origin) when they don't meet.
    #[inline]
    pub fn intersection(self, other: Rect) -> Rect {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (r, b) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        if r <= x || b <= y { Rect::new(0, 0, 0, 0) } else { Rect::new(x, y, r - x, b - y) }
    }

    /// Grown by `margin` pixels on every side but never beyond `extent`: a tile with its ghost zone.
    #[inline]
    pub fn grown(self, margin: u32, extent: Extent) -> Rect {
        let (x, y) = (self.x.saturating_sub(margin), self.y.saturating_sub(margin));
        let r = self.right().saturating_add(margin).min(extent.width);
        let b = self.bottom().saturating_add(margin).min(extent.height);
        Rect::new(x, y, r - x, b - y)
    }

    /// The rectangle of `scale` x `scale` blocks that touch it, in block coordinates of the whole view.
    ///
    /// Blocks are anchored at the view's origin, so two tiles that share a block compute the same value for it.
    #[inline]
    pub fn scaled(self, scale: u32) -> Rect {
        let (x, y) = (self.x / scale, self.y / scale);
        Rect::new(x, y, self.right().div_ceil(scale) - x, self.bottom().div_ceil(scale) - y)
    }

    /// Grown to whole `scale` x `scale` blocks of a view of `extent` pixels: what [`Rect::scaled`] stands for.
    pub fn whole_blocks(self, scale: u32, extent: Extent) -> Rect {
        let (x, y) = (self.x - self.x % scale, self.y - self.y % scale);
        let right = self.right().next_multiple_of(scale).min(extent.width);
        let bottom = self.bottom().next_multiple_of(scale).min(extent.height);
        Rect::new(x, y, right - x, bottom - y)
    }

    /// Index of the first pixel of `part`, which lies in it, among its own.
    pub const fn index_of(self, part: Rect) -> usize {
        (part.y - self.y) as usize * self.width as usize + (part.x - self.x) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_rectangle_covers_every_block_it_touches() {
        assert_eq!(Rect::new(3, 5, 4, 1).scaled(2), Rect::new(1, 2, 3, 1));
        assert_eq!(Rect::new(0, 0, 7, 7).scaled(2), Rect::new(0, 0, 4, 4));
    }

    #[test]
    fn whole_blocks_end_at_the_views_edges() {
        let e = Extent::new(101, 99);
        assert_eq!(Rect::new(3, 5, 4, 4).whole_blocks(2, e), Rect::new(2, 4, 6, 6));
        assert_eq!(Rect::new(100, 98, 1, 1).whole_blocks(2, e), Rect::new(100, 98, 1, 1));
    }

    #[test]
    fn ghosts_stop_at_screen_edges() {
        let e = Extent::new(100, 50);
        assert_eq!(Rect::new(0, 40, 10, 10).grown(8, e), Rect::new(0, 32, 18, 18));
    }
}
