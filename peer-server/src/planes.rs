//! Tasks of frames whose planes the engine gives: each waits here until the last slice of its planes is there.

use rayloom_frame::codec::{DecodeLimits, Decoder, Slice};
use rayloom_frame::{Extent, GBuffer, Rect};
use rayloom_wire::{GivenPlanes, TileSlice};
use std::collections::{HashMap, VecDeque};

/// Bytes of slices that may be here before their task is: the channels that both come on overtake each other.
const EARLY_BYTES: usize = 8 << 20;

/// See the file's head. `J` is what is to be done once the planes are there.
pub(crate) struct AwaitedPlanes<J> {
    waiting: HashMap<u64, Waiting<J>>,
    early: VecDeque<TileSlice>,
    early_bytes: usize,
    decoder: Decoder,
}

struct Waiting<J> {
    job: J,
    limits: DecodeLimits,
    /// What `planes` holds of the view.
    rect: Rect,
    planes: GBuffer,
    /// Slices that are there; empty before the first.
    seen: Vec<bool>,
    missing: usize,
}

impl<J> Default for AwaitedPlanes<J> {
    fn default() -> AwaitedPlanes<J> {
        AwaitedPlanes { waiting: HashMap::new(), early: VecDeque::new(), early_bytes: 0, decoder: Decoder::default() }
    }
}

impl<J> AwaitedPlanes<J> {
    /// Keeps a task until the planes of `rect` of its view are there; they may be already. The caller bounds how many
    /// pixels wait.
    ///
    /// # Errors
    /// The task with why its planes can't be used.
    pub(crate) fn expect(
        &mut self,
        task: u64,
        job: J,
        (extent, rect): (Extent, Rect),
        given: GivenPlanes,
    ) -> Result<Option<(J, GBuffer)>, (J, String)> {
        let size = Extent::new(rect.width, rect.height);
        let planes =
            GBuffer { depth_error: given.depth_error, ..GBuffer::sky(size, given.geometric_normal, given.emissive) };
        let limits = DecodeLimits::new(extent);
        self.waiting.insert(task, Waiting { job, limits, rect, planes, seen: Vec::new(), missing: usize::MAX });
        let early = std::mem::take(&mut self.early);
        let (ours, others): (Vec<TileSlice>, Vec<TileSlice>) = early.into_iter().partition(|slice| slice.task == task);
        self.early = others.into();
        self.early_bytes = self.early.iter().map(|slice| slice.payload.len()).sum();
        for slice in ours {
            if let Some(ready) = self.arrived(slice)? {
                return Ok(Some(ready));
            }
        }
        Ok(None)
    }

    /// Takes a slice; gives the task back once nothing is missing any more.
    ///
    /// # Errors
    /// The task with why the slice can't be used; it does not wait any longer.
    pub(crate) fn arrived(&mut self, slice: TileSlice) -> Result<Option<(J, GBuffer)>, (J, String)> {
        let task = slice.task;
        let Some(waiting) = self.waiting.get_mut(&task) else {
            self.keep_early(slice);
            return Ok(None);
        };
        match waiting.take(slice, &mut self.decoder) {
            Ok(()) if waiting.missing > 0 => Ok(None),
            outcome => {
                let Some(waiting) = self.waiting.remove(&task) else { return Ok(None) };
                match outcome {
                    Ok(()) => Ok(Some((waiting.job, waiting.planes))),
                    Err(reason) => Err((waiting.job, reason)),
                }
            }
        }
    }

    /// Of a task that comes later, or of one that is gone: the oldest make room.
    fn keep_early(&mut self, slice: TileSlice) {
        self.early_bytes += slice.payload.len();
        self.early.push_back(slice);
        while self.early_bytes > EARLY_BYTES {
            self.early_bytes -= self.early.pop_front().map_or(0, |oldest| oldest.payload.len());
        }
    }

    /// Drops tasks that nobody waits for any more.
    pub(crate) fn retain(&mut self, keep: impl Fn(u64, &J) -> bool) {
        self.waiting.retain(|task, waiting| keep(*task, &waiting.job));
    }
}

impl<J> Waiting<J> {
    fn take(&mut self, slice: TileSlice, decoder: &mut Decoder) -> Result<(), String> {
        let TileSlice { index, count, plane, scale, codec, rect, payload, .. } = slice;
        if self.seen.is_empty() {
            self.seen.resize(usize::from(count), false);
            self.missing = self.seen.len();
        }
        if self.seen.len() != usize::from(count) {
            return Err(format!("a slice says that its tile has {count} of them, an earlier one {}", self.seen.len()));
        }
        if std::mem::replace(&mut self.seen[usize::from(index)], true) {
            return Ok(());
        }
        let slice = Slice { plane, scale, codec, rect, payload };
        let decoded = decoder.decode(&slice, self.limits).map_err(|error| error.to_string())?;
        let put = self.planes.put((self.rect.x, self.rect.y), &decoded).map_err(|error| error.to_string());
        decoder.recycle(decoded);
        self.missing -= 1;
        put
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom_frame::codec::TileEncoder;

    const EXTENT: Extent = Extent::new(40, 30);
    const RECT: Rect = Rect::new(4, 6, 20, 10);
    const GIVEN: GivenPlanes = GivenPlanes { geometric_normal: false, emissive: true, depth_error: 0.5 };

    fn view() -> GBuffer {
        let mut view = GBuffer::sky(EXTENT, false, true);
        view.primary.depth.iter_mut().zip(0u16..).for_each(|(depth, i)| *depth = f32::from(i));
        view
    }

    fn slices(task: u64) -> Vec<TileSlice> {
        let view = view();
        let encoder = TileEncoder::of_gbuffer(&view, RECT, 200);
        let count = u16::try_from(encoder.len()).unwrap();
        let message = |(index, slice): (u16, Slice)| {
            let Slice { plane, scale, codec, rect, payload } = slice;
            TileSlice { task, frame_id: 1, index, count, plane, scale, codec, rect, payload }
        };
        (0..).zip(encoder).map(message).collect()
    }

    fn assert_whole(ready: Option<(&str, GBuffer)>) {
        let (job, planes) = ready.expect("all slices are there");
        assert_eq!((job, planes.depth_error), ("job", 0.5));
        assert_eq!(planes.primary.depth[0], (6 * 40 + 4) as f32);
        assert_eq!(planes.primary.depth[9 * 20 + 19], (15 * 40 + 23) as f32);
    }

    #[test]
    fn a_task_is_ready_with_its_last_slice_wherever_the_others_came() {
        for early in [0, 1, 5, slices(7).len()] {
            let mut awaited = AwaitedPlanes::default();
            let mut slices = slices(7);
            slices.reverse();
            let late = slices.split_off(early);
            for slice in slices {
                assert!(awaited.arrived(slice.clone()).unwrap().is_none());
                assert!(awaited.arrived(slice).unwrap().is_none(), "a duplicate is no harm");
            }
            let mut ready = awaited.expect(7, "job", (EXTENT, RECT), GIVEN).unwrap();
            assert_eq!(ready.is_some(), late.is_empty());
            for slice in late {
                assert!(ready.is_none());
                ready = awaited.arrived(slice).unwrap();
            }
            assert_whole(ready);
            assert!(awaited.waiting.is_empty());
        }
    }

    #[test]
    fn a_slice_that_contradicts_its_task_ends_it() {
        let bad: [fn(&mut TileSlice); 3] =
            [|slice| slice.count += 1, |slice| slice.rect.x += 39, |slice| slice.payload = slice.payload.slice(1..)];
        for spoil in bad {
            let mut awaited = AwaitedPlanes::default();
            let mut slices = slices(7);
            assert!(awaited.expect(7, "job", (EXTENT, RECT), GIVEN).unwrap().is_none());
            assert!(awaited.arrived(slices.remove(0)).unwrap().is_none());
            spoil(&mut slices[0]);
            assert_eq!(awaited.arrived(slices.remove(0)).expect_err("it is refused").0, "job");
            assert!(awaited.waiting.is_empty());
        }
    }

    #[test]
    fn what_is_early_is_bounded_and_what_is_cancelled_does_not_wait() {
        let mut awaited = AwaitedPlanes::default();
        let slice = TileSlice { payload: vec![0; 48 * 1024].into(), ..slices(9).remove(0) };
        for _ in 0..1000 {
            assert!(awaited.arrived(slice.clone()).unwrap().is_none());
        }
        assert!(awaited.early.iter().map(|slice| slice.payload.len()).sum::<usize>() <= EARLY_BYTES);
        assert!(awaited.expect(7, "job", (EXTENT, RECT), GIVEN).unwrap().is_none());
        awaited.retain(|task, _| task != 7);
        assert!(slices(7).into_iter().all(|slice| awaited.arrived(slice).unwrap().is_none()));
    }
}
