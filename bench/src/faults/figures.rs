//! The figures of a fault: a run with it against one without, and both against the truth.

use super::outcome::{Missed, Run, oldest};
use super::run::watched;
use super::truth::Truth;
use crate::report::Report;
use rayloom_frame::metrics::psnr_rgba8;

/// What a fault costs; the more the worse. Infinite where it never came to that.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    missed: Missed,
    max_extra_age_frames: f64,
    frames_to_reassign: f64,
    frames_to_full_quality: f64,
    psnr_drop_db: f64,
    frames_to_event: f64,
}

impl Figures {
    pub(super) fn new(unbroken: &Run, broken: &Run, truth: &Truth) -> Figures {
        let extra_age = |(frame_id, output)| {
            let without = unbroken.outputs_after().find(|(id, _)| *id == frame_id).map_or(0, |(_, o)| oldest(o));
            oldest(output).saturating_sub(without)
        };
        let drop = |frame_id: u64| Some(psnr(unbroken, truth, frame_id)? - psnr(broken, truth, frame_id)?);
        let or_never = |frames: Option<f64>| frames.unwrap_or(f64::INFINITY);
        Figures {
            missed: broken.missed(),
            max_extra_age_frames: broken.outputs_after().map(extra_age).max().unwrap_or(0) as f64,
            frames_to_reassign: or_never(broken.frames_to_reassign().map(|frames| frames as f64)),
            frames_to_full_quality: or_never(broken.frames_to_full_quality().map(|frames| frames as f64)),
            psnr_drop_db: watched().filter_map(drop).fold(0.0, f64::max),
            frames_to_event: or_never(broken.frames_to_event().map(|frames| frames as f64)),
        }
    }

    pub(super) fn worse(self, other: Figures) -> Figures {
        Figures {
            missed: if other.missed.total() > self.missed.total() { other.missed } else { self.missed },
            max_extra_age_frames: self.max_extra_age_frames.max(other.max_extra_age_frames),
            frames_to_reassign: self.frames_to_reassign.max(other.frames_to_reassign),
            frames_to_full_quality: self.frames_to_full_quality.max(other.frames_to_full_quality),
            psnr_drop_db: self.psnr_drop_db.max(other.psnr_drop_db),
            frames_to_event: self.frames_to_event.max(other.frames_to_event),
        }
    }

    /// `why` explains what is missed all the time and what never came.
    pub(super) fn write(&self, report: &mut Report, name: &str, why: Option<&str>) {
        report.number(format!("{name}.frames_missed"), self.missed.total().into());
        if let Some(why) = why {
            report.explain(format!("{name}.frames_missed"), why);
        }
        report.number(format!("{name}.frames_not_ready"), self.missed.not_ready.into());
        let figures = [
            ("max_extra_age_frames", self.max_extra_age_frames),
            ("frames_to_reassign", self.frames_to_reassign),
            ("frames_to_full_quality", self.frames_to_full_quality),
            ("psnr_drop_db", self.psnr_drop_db),
            ("frames_to_event", self.frames_to_event),
        ];
        for (key, value) in figures {
            match why.filter(|_| !value.is_finite()) {
                Some(why) => report.unknown(format!("{name}.{key}"), why),
                None if value.is_finite() => report.number(format!("{name}.{key}"), value),
                None => report.unknown(format!("{name}.{key}"), "not within the run's frames"),
            }
        }
    }
}

/// The worst frame's.
pub(super) fn psnr_db(run: &Run, truth: &Truth) -> f64 {
    watched().filter_map(|frame_id| psnr(run, truth, frame_id)).fold(f64::INFINITY, f64::min)
}

fn psnr(run: &Run, truth: &Truth, frame_id: u64) -> Option<f64> {
    Some(psnr_rgba8(&run.shown(frame_id)?.color, truth.picture(frame_id)?))
}
