//! The convention doctor in a session: now and then a frame's planes are copied, a peer traces the same view, and what differs
//! is told with the likeliest fix. On a thread of its own; nobody waits for it.

use crate::clock::Clock;
use crate::director::Command;
use crate::event::{Event, EventQueue};
use crate::planes::{Plane, PlanesJob};
use crate::probe::{PROBE_PIXELS, ProbeError, ProbeRequest, assemble};
use parking_lot::Mutex;
use rayloom_frame::convention::doctor::{Diagnosis, Submitted, doctor};
use rayloom_frame::{Convention, EnginePlane, EnginePlaneKind, Extent, Rect};
use rayloom_scene::Camera;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// From the end of a view's check to its next one.
const PAUSE: Duration = Duration::from_secs(1);
/// The same after a check that had to look from every candidate's place.
const PAUSE_AFTER_SEARCH: Duration = Duration::from_secs(10);
/// The same where the frame's revision was not at a peer yet.
const PAUSE_NOT_READY: Duration = Duration::from_millis(100);
/// How long a peer may take to trace one view.
const TRACE_TIMEOUT: Duration = Duration::from_secs(30);
/// Different findings that are told of a view; more of them are measurements that waver.
const TOLD_LIMIT: usize = 16;

/// Planes that the doctor reads.
const EXAMINED: [EnginePlaneKind; 5] = [
    EnginePlaneKind::Depth,
    EnginePlaneKind::Normal,
    EnginePlaneKind::Albedo,
    EnginePlaneKind::RoughnessMetalness,
    EnginePlaneKind::Motion,
];

/// A frame to examine. Its cameras are in the scene.
struct Subject {
    view: u16,
    frame_id: u64,
    revision: u64,
    previous_revision: u64,
    extent: Extent,
    convention: Arc<Convention>,
    camera: Camera,
    previous_camera: Camera,
    planes: Vec<Plane>,
}

/// When each view is due; none is while a frame is being examined.
#[derive(Default)]
struct Schedule {
    busy: bool,
    due_ns: BTreeMap<u16, u64>,
}

/// What the thread that reads planes has of it.
pub(crate) struct Validation {
    subjects: SyncSender<Subject>,
    schedule: Arc<Mutex<Schedule>>,
    clock: Clock,
    /// Of the last submitted frame of each view.
    revisions: BTreeMap<u16, u64>,
}

impl Validation {
    /// And what its thread runs, until the first is dropped.
    pub(crate) fn new(
        director: Sender<Command>,
        events: Arc<EventQueue>,
        clock: Clock,
    ) -> (Validation, impl FnOnce() + Send + 'static) {
        let (subjects, waiting) = sync_channel(1);
        let schedule = Arc::new(Mutex::default());
        let thread = Doctor { director, events, clock, schedule: Arc::clone(&schedule), told: BTreeMap::new() };
        (Validation { subjects, schedule, clock, revisions: BTreeMap::new() }, move || thread.run(&waiting))
    }

    /// Copies the planes of a frame that is due.
    pub(crate) fn look(&mut self, job: &PlanesJob) {
        let previous_revision = self.revisions.insert(job.view, job.desc.revision).unwrap_or(job.desc.revision);
        let Some(first) = job.planes.first() else { return };
        let extent = Extent::new(first.view_rect.width, first.view_rect.height);
        {
            let mut schedule = self.schedule.lock();
            let due = schedule.due_ns.get(&job.view).is_none_or(|due_ns| *due_ns <= self.clock.now_ns());
            if schedule.busy || !due {
                return;
            }
            if extent.pixels() > PROBE_PIXELS {
                schedule.due_ns.insert(job.view, u64::MAX);
                let text = "their convention is not examined: create a smaller view for that";
                tracing::warn!("frames of view {} have more than {PROBE_PIXELS} pixels, {text}", job.view);
                return;
            }
            schedule.busy = true;
        }
        let examined = job.planes.iter().filter(|plane| EXAMINED.contains(&plane.kind));
        let subject = Subject {
            view: job.view,
            frame_id: job.desc.frame_id,
            revision: job.desc.revision,
            previous_revision: if job.desc.cut { job.desc.revision } else { previous_revision },
            extent,
            convention: Arc::clone(&job.convention),
            camera: job.desc.camera,
            previous_camera: job.desc.previous_camera.unwrap_or(job.desc.camera),
            planes: examined.map(view_of).collect(),
        };
        if self.subjects.try_send(subject).is_err() {
            tracing::error!("the doctor's thread is gone: conventions are no longer examined");
        }
    }
}

/// A copy of the view's part of a plane.
fn view_of(plane: &Plane) -> Plane {
    let Rect { x, y, width, height } = plane.view_rect;
    let (pixel, row_pitch) = (plane.format.bytes_per_pixel(), width as usize * plane.format.bytes_per_pixel());
    let mut bytes = Vec::with_capacity(row_pitch * height as usize);
    for row in y..y + height {
        let at = row as usize * plane.row_pitch + x as usize * pixel;
        bytes.extend_from_slice(&plane.bytes[at..at + row_pitch]);
    }
    let extent = Extent::new(width, height);
    Plane { extent, view_rect: extent.rect(), row_pitch, bytes: bytes.into(), ..*plane }
}

/// State of the thread.
struct Doctor {
    director: Sender<Command>,
    events: Arc<EventQueue>,
    clock: Clock,
    schedule: Arc<Mutex<Schedule>>,
    /// What was told of each view, without its shares.
    told: BTreeMap<u16, BTreeSet<String>>,
}

impl Doctor {
    fn run(mut self, waiting: &Receiver<Subject>) {
        while let Ok(subject) = waiting.recv() {
            let result = self.examine(&subject);
            let pause = match &result {
                Ok(diagnosis) if diagnosis.searched => PAUSE_AFTER_SEARCH,
                Err(ProbeError::NotReady) => PAUSE_NOT_READY,
                Ok(_) | Err(_) => PAUSE,
            };
            {
                let mut schedule = self.schedule.lock();
                schedule.due_ns.insert(subject.view, self.clock.now_ns() + pause.as_nanos() as u64);
                schedule.busy = false;
            }
            match result {
                Ok(diagnosis) => self.tell(&subject, &diagnosis),
                Err(ProbeError::NotReady) => {}
                Err(error) => tracing::warn!("frame {} can't be examined: {error}", subject.frame_id),
            }
        }
    }

    fn examine(&self, subject: &Subject) -> Result<Diagnosis, ProbeError> {
        let planes: Vec<EnginePlane<'_>> = subject.planes.iter().map(Plane::lent).collect();
        // Exactly what the engine said, its world origin added: conventions differ in what that means.
        let frame = Submitted {
            extent: subject.extent,
            planes: &planes,
            convention: &subject.convention,
            camera: &subject.convention.camera_back(&subject.camera),
            previous_camera: &subject.convention.camera_back(&subject.previous_camera),
        };
        doctor(&frame, |view| {
            let (reply, answer) = sync_channel(1);
            let request = ProbeRequest {
                view: subject.view,
                revision: subject.revision,
                previous_revision: subject.previous_revision,
                extent: subject.extent,
                camera: view.camera,
                previous_camera: view.previous_camera,
                reply,
            };
            let ended = |_| ProbeError::Failed("the session ended".into());
            self.director.blocking_send(Command::Probe(request)).map_err(ended)?;
            let silent = |_| ProbeError::Failed(format!("no peer traced it within {TRACE_TIMEOUT:?}"));
            let slices = answer.recv_timeout(TRACE_TIMEOUT).map_err(silent)??;
            Ok(assemble(subject.extent, &slices))
        })
    }

    fn tell(&mut self, subject: &Subject, diagnosis: &Diagnosis) {
        let told = self.told.entry(subject.view).or_default();
        let mut tell = |key: String, agrees: bool, text: String| {
            if told.len() < TOLD_LIMIT && told.insert(key) {
                let (view, frame_id) = (subject.view, subject.frame_id);
                self.events.push(Event::Convention { view, frame_id, agrees, text });
            }
        };
        for finding in &diagnosis.findings {
            let choices = finding.fix.as_ref().map(|fix| &fix.choices);
            tell(format!("{} {choices:?}", finding.plane), false, finding.to_string());
        }
        // Nothing but sky tells nothing.
        if diagnosis.findings.is_empty() && !diagnosis.compared.is_empty() {
            let shares = diagnosis.compared.iter().map(|(plane, share)| format!("{plane} on {:.0} %", share * 100.0));
            let shares: Vec<String> = shares.collect();
            tell(String::new(), true, format!("planes agree with the scene: {} of pixels", shares.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayloom_frame::PlaneFormat;

    #[test]
    fn the_view_is_copied_out_of_its_texture() {
        let plane = Plane {
            kind: EnginePlaneKind::RoughnessMetalness,
            format: PlaneFormat::Rg8Unorm,
            extent: Extent::new(4, 3),
            view_rect: Rect::new(1, 1, 2, 2),
            row_pitch: 10,
            // The last row is not padded.
            bytes: (0..28).collect::<Vec<u8>>().into(),
        };
        let copy = view_of(&plane);
        assert_eq!(copy.bytes[..], [12, 13, 14, 15, 22, 23, 24, 25]);
        assert_eq!((copy.extent, copy.view_rect, copy.row_pitch), (Extent::new(2, 2), Rect::new(0, 0, 2, 2), 4));
    }
}
