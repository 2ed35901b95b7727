//! A run as a picture: each peer's timeline; the last frame's tiles, what its blocks cost, what they were predicted to cost, and how
//! far off its tiles' times were.

use super::{Recording, Simulation, Span};
use crate::{PeerId, Time};
use rayloom_frame::features::BLOCK_SIZE;
use std::fmt::Write;

/// Width of the picture.
const WIDTH: f64 = 1200.0;
/// Of a peer's row.
const ROW: f64 = 14.0;
/// Most peers that have a row, and most tiles that are drawn.
const ROWS: usize = 64;
const SPANS: usize = 20_000;

/// An SVG of the last `frames` of a run on a recording.
pub fn svg(run: &Simulation, recording: &Recording, frames: usize) -> String {
    let shown = &run.frames[run.frames.len().saturating_sub(frames)..];
    let from = shown.first().map_or(Time(0), |frame| frame.begun);
    let last = |end: Time, frame: &super::FrameRecord| frame.ended.map_or(end, |(at, _)| end.max(at));
    let until = shown.iter().fold(from, last);
    let spans: Vec<&Span> =
        run.spans.iter().filter(|span| span.ended >= from && span.begun <= until).take(SPANS).collect();
    let rows = run.coordinator.peers().count().min(ROWS);
    let (left, top) = (70.0, 30.0);
    let timeline = ROW * rows as f64;
    let map_width = (WIDTH - left - 20.0) / 2.0;
    let scale = map_width / f64::from(recording.extent.width);
    let map_height = f64::from(recording.extent.height) * scale;
    let height = top + timeline + 60.0 + 2.0 * map_height + 60.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{left}\" y=\"16\">peers' work on {} frames, {:.0} ms; a hue is a frame, what is pale is redundant</text>\n",
        shown.len(),
        until.ns_since(from) as f64 * 1e-6
    );
    let x = |at: Time| left + at.ns_since(from) as f64 / until.ns_since(from).max(1) as f64 * (WIDTH - left - 10.0);
    for row in 0..rows {
        let y = top + ROW * row as f64;
        let _ = writeln!(out, "<text x=\"4\" y=\"{:.1}\">peer {row}</text>", y + ROW - 4.0);
    }
    for span in spans.iter().filter(|span| (span.peer.0 as usize) < rows) {
        let (a, b, y) = (x(span.begun.max(from)), x(span.ended.min(until)), top + ROW * f64::from(span.peer.0));
        let (width, opacity) = ((b - a).max(0.3), if span.redundant { 0.35 } else { 0.9 });
        let hue = span.frame_id * 47 % 360;
        let _ = writeln!(
            out,
            "<rect x=\"{a:.2}\" y=\"{:.1}\" width=\"{width:.2}\" height=\"{:.1}\" fill=\"hsl({hue},60%,55%)\" opacity=\"{opacity}\"/>",
            y + 1.0,
            ROW - 2.0
        );
    }
    for frame in shown {
        if let Some((at, is_complete)) = frame.ended {
            let colour = if is_complete { "#222" } else { "#d00" };
            let _ = writeln!(
                out,
                "<line x1=\"{0:.2}\" y1=\"{top}\" x2=\"{0:.2}\" y2=\"{1:.1}\" stroke=\"{colour}\" stroke-width=\"0.6\"/>",
                x(at),
                top + timeline
            );
        }
    }
    let y = top + timeline + 40.0;
    if let Some(frame) = shown.last() {
        let _ = writeln!(
            out,
            "<text x=\"{left}\" y=\"{:.1}\">cost of each block of frame {}</text>",
            y - 8.0,
            frame.frame_id
        );
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\">its tiles, a hue is a peer</text>",
            left + map_width + 10.0,
            y - 8.0
        );
        let truth = recording.truth(frame.frame_id, 1.0).ns_per_px;
        costs(&mut out, recording, &truth, (left, y), scale);
        let below = y + map_height + 30.0;
        let _ = writeln!(
            out,
            "<text x=\"{left}\" y=\"{:.1}\">what was predicted, of the same sum</text>\
             <text x=\"{:.1}\" y=\"{:.1}\">longer (red) or shorter (blue) than predicted, percent</text>",
            below - 8.0,
            left + map_width + 10.0,
            below - 8.0
        );
        if let Some((_, predicted)) = run.predictions.iter().find(|(id, _)| *id == frame.frame_id) {
            let sum = |values: &[f32]| values.iter().sum::<f32>().max(f32::MIN_POSITIVE);
            let factor = sum(&truth) / sum(predicted);
            let scaled: Vec<f32> = predicted.iter().map(|ns| ns * factor).collect();
            costs(&mut out, recording, &scaled, (left, below), scale);
        }
        errors(&mut out, frame, (left + map_width + 10.0, below), scale);
        for tile in &frame.plan.tiles {
            let r = tile.rect;
            let (tx, ty) = (left + map_width + 10.0 + f64::from(r.x) * scale, y + f64::from(r.y) * scale);
            let _ = writeln!(
                out,
                "<rect x=\"{tx:.1}\" y=\"{ty:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"hsl({},55%,70%)\" stroke=\"#222\" stroke-width=\"0.7\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                f64::from(r.width) * scale,
                f64::from(r.height) * scale,
                hue(tile.peer),
                tx + 3.0,
                ty + 12.0,
                tile.peer.0
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Nanoseconds a pixel of each block, dear is dark.
fn costs(out: &mut String, recording: &Recording, ns_per_px: &[f32], (left, top): (f64, f64), scale: f64) {
    let most = ns_per_px.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let across = recording.extent.scaled(BLOCK_SIZE).width as usize;
    let side = f64::from(BLOCK_SIZE) * scale;
    for (block, ns) in ns_per_px.iter().enumerate() {
        let light = 96.0 - 80.0 * f64::from(ns / most).sqrt();
        let (x, y) = (left + (block % across) as f64 * side, top + (block / across) as f64 * side);
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.2}\" height=\"{side:.2}\" fill=\"hsl(15,80%,{light:.0}%)\"/>"
        );
    }
}

/// Each tile's time over what was predicted: full colour at twice and half.
fn errors(out: &mut String, frame: &super::FrameRecord, (left, top): (f64, f64), scale: f64) {
    for ((_, predicted_ns, took_ns), rect) in frame.tiles.iter().zip(&frame.rects) {
        let ratio = *took_ns as f64 / (*predicted_ns).max(1) as f64;
        let (hue, strength) = (if ratio > 1.0 { 5 } else { 220 }, ratio.log2().abs().min(1.0));
        let (x, y) = (left + f64::from(rect.x) * scale, top + f64::from(rect.y) * scale);
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"hsl({hue},80%,{:.0}%)\" stroke=\"#222\" stroke-width=\"0.7\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{:+.0}</text>",
            f64::from(rect.width) * scale,
            f64::from(rect.height) * scale,
            94.0 - 44.0 * strength,
            x + 3.0,
            y + 12.0,
            100.0 * (ratio - 1.0)
        );
    }
}

/// Golden angles: neighbours differ.
fn hue(peer: PeerId) -> u32 {
    (f64::from(peer.0) * 137.508 % 360.0) as u32
}
