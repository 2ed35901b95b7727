//! Planes of the ring as Rayloom borrows them: mapped memory, read where it lies.

use bytes::Bytes;
use raster::{PlaneKind, ReadyPlanes};
use rayloom::Plane;
use rayloom::frame::EnginePlane;

/// All planes of a frame. Rayloom drops them when it has read them, and with the last the slot of the ring is free again.
pub(crate) fn lend(ready: &ReadyPlanes) -> Vec<Plane> {
    let lent = |kind: PlaneKind| {
        let EnginePlane { kind: told, format, extent, view_rect, row_pitch, .. } = ready.plane(kind).into();
        let bytes = Bytes::from_owner(Loan { ready: ready.clone(), kind });
        Plane { kind: told, format, extent, view_rect, row_pitch, bytes }
    };
    PlaneKind::ALL.map(lent).into()
}

/// Keeps the slot.
struct Loan {
    ready: ReadyPlanes,
    kind: PlaneKind,
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        self.ready.plane(self.kind).bytes
    }
}
