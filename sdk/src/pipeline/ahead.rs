//! Frames that are traced before the engine begins them, from the camera that is predicted for them.
//!
//! **A wrong guess never costs a frame**: when a frame begins, what was asked for it ahead is taken if its camera is near the true one,
//! and else the frame is asked for anew, as without prediction. See `docs/prediction.md`.

use super::{Pipeline, tiers::Tiers};
use crate::config::FrameDesc;
use crate::flight::{Before, Flight, Request};
use crate::revisions::Resolved;
use glam::{Affine3A, Quat, Vec3};
use rayloom_coordinator::{Time, is_near};
use rayloom_frame::Extent;
use rayloom_scene::Camera;
use rayloom_wire::StateDelta;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The frame that is to be traced ahead when one begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Foreseen {
    pub(crate) camera: Camera,
    /// How many frames later.
    pub(crate) frames: u8,
    /// How much time these take.
    pub(crate) after: Duration,
}

/// How a frame was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Asked for as it is: nothing had been asked ahead.
    #[default]
    AsItIs,
    /// What was asked ahead is taken.
    AsForeseen,
    /// Asked for as it is, since what had been asked ahead is not what the frame shows.
    Anew,
}

/// What a pipeline has asked for ahead.
#[derive(Default)]
pub(super) struct Ahead {
    /// With which of the view's frames each is due, the next one first; at most [`rayloom_coordinator::MAX_AHEAD`].
    flights: VecDeque<(u64, Flight)>,
    /// Frames begun.
    begun: u64,
    /// The last one that was asked for.
    pub(super) last: Option<Before>,
    pub(super) tiers: Tiers,
    /// What it was predicted to take.
    pub(super) predicted: Option<Duration>,
}

impl Ahead {
    pub(super) fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter().map(|(_, flight)| flight)
    }

    pub(super) fn flights_mut(&mut self) -> impl Iterator<Item = &mut Flight> {
        self.flights.iter_mut().map(|(_, flight)| flight)
    }

    /// A frame begins: what was asked ahead for it, and what was for frames that never came so.
    pub(super) fn take(&mut self) -> (Option<Flight>, Vec<Flight>) {
        self.begun += 1;
        let mut passed = Vec::new();
        while self.flights.front().is_some_and(|(due, _)| *due < self.begun) {
            passed.extend(self.flights.pop_front().map(|(_, flight)| flight));
        }
        let is_due = self.flights.front().is_some_and(|(due, _)| *due == self.begun);
        (is_due.then(|| self.flights.pop_front()).flatten().map(|(_, flight)| flight), passed)
    }

    /// Everything that was asked ahead.
    pub(super) fn take_all(&mut self) -> Vec<Flight> {
        self.flights.drain(..).map(|(_, flight)| flight).collect()
    }

    /// Something was asked for the frame that begins so many frames later.
    pub(super) fn add(&mut self, frames: u8, flight: Flight) {
        self.flights.push_back((self.begun + u64::from(frames), flight));
    }
}

impl Pipeline {
    /// What was asked ahead for a frame that begins, if it is of use, and whether anything was.
    pub(super) fn take_ahead(
        &mut self,
        desc: &FrameDesc,
        state: Option<&Resolved>,
        now: Time,
    ) -> (Option<Flight>, bool) {
        let (due, passed) = self.ahead.take();
        let depth_m = if due.is_some() { self.depth_m() } else { f32::NAN };
        // With nobody to ask, nothing was.
        let was_asked = due.as_ref().is_some_and(|due| due.request.groups.iter().any(|group| !group.plan.is_empty()));
        let (taken, dropped): (Vec<Flight>, Vec<Flight>) =
            due.into_iter().partition(|flight| is_usable(flight, desc, state, self.view.size, depth_m));
        self.drop_ahead(passed.into_iter().chain(dropped).collect(), now);
        if desc.cut {
            self.drop_all_ahead(now);
        }
        (taken.into_iter().next(), was_asked)
    }

    pub(super) fn drop_all_ahead(&mut self, now: Time) {
        let all = self.ahead.take_all();
        self.drop_ahead(all, now);
    }

    /// What was asked ahead is of no use any more.
    pub(super) fn drop_ahead(&mut self, dropped: Vec<Flight>, now: Time) {
        for flight in dropped {
            self.coordinator.give_up_frame(flight.number, now);
            self.keep_late(flight.into_dropped());
        }
    }

    /// How far away things are that the view shows, in metres, half of them nearer.
    pub(crate) fn depth_m(&self) -> f32 {
        let seen = self.merge.seen();
        let mut inverse: Vec<f32> = seen.map_or_else(Vec::new, |seen| seen.features.inverse_depth.clone());
        inverse.retain(|inverse| *inverse > 0.0);
        let middle = inverse.len() / 2;
        // Of nothing nothing is known.
        if inverse.is_empty() { f32::NAN } else { 1.0 / *inverse.select_nth_unstable_by(middle, f32::total_cmp).1 }
    }

    /// The frame that comes some frames after one that begins, as far as it can be foreseen.
    pub(super) fn as_foreseen(
        &mut self,
        desc: &FrameDesc,
        state: Option<&Resolved>,
        before: Option<&Before>,
        foreseen: Foreseen,
    ) -> Request {
        let frames = foreseen.frames;
        let stood = before.filter(|_| !desc.cut).and_then(|before| before.state.as_ref());
        let next = state.map(|state| foreseen_state(stood, state, frames));
        // The frame before it is the one that begins, which is known, or was foreseen itself.
        let is_next = frames == 1;
        let (previous_camera, cut) = if is_next { (Some(desc.camera), false) } else { (None, desc.cut) };
        let frame_id = desc.frame_id.saturating_add(u64::from(frames));
        let known = Before { frame_id: desc.frame_id, is_ahead: false, camera: desc.camera, state: state.cloned() };
        let desc = FrameDesc { frame_id, camera: foreseen.camera, previous_camera, cut, ..desc.clone() };
        let this = Before { frame_id, is_ahead: true, camera: desc.camera, state: next.clone() };
        let last = self.ahead.last.replace(this);
        let before = if is_next { Some(known) } else { last };
        Request { desc, is_ahead: true, groups: Vec::new(), state: next, planes: None, before, first_place: None }
    }
}

/// Whether what was asked ahead shows what the frame does, but for a little that can be warped.
pub(super) fn is_usable(
    ahead: &Flight,
    desc: &FrameDesc,
    state: Option<&Resolved>,
    extent: Extent,
    depth_m: f32,
) -> bool {
    let traced = &ahead.request;
    let is_of =
        |state: &Resolved| traced.state.as_ref().is_some_and(|s| (s.scene, s.base) == (state.scene, state.base));
    let has_expired = ahead.ended && !ahead.due_tiles_are_complete();
    !desc.cut
        && !has_expired
        && traced.desc.layers == desc.layers
        && state.is_some_and(is_of)
        && is_near(&desc.camera, &traced.desc.camera, extent, depth_m)
}

/// Whether what was asked ahead is the frame itself: then it counts as what comes in time does. The sub-pixel offset does not matter.
pub(super) fn is_exact(ahead: &Flight, desc: &FrameDesc, state: Option<&Resolved>) -> bool {
    let traced = &ahead.request.desc;
    let same_view = Camera { jitter: desc.camera.jitter, ..traced.camera } == desc.camera;
    let same = (traced.frame_id, traced.pre_exposure) == (desc.frame_id, desc.pre_exposure);
    same_view && same && ahead.request.state.as_ref() == state
}

/// The scene some frames later, if its instances go on as they did since the frame before; lights and poses stay.
pub(super) fn foreseen_state(before: Option<&Resolved>, now: &Resolved, frames: u8) -> Resolved {
    let Some(before) = before.filter(|before| (before.scene, before.base) == (now.scene, now.base)) else {
        return now.clone();
    };
    if Arc::ptr_eq(&before.delta, &now.delta) || before.delta.transforms == now.delta.transforms {
        return now.clone();
    }
    let stood: BTreeMap<u32, Affine3A> = before.delta.transforms.iter().copied().collect();
    let transforms = now.delta.transforms.iter().map(|(instance, here)| {
        let moved = stood.get(instance).and_then(|there| went_on(there, here, f32::from(frames)));
        (*instance, moved.unwrap_or(*here))
    });
    let delta = StateDelta { transforms: transforms.collect(), ..StateDelta::clone(&now.delta) };
    Resolved { delta: Arc::new(delta), ..now.clone() }
}

/// A thing that moves and turns as it did; none where it did not, or that can't be told.
fn went_on(before: &Affine3A, now: &Affine3A, frames: f32) -> Option<Affine3A> {
    /// Turns beyond a quarter in a frame may go either way.
    const MOST_TURN: f32 = std::f32::consts::FRAC_PI_2;
    if before == now {
        return None;
    }
    let (scale, rotation, place) = now.to_scale_rotation_translation();
    let (_, was_rotation, was_place) = before.to_scale_rotation_translation();
    let between = rotation * was_rotation.inverse();
    let turn = (if between.w < 0.0 { -between } else { between }).normalize().to_scaled_axis();
    let is_rigid = Affine3A::from_scale_rotation_translation(scale, rotation, place)
        .abs_diff_eq(*now, 1e-3 * scale.abs().max_element());
    let turns_on = is_rigid && turn.is_finite() && turn.length() < MOST_TURN;
    let step: Vec3 = place - was_place;
    let next = if turns_on {
        let rotation = Quat::from_scaled_axis(turn * frames) * rotation;
        Affine3A::from_scale_rotation_translation(scale, rotation, place + step * frames)
    } else {
        Affine3A { translation: now.translation + (now.translation - before.translation) * frames, ..*now }
    };
    next.is_finite().then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(base: u64, transforms: Vec<(u32, Affine3A)>) -> Resolved {
        Resolved { scene: 1, base, delta: Arc::new(StateDelta { transforms, ..StateDelta::default() }) }
    }

    #[test]
    fn what_moved_goes_on_and_what_stood_stays() {
        let at = |frame: f32| {
            let turn = Quat::from_rotation_y(0.2 * frame);
            Affine3A::from_scale_rotation_translation(Vec3::splat(2.0), turn, Vec3::new(frame, 0.0, 1.0))
        };
        let (before, now) = (vec![(3, at(0.0)), (5, at(7.0))], vec![(3, at(1.0)), (5, at(7.0)), (9, at(2.0))]);
        let (before, now) = (state(1, before), state(1, now));
        let foreseen = foreseen_state(Some(&before), &now, 2);
        let of = |state: &Resolved, index: usize| state.delta.transforms[index].1;
        assert!(of(&foreseen, 0).abs_diff_eq(at(3.0), 1e-4), "{:?}", of(&foreseen, 0));
        assert_eq!((of(&foreseen, 1), of(&foreseen, 2)), (at(7.0), at(2.0)), "it stood still, or is new");
        assert!(foreseen_state(None, &now, 2) == now);
        assert!(foreseen_state(Some(&state(2, Vec::new())), &now, 2) == now, "of another base nothing is known");
    }

    #[test]
    fn no_transform_becomes_unusable() {
        let far = Affine3A::from_translation(Vec3::splat(f32::MAX));
        let (before, now) =
            (state(1, vec![(0, Affine3A::from_translation(-Vec3::splat(f32::MAX)))]), state(1, vec![(0, far)]));
        assert_eq!(foreseen_state(Some(&before), &now, 3).delta.transforms, now.delta.transforms);
        let flat = Affine3A::from_scale(Vec3::new(1.0, 0.0, 1.0));
        let (before, now) = (state(1, vec![(0, Affine3A::IDENTITY)]), state(1, vec![(0, flat)]));
        assert!(foreseen_state(Some(&before), &now, 3).delta.transforms[0].1.is_finite());
    }
}
