//! An engine that is killed: this program again, as a process of its own, and how long its peer holds its session after that.

use super::run::text;
use crate::peers::{Peers, TOKEN, program};
use rayloom::frame::Extent;
use rayloom::scene::city::city;
use rayloom::{Embedded, FrameDesc, PeerAddress, Session, SessionDesc, ViewDesc};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the peer is.
    #[arg(long)]
    peer: String,
}

const SIZE: Extent = Extent::new(160, 90);
const PERIOD: Duration = Duration::from_millis(33);
/// Long for a frame of this size; that it comes is what counts.
const DEADLINE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
/// A peer without a session ends after this long.
const IDLE: Duration = Duration::from_secs(1);
/// What an engine says once its peer traces.
const TRACES: &str = "traces";

/// Begins frames until it is killed.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match frames(&arguments.peer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn frames(peer: &str) -> Result<(), String> {
    let session = Session::new(SessionDesc {
        peers: vec![PeerAddress::parse(peer, Some(TOKEN)).map_err(text)?],
        embedded: Embedded::Never,
        ..SessionDesc::default()
    })
    .map_err(text)?;
    let source = city(20_000, 1);
    let camera = source.default_camera(SIZE.width as f32 / SIZE.height as f32);
    let scene = session.create_scene();
    scene.replace(source).map_err(text)?;
    let revision = scene.commit().map_err(text)?;
    let mut desc = ViewDesc::new(SIZE);
    desc.layers.iter_mut().for_each(|layer| layer.deadline = DEADLINE);
    let view = session.create_view(desc).map_err(text)?;
    let (mut traces, start) = (false, Instant::now());
    for frame_id in 0.. {
        view.begin_frame(FrameDesc::new(frame_id, revision, camera)).map_err(text)?;
        if view.acquire(frame_id, Duration::MAX).map_err(text)?.fresh > 0.0 && !traces {
            traces = true;
            println!("{TRACES}");
        }
        if !traces && start.elapsed() > PATIENCE {
            return Err(format!("its peer traced nothing within {PATIENCE:?}"));
        }
        std::thread::sleep(PERIOD);
    }
    Ok(())
}

/// Seconds from an engine's death to when its peer holds no session any more.
pub(super) fn freed_after() -> Result<f64, String> {
    let idle = format!("{}s", IDLE.as_secs());
    let mut peers = Peers::start(1, &["--exit-when-idle", &idle])?;
    let mut command = Command::new(program("rayloom-bench")?);
    command.args(["faults-engine", "--peer", &peers.addresses[0].url]).stdout(Stdio::piped());
    let mut engine = Engine(command.spawn().map_err(|error| format!("the engine does not start: {error}"))?);
    let output = engine.0.stdout.take().ok_or("the engine's output is not piped")?;
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    lines.find(|line| line == TRACES).ok_or("the engine ended before its peer traced; its lines above say why")?;
    let killed = Instant::now();
    engine.0.kill().map_err(|error| format!("the engine can't be killed: {error}"))?;
    peers.wait(0)?;
    Ok((killed.elapsed().saturating_sub(IDLE)).as_secs_f64())
}

/// Killed and waited for when dropped.
struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait().map(drop)) {
            eprintln!("the engine could not be ended: {error}");
        }
    }
}
