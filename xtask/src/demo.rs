//! `cargo xtask demo`: peers, a sample engine and a page, from nothing.

use crate::bar::Bar;
use crate::fleet::{self, Fleet};
use crate::install::{self, Purpose};
use crate::owned::{self, Owned};
use crate::{compile, package, run};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

const USAGE: &str = "\
usage: cargo xtask demo [OPTIONS]

  --mode state|gbuffer      peers trace what is seen themselves (the sample in C), or get it from a raster engine's
                            G-buffer (the sample in Rust); state
  --scene FILE              a .glb or .gltf; without it a generated city. Its animation plays (the space bar in the page pauses)
  --animation N             which of the file's animations, counted from 0 (0)
  --at SECONDS              what moves stands still as it is at this second (the space bar goes on)
  --peers N                 peers to start (4)
  --size WxH                pixels; without it what the machine manages at 10 fps, 1280x720 with a GPU
  --denoise[=BY]            smooths what one sample a pixel leaves noisy: on the engine's CPU, some 0.4 us a pixel; BY
                            gpu on its GPU, BY open-image by Intel's library where RAYLOOM_OIDN names it
  --tiles                   draws tile borders, peers and milliseconds (key T in the page)
  --validate                with --mode gbuffer: compares the engine's planes with what peers trace, and says so
  --view local|remote|diff  the embedded peer's picture, the peers', or the difference (keys 2, 1, 3)
  --port P                  where the page is served (8080)
  --frames N                ends after N frames
  --capture FILE            writes all that decides pixels to a file, for `cargo run -p rayloom-cli -- replay FILE`
  --trace-out FILE          writes where each frame's time went, for ui.perfetto.dev
  --tracy                   with --mode state: shows it in Tracy, which connects to 127.0.0.1:8086
  --ahead N                 with --mode state: peers trace up to 3 frames ahead, from a camera that is predicted (0)
  --png DIR                 writes the frames as PNG too
";

/// Sizes that are tried, smallest first; the smallest is used even where it is too much.
const SIZES: [(u32, u32); 7] = [(256, 144), (320, 180), (384, 216), (480, 270), (640, 360), (960, 540), (1280, 720)];
/// Rays of a pixel: one to see, one of shadow; reflection and diffuse bounce with their shadows at half resolution.
const RAYS_PER_PIXEL: f64 = 3.2;
/// Share of the cores that tracing may take; the rest is for engine, encoder and browser.
const TRACING_SHARE: f64 = 0.65;
/// Fresh frames a second that the size is chosen for.
const FPS: f64 = 10.0;
/// Triangles of the generated city.
const CITY_TRIANGLES: &str = "200000";

/// Whose primary visibility it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    State,
    GBuffer,
}

struct Options {
    mode: Mode,
    scene: Option<String>,
    peers: usize,
    size: Option<(u32, u32)>,
    port: u16,
    /// Passed on to the engine as they are.
    engine: Vec<String>,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{USAGE}");
        return Ok(());
    }
    let options = parse(arguments)?;
    install::ensure(Purpose::Demo)?;
    let engine = match options.mode {
        Mode::State => {
            let has_tracy = options.engine.iter().any(|word| word == "--tracy");
            compile::build(&["rayloom-peer", "rayloom-ffi"], if has_tracy { &["rayloom-ffi/tracy"] } else { &[] })?;
            compile_engine()?
        }
        Mode::GBuffer => {
            compile::build(&["rayloom-peer", "rayloom-sample-raster"], &[])?;
            run::target().join("debug").join("raster-engine")
        }
    };
    let gpu = has_gpu()?;
    let mut fleet = Fleet::start(options.peers, gpu)?;
    let size = options.size.unwrap_or_else(|| choose_size(&fleet, gpu));
    println!("{}x{} over {} peers", size.0, size.1, options.peers);
    let mut command = owned::command(&engine);
    for peer in &fleet.peers {
        command.args(["--peer", &peer.url]);
    }
    command.env("RAYLOOM_TOKEN", &fleet.token).args(["--size", &format!("{}x{}", size.0, size.1)]);
    command.args(["--listen", &format!("127.0.0.1:{}", options.port)]);
    match &options.scene {
        Some(scene) => command.args(["--scene", scene]),
        None => command.args(["--city", CITY_TRIANGLES]),
    };
    if !gpu {
        // Noise of half-resolution reflections and bounces is averaged over time; a CPU can't trace them at full.
        let deadline_ms = (1000 * size.0 * size.1 / (SIZES[0].0 * SIZES[0].1)).clamp(1000, 30_000);
        command.args(["--half", "--deadline-ms", &deadline_ms.to_string()]);
        command.env("LP_NUM_THREADS", "1");
    }
    command.args(&options.engine);
    let mut engine = Owned::spawn(command.stdout(Stdio::piped()))?;
    watch(engine.child.stdout.take().ok_or("the engine's output is not piped")?)?;
    let status = engine.child.wait().map_err(|error| format!("waiting for the engine failed: {error}"))?;
    fleet.end();
    if status.success() { Ok(()) } else { Err(format!("the engine ended with {status}; its last lines say why")) }
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options { mode: Mode::State, scene: None, peers: 4, size: None, port: 8080, engine: Vec::new() };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().ok_or(format!("{word} needs a value\n\n{USAGE}"));
        match word.as_str() {
            "--mode" => {
                options.mode = match value()?.as_str() {
                    "state" => Mode::State,
                    "gbuffer" => Mode::GBuffer,
                    other => return Err(format!("--mode is {other}, it may be state or gbuffer")),
                }
            }
            "--scene" => {
                let scene = value()?;
                let path = std::path::absolute(&scene).map_err(|error| format!("--scene {scene}: {error}"))?;
                if !path.is_file() {
                    return Err(format!("--scene {scene}: there is no such file"));
                }
                options.scene = Some(path.to_string_lossy().into_owned());
            }
            "--peers" => options.peers = number(word, &value()?, 1, 64)?,
            "--port" => options.port = number(word, &value()?, 0, 65_535)? as u16,
            "--size" => options.size = Some(size(&value()?)?),
            "--tracy"
            | "--tiles"
            | "--validate"
            | "--denoise"
            | "--denoise=cpu"
            | "--denoise=gpu"
            | "--denoise=open-image" => options.engine.push(word.clone()),
            "--view" => {
                let mode = value()?;
                if !["local", "remote", "diff"].contains(&mode.as_str()) {
                    return Err(format!("--view is {mode}, it may be local, remote or diff"));
                }
                options.engine.extend([word.clone(), mode]);
            }
            "--png" => {
                let folder = value()?;
                let path = std::path::absolute(&folder).map_err(|error| format!("--png {folder}: {error}"))?;
                std::fs::create_dir_all(&path).map_err(|error| format!("--png {folder}: {error}"))?;
                options.engine.extend([word.clone(), path.to_string_lossy().into_owned()]);
            }
            "--capture" | "--trace-out" => {
                let file = value()?;
                let path = std::path::absolute(&file).map_err(|error| format!("{word} {file}: {error}"))?;
                options.engine.extend([word.clone(), path.to_string_lossy().into_owned()]);
            }
            "--ahead" => options.engine.extend([word.clone(), number(word, &value()?, 0, 3)?.to_string()]),
            "--animation" => {
                options.engine.extend([word.clone(), number(word, &value()?, 0, u32::MAX as usize)?.to_string()]);
            }
            "--at" => {
                let second = value()?;
                if !second.parse().is_ok_and(|second: f64| second.is_finite() && second >= 0.0) {
                    return Err(format!("--at is {second}, it must be a number of seconds, 0 or more"));
                }
                options.engine.extend([word.clone(), second]);
            }
            "--frames" => options.engine.extend([word.clone(), number(word, &value()?, 1, usize::MAX)?.to_string()]),
            other => return Err(format!("there is no option `{other}`\n\n{USAGE}")),
        }
    }
    if options.mode == Mode::State && options.engine.iter().any(|word| word == "--validate") {
        return Err("--validate compares planes, and only --mode gbuffer has them".into());
    }
    let for_state = |word: &&String| ["--tracy", "--ahead"].contains(&word.as_str());
    match options.engine.iter().find(for_state) {
        Some(word) if options.mode == Mode::GBuffer => Err(format!("{word} is for --mode state")),
        _ => Ok(options),
    }
}

fn number(name: &str, text: &str, min: usize, max: usize) -> Result<usize, String> {
    let value = text.parse().ok().filter(|value| (min..=max).contains(value));
    value.ok_or(format!("{name} is {text}, it may be {min} to {max}"))
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let parse = |side: &str| side.parse().ok().filter(|side| (16..=3840).contains(side));
    let sides = text.split_once('x').and_then(|(w, h)| Some((parse(w)?, parse(h)?)));
    sides.ok_or(format!("--size is {text}, it must be like 640x360, each side 16 to 3840"))
}

/// Compiles `samples/c` against the header and the library just built, as any engine would.
fn compile_engine() -> Result<PathBuf, String> {
    let target = run::target();
    let folder = target.join("demo");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let engine = folder.join("engine");
    let libraries = target.join("debug");
    let mut command =
        run::command("cc", &["-std=c11", "-O2", "-Wall", "-Wextra", "-Iinclude", "samples/c/main.c", "-o"]);
    command.arg(&engine).arg(format!("-L{}", libraries.display())).arg("-lrayloom").arg("-lm");
    command.arg(format!("-Wl,-rpath,{}", libraries.display()));
    run::status(&mut command)?;
    // The library is found by its SONAME, here and wherever the folder is moved to.
    let soname = libraries.join(package::soname());
    if std::fs::read_link(&soname).ok().as_deref() != Some(Path::new("librayloom.so")) {
        _ = std::fs::remove_file(&soname);
        std::os::unix::fs::symlink("librayloom.so", &soname)
            .map_err(|error| format!("{}: {error}", soname.display()))?;
    }
    Ok(engine)
}

/// Prints the devices; true when one of them is a GPU that can be used.
fn has_gpu() -> Result<bool, String> {
    let program = fleet::program();
    let list = run::captured(&program.to_string_lossy(), &["--list-devices"])
        .ok_or("no Vulkan device was found: `rayloom-peer --list-devices` says why")?;
    print!("{list}");
    Ok(list.lines().any(|line| line.contains("Gpu,") && line.ends_with(": usable")))
}

/// The largest size that the peers' measured speed allows.
fn choose_size(fleet: &Fleet, gpu: bool) -> (u32, u32) {
    if gpu {
        return (1280, 720);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let fastest = fleet.peers.iter().map(|peer| peer.rays_per_second).fold(0.0, f64::max);
    let pixels = fastest * cores * TRACING_SHARE / (RAYS_PER_PIXEL * FPS);
    let fits = SIZES.iter().rev().find(|(w, h)| f64::from(w * h) <= pixels);
    *fits.unwrap_or(&SIZES[0])
}

/// Shows what the engine prints until it ends: its lines of a scene's way to the peers ("scene: uploading 43 %") as a
/// bar for each stage, everything else as it is.
fn watch(output: impl Read) -> Result<(), String> {
    let mut bar: Option<(String, Bar)> = None;
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("reading the engine's output failed: {error}"))?;
        match (line.strip_prefix("scene: "), &bar) {
            (None, Some((_, bar))) => bar.line(&line),
            (None, None) => println!("{line}"),
            (Some(progress), _) => {
                let (stage, fraction) = progress_of(progress);
                if bar.as_ref().is_none_or(|(current, _)| current != stage) {
                    if let Some((_, ended)) = bar.take() {
                        ended.done();
                    }
                    let ended = stage == "ready" || stage == "failed";
                    bar = (!ended).then(|| (stage.to_owned(), Bar::start(&format!("scene: {stage}"))));
                }
                if let Some((_, bar)) = &bar {
                    bar.at(fraction, "");
                }
            }
        }
    }
    Ok(())
}

/// Of "uploading 43 %" or "loading".
fn progress_of(text: &str) -> (&str, Option<f32>) {
    let Some((stage, percent)) = text.strip_suffix(" %").and_then(|text| text.rsplit_once(' ')) else {
        return (text, None);
    };
    (stage, percent.parse().ok().map(|percent: f32| percent / 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_s_progress_is_read_from_the_engine_s_lines() {
        assert_eq!(progress_of("uploading 43 %"), ("uploading", Some(0.43)));
        assert_eq!(progress_of("waiting for a peer 0 %"), ("waiting for a peer", Some(0.0)));
        assert_eq!(progress_of("loading"), ("loading", None));
    }

    #[test]
    fn the_mode_is_state_unless_another_is_named() {
        let mode =
            |words: &[&str]| parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).map(|o| o.mode);
        assert!(mode(&[]) == Ok(Mode::State) && mode(&["--mode", "gbuffer"]) == Ok(Mode::GBuffer));
        assert!(mode(&["--mode", "raster"]).is_err_and(|text| text.contains("state or gbuffer")));
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(size("640x360"), Ok((640, 360)));
        assert!(size("0x360").is_err() && size("640").is_err() && size("9999x9").is_err());
    }
}
