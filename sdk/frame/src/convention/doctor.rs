//! The convention doctor: which field of a stated convention is wrong, by what peers trace of the same frame.
//!
//! The engine's raw planes are read under the stated convention and under others, and compared with traced primary hits
//! on a grid of pixels. **A plane that agrees is never mentioned**; one that doesn't is reported with the fewest changes
//! that explain it. Comparing allows for edges (a traced pixel's neighbours count too), for the steps of the plane's format,
//! and for some surfaces that are in one picture only.

mod depth;
mod differences;
mod motion;
mod surface;
mod texture;
mod views;

use super::{Convention, EngineCamera};
use crate::gbuffer::{EnginePlane, EnginePlaneKind, check};
use crate::{Extent, FrameError, Primary};
use std::fmt;
pub use views::{View, views};

/// A frame as the engine submitted it.
#[derive(Clone, Copy, Debug)]
pub struct Submitted<'a> {
    /// Size of the view.
    pub extent: Extent,
    /// The raw planes.
    pub planes: &'a [EnginePlane<'a>],
    /// The convention that the engine states.
    pub convention: &'a Convention,
    /// The camera.
    pub camera: &'a EngineCamera,
    /// The camera of the frame before.
    pub previous_camera: &'a EngineCamera,
}

/// A field of a convention and what to set it to.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its name in `rayloom_convention_desc`.
    pub field: &'static str,
    /// Name of the constant in `rayloom.h`, or a number.
    pub value: String,
}

/// Changes under which a plane agrees.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// What to set, all of it.
    pub choices: Vec<Choice>,
    /// Share of the compared pixels that agree then.
    pub agreeing: f32,
}

/// A plane that does not show what is traced.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Name of the plane; "camera" for the camera itself.
    pub plane: &'static str,
    /// Share of the compared pixels that disagree under the stated convention.
    pub disagreeing: f32,
    /// The likeliest fix; none where no choice explains it.
    pub fix: Option<Fix>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.plane == CAMERA {
            write!(f, "camera is rolled")?;
        } else {
            write!(f, "{} disagrees on {:.0} % of pixels", self.plane, self.disagreeing * 100.0)?;
        }
        let Some(fix) = &self.fix else {
            return write!(
                f,
                "; no choice of the convention explains it: is the scene at the frame's revision what the engine shows?"
            );
        };
        let words: Vec<String> = fix.choices.iter().map(Choice::words).collect();
        let values: Vec<String> = fix.choices.iter().map(Choice::setting).collect();
        if self.plane == CAMERA {
            write!(f, "; it is level if {}: set {}", words.join(", "), values.join(" and "))
        } else {
            let agreeing = fix.agreeing * 100.0;
            write!(f, "; agrees on {agreeing:.0} % if {}: set {}", words.join(", "), values.join(" and "))
        }
    }
}

impl Choice {
    /// `RAYLOOM_DEPTH_REVERSED_INFINITE` as "depth encoding reversed infinite".
    fn words(&self) -> String {
        let field = self.field.replace('_', " ");
        let Some(constant) = self.value.strip_prefix("RAYLOOM_") else { return format!("{field} is {}", self.value) };
        let first = self.field.split('_').next().unwrap_or_default().to_ascii_uppercase();
        let name = constant.strip_prefix(&first).unwrap_or(constant).replace('_', " ").to_ascii_lowercase();
        format!("{field} is {}", name.trim())
    }

    fn setting(&self) -> String {
        if self.value.starts_with("RAYLOOM_") { self.value.clone() } else { format!("{} {}", self.field, self.value) }
    }
}

/// What the doctor found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnosis {
    /// One for each plane that disagrees; empty = all is right as far as can be seen.
    pub findings: Vec<Finding>,
    /// Planes that were compared, and the share of the compared pixels that agree under the stated convention. Empty where
    /// there is nothing but sky: such a frame tells nothing.
    pub compared: Vec<(&'static str, f32)>,
    /// True when every one of [`views`] was traced.
    pub searched: bool,
}

/// The name of findings about the camera.
const CAMERA: &str = "camera";
/// A plane of which this share agrees is right; the rest is edges, moving leaves and coarser geometry.
const RIGHT: f32 = 0.85;
/// How much better than the stated convention a fix must be.
const BETTER: f32 = 0.15;
/// What each change costs, in shares of pixels: of two explanations the simpler one is likelier.
const CHANGE: f32 = 0.02;
/// Fewer compared pixels than this tell nothing.
const FEWEST: usize = 48;

/// Compares a frame with what `trace` gives: the primary hits of the whole view from a camera. It is called with the first
/// of [`views`], and with each of the others where that shows another picture. At most three of them are kept at a time.
///
/// # Errors
/// [`FrameError::Convention`] for a camera or convention that is none (it names the fix where there is one),
/// [`FrameError::EnginePlane`] for planes that can't be read, [`FrameError::Plan`] for traced planes of another size; and
/// those of `trace`.
pub fn doctor<E: From<FrameError>>(
    frame: &Submitted<'_>,
    mut trace: impl FnMut(&View) -> Result<Primary, E>,
) -> Result<Diagnosis, E> {
    check(frame.planes, frame.extent)?;
    let views = views(frame)?;
    let mut traced = |view: &View| {
        let primary = trace(view)?;
        check_traced(&primary, frame.extent)?;
        Ok::<Primary, E>(primary)
    };
    let stated = traced(&views[0])?;
    let samples = samples(frame.extent);
    let mut diagnosis = Diagnosis::default();

    // Depth first: it tells where the picture was taken from, and with that what the other planes are compared with.
    let first_view = Traced::new(&stated, frame.extent, &views[0]);
    let mut best = depth::examine(frame, &views[0], &first_view, &samples);
    let disagreeing = 1.0 - best.stated;
    let seen = samples.iter().any(|(x, y)| first_view.is_surface(first_view.index(*x, *y)));
    if seen || disagreeing > 0.0 {
        diagnosis.compared.push((EnginePlaneKind::Depth.name(), best.stated));
    }
    let (mut from, mut primary) = (&views[0], stated);
    if best.stated < RIGHT && best.agreeing < RIGHT {
        diagnosis.searched = true;
        for view in &views[1..] {
            let other = traced(view)?;
            let found = depth::examine(frame, view, &Traced::new(&other, frame.extent, view), &samples);
            if found.score > best.score + CHANGE {
                (best, from, primary) = (found, view, other);
            }
        }
    }
    let explained = best.agreeing >= RIGHT || best.stated >= RIGHT;
    let convention = if explained { best.convention } else { *frame.convention };
    if disagreeing > 1.0 - RIGHT {
        let fix = (best.agreeing >= RIGHT && best.agreeing >= 1.0 - disagreeing + BETTER)
            .then(|| Fix { choices: differences::between(frame.convention, &convention), agreeing: best.agreeing });
        diagnosis.findings.push(Finding { plane: EnginePlaneKind::Depth.name(), disagreeing, fix });
    }
    if !explained {
        // Other planes would be compared with another picture.
        return Ok(diagnosis);
    }
    let scene = Traced::new(&primary, frame.extent, from);
    let first = differences::between(frame.convention, &convention);
    let mut report = |plane: &'static str, found: Option<Found>| {
        let Some(found) = found else { return };
        diagnosis.compared.push((plane, found.stated));
        if found.stated >= RIGHT {
            return;
        }
        let known = found.agreeing >= RIGHT && found.agreeing >= found.stated + BETTER;
        let choices: Vec<Choice> = differences::between(frame.convention, &found.convention);
        // What depth has already named needs no second mention.
        let choices: Vec<Choice> = choices.into_iter().filter(|choice| !first.contains(choice)).collect();
        let fix = (known && !choices.is_empty()).then_some(Fix { choices, agreeing: found.agreeing });
        // Materials of the scene may be coarser than the engine's: that alone is no fault.
        let coarse = plane == EnginePlaneKind::Albedo.name() || plane == EnginePlaneKind::RoughnessMetalness.name();
        if fix.is_some() || !coarse {
            diagnosis.findings.push(Finding { plane, disagreeing: 1.0 - found.stated, fix });
        }
    };
    let normal = surface::examine_normals(frame, &convention, from, &scene, &samples);
    let bumps = texture::examine_green(frame, &convention, from, &scene, &samples);
    // Where green explains what the normals' fields don't, it is green.
    let green = bumps.filter(|bumps| {
        bumps.agreeing >= RIGHT && normal.is_none_or(|normal| normal.agreeing < RIGHT || normal.stated >= RIGHT)
    });
    // Triangles of a mirrored scene are seen from their backs, where normals and what normal maps make of them point
    // elsewhere: they can be compared once the axes are set.
    if !from.mirrored {
        report(EnginePlaneKind::Normal.name(), green.or(normal));
    }
    report(EnginePlaneKind::Motion.name(), motion::examine(frame, &convention, from, &scene, &samples));
    report(
        EnginePlaneKind::RoughnessMetalness.name(),
        surface::examine_roughness(frame, &convention, &scene, &samples),
    );
    report(EnginePlaneKind::Albedo.name(), texture::examine_albedo(frame, &convention, &scene, &samples));
    // Normal maps lie where the other textures do: upside down they agree with nothing.
    let albedo = EnginePlaneKind::Albedo.name();
    if diagnosis.findings.iter().any(|finding| finding.plane == albedo) {
        diagnosis.findings.retain(|finding| finding.fix.is_some());
    }
    if first.is_empty() {
        diagnosis.findings.extend(views::examine_roll(frame));
    }
    Ok(diagnosis)
}

fn check_traced(primary: &Primary, extent: Extent) -> Result<(), FrameError> {
    let Primary { depth, normal, base_color, material, motion, instance_id } = primary;
    let words = [normal, base_color, material, motion, instance_id].map(Vec::len);
    match words.into_iter().chain([depth.len()]).find(|size| *size != extent.pixels()) {
        Some(size) => {
            Err(FrameError::Plan(format!("a traced plane has {size} pixels, the view has {}", extent.pixels())))
        }
        None => Ok(()),
    }
}

/// How a plane does under the stated convention and under the best one.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// Share of the compared pixels that agree under the convention that was come with.
    stated: f32,
    /// Under `convention`.
    agreeing: f32,
    /// `agreeing` less the price of the changes.
    score: f32,
    convention: Convention,
}

/// The best of conventions by the share of pixels that `agree` gives (and none where it gives none, as for the first).
fn best(from: &Convention, candidates: Vec<Convention>, agree: impl Fn(&Convention) -> Option<f32>) -> Option<Found> {
    let stated = agree(from)?;
    let mut found = Found { stated, agreeing: stated, score: stated, convention: *from };
    for convention in candidates {
        let Some(agreeing) = agree(&convention) else { continue };
        let score = agreeing - CHANGE * differences::between(from, &convention).len() as f32;
        if score > found.score {
            found = Found { agreeing, score, convention, ..found };
        }
    }
    Some(found)
}

/// A share of pixels, if there are enough to tell.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    agreeing: usize,
    all: usize,
}

impl Share {
    fn count(&mut self, agrees: bool) {
        self.all += 1;
        self.agreeing += usize::from(agrees);
    }

    fn share(self) -> Option<f32> {
        (self.all >= FEWEST).then(|| self.agreeing as f32 / self.all as f32)
    }
}

/// Primary hits from a view, as the engine's picture has its pixels.
#[derive(Clone, Copy)]
struct Traced<'a> {
    primary: &'a Primary,
    extent: Extent,
    mirrored: bool,
}

impl<'a> Traced<'a> {
    fn new(primary: &'a Primary, extent: Extent, view: &View) -> Traced<'a> {
        Traced { primary, extent, mirrored: view.mirrored }
    }

    /// Index of the pixel that shows what the engine has at (x, y).
    fn index(&self, x: u32, y: u32) -> usize {
        let x = if self.mirrored { self.extent.width - 1 - x } else { x };
        y as usize * self.extent.width as usize + x as usize
    }

    /// Indices of a pixel and those around it.
    fn around(&self, (x, y): (u32, u32)) -> impl Iterator<Item = usize> + Clone {
        let (left, right) = (x.saturating_sub(1), (x + 1).min(self.extent.width - 1));
        let (top, bottom) = (y.saturating_sub(1), (y + 1).min(self.extent.height - 1));
        let traced = *self;
        (top..=bottom).flat_map(move |y| (left..=right).map(move |x| traced.index(x, y)))
    }

    fn is_surface(&self, index: usize) -> bool {
        self.primary.depth[index].is_finite()
    }
}

/// About 6000 pixels in even distances.
fn samples(extent: Extent) -> Vec<(u32, u32)> {
    let step = ((extent.pixels() as f32 / 6000.0).sqrt().floor() as usize).max(1);
    let (columns, rows) =
        ((step as u32 / 2..extent.width).step_by(step), (step as u32 / 2..extent.height).step_by(step));
    rows.flat_map(|y| columns.clone().map(move |x| (x, y))).collect()
}

fn plane<'a>(frame: &Submitted<'a>, kind: EnginePlaneKind) -> Option<EnginePlane<'a>> {
    frame.planes.iter().find(|plane| plane.kind == kind).copied()
}
