//! `cargo xtask demo`: peers, a sample engine and a page, from nothing.

use crate::install::{self, Purpose};
use crate::run::{self, cargo};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const USAGE: &str = "\
usage: cargo xtask demo [OPTIONS]

  --scene FILE              a .glb or .gltf; without it a generated city
  --peers N                 peers to start (4)
  --size WxH                pixels; without it what the machine manages at 10 fps, 1280x720 with a GPU
  --tiles                   draws tile borders, peers and milliseconds (key T in the page)
  --view local|remote|diff  the embedded peer's picture, the peers', or the difference (keys 2, 1, 3)
  --port P                  where the page is served (8080)
  --frames N                ends after N frames
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

struct Options {
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
    println!("building (the first time takes some minutes)");
    run::shown(&cargo(), &["build", "--package", "rayloom-peer", "--package", "rayloom-ffi"])?;
    let engine = compile_engine()?;
    let gpu = has_gpu()?;
    let mut fleet = Fleet::start(options.peers, gpu)?;
    let size = options.size.unwrap_or_else(|| choose_size(&fleet, gpu));
    println!("{}x{} over {} peers", size.0, size.1, options.peers);
    let mut command = run::command(&engine.to_string_lossy(), &[]);
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
    let mut engine = Owned::spawn(&mut command, Stdio::inherit())?;
    let status = engine.child.wait().map_err(|error| format!("waiting for the engine failed: {error}"))?;
    fleet.end();
    if status.success() { Ok(()) } else { Err(format!("the engine ended with {status}; its last lines say why")) }
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options { scene: None, peers: 4, size: None, port: 8080, engine: Vec::new() };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().ok_or(format!("{word} needs a value\n\n{USAGE}"));
        match word.as_str() {
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
            "--tiles" => options.engine.push(word.clone()),
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
            "--frames" => options.engine.extend([word.clone(), number(word, &value()?, 1, usize::MAX)?.to_string()]),
            other => return Err(format!("there is no option `{other}`\n\n{USAGE}")),
        }
    }
    Ok(options)
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
    // The library is found by its SONAME.
    let (soname, library) = (libraries.join("librayloom.so.0"), libraries.join("librayloom.so"));
    if !soname.exists() {
        std::os::unix::fs::symlink(&library, &soname).map_err(|error| format!("{}: {error}", soname.display()))?;
    }
    Ok(engine)
}

fn peer_program() -> PathBuf {
    run::target().join("debug/rayloom-peer")
}

/// Prints the devices; true when one of them is a GPU that can be used.
fn has_gpu() -> Result<bool, String> {
    let program = peer_program();
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

/// The peers that this demo started.
struct Fleet {
    token: String,
    peers: Vec<Peer>,
}

struct Peer {
    process: Owned,
    url: String,
    rays_per_second: f64,
}

impl Fleet {
    fn start(count: usize, gpu: bool) -> Result<Fleet, String> {
        let token = random_token()?;
        let mut peers = Vec::new();
        for index in 0..count {
            let cache = run::target().join(format!("demo/cache-{index}"));
            let mut command = Command::new(peer_program());
            command.args(["--listen", "127.0.0.1:0", "--log", "warn", "--cache-dir"]).arg(cache);
            command.env("RAYLOOM_TOKEN", &token);
            if !gpu {
                command.arg("--allow-cpu").env("LP_NUM_THREADS", "1");
            }
            println!("starting peer {} of {count}", index + 1);
            peers.push(Peer::start(&mut command)?);
        }
        Ok(Fleet { token, peers })
    }

    /// Asks every peer to end and waits for it.
    fn end(&mut self) {
        self.peers.iter_mut().for_each(|peer| peer.process.end());
    }
}

impl Peer {
    /// Starts a peer and waits until it says that it is ready.
    fn start(command: &mut Command) -> Result<Peer, String> {
        let mut process = Owned::spawn(command, Stdio::piped())?;
        let output = process.child.stdout.take().ok_or("the peer's output is not piped")?;
        let mut lines = BufReader::new(output).lines();
        for line in lines.by_ref() {
            let line = line.map_err(|error| format!("reading the peer's output failed: {error}"))?;
            println!("  {line}");
            if let Some(rest) = line.strip_prefix("rayloom-peer ready on ") {
                let url = rest.split_whitespace().next().unwrap_or_default().to_owned();
                let rays_per_second = mrays(rest).unwrap_or(1.0) * 1e6;
                // What it prints later is passed on, so that its pipe never fills.
                std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("  {line}")));
                return Ok(Peer { process, url, rays_per_second });
            }
        }
        Err("a peer ended before it was ready; its lines above say why".into())
    }
}

/// The number before "Mrays/s".
fn mrays(line: &str) -> Option<f64> {
    let before = line.split("Mrays/s").next().filter(|before| before.len() < line.len())?;
    before.split(|c: char| !c.is_ascii_digit() && c != '.').rfind(|word| !word.is_empty())?.parse().ok()
}

fn random_token() -> Result<String, String> {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| format!("/dev/urandom: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A process that does not outlive this one.
struct Owned {
    child: Child,
}

impl Owned {
    fn spawn(command: &mut Command, stdout: Stdio) -> Result<Owned, String> {
        // util-linux's setpriv has the kernel end the child when this process ends, however it does.
        let setpriv = Path::new("/usr/bin/setpriv");
        let mut command = if setpriv.exists() { under(setpriv, command) } else { take(command) };
        let child = command
            .stdout(stdout)
            .spawn()
            .map_err(|error| format!("`{}` could not be started: {error}", run::describe(&command)))?;
        Ok(Owned { child })
    }

    fn end(&mut self) {
        let id = self.child.id().to_string();
        if run::captured("kill", &["-TERM", &id]).is_none() && self.child.kill().is_err() {
            eprintln!("process {id} could not be ended");
        }
        if let Err(error) = self.child.wait() {
            eprintln!("waiting for process {id} failed: {error}");
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// The same command, started by setpriv.
fn under(setpriv: &Path, command: &Command) -> Command {
    let mut wrapped = Command::new(setpriv);
    wrapped.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

fn take(command: &mut Command) -> Command {
    std::mem::replace(command, Command::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_read_from_the_ready_line() {
        assert_eq!(mrays("http://127.0.0.1:1 (device llvmpipe, front end compute, 1.93 Mrays/s)"), Some(1.93));
        assert_eq!(mrays("http://127.0.0.1:1"), None);
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(size("640x360"), Ok((640, 360)));
        assert!(size("0x360").is_err() && size("640").is_err() && size("9999x9").is_err());
    }
}
