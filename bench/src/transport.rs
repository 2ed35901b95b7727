//! What a link carries: goodput, stalls, the time of a frame's tiles, CPU per gigabyte. Two runtimes, loopback, real sockets.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rayloom_transport::signalling::{SignallingConfig, listen, serve};
use rayloom_transport::webrtc::{Acceptor, DialOptions, IceConfig, SharedPort, dial};
use rayloom_transport::{Channel, Connection, LinkEvent, SendError};
use rayloom_wire::limits::{MESSAGE_BYTES, SLICE_PAYLOAD_BYTES};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::cpu_time::cpu_seconds;
use crate::report::{Report, median};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Measure five times as long.
    #[arg(long)]
    full: bool,
    /// Give each session a UDP port of its own, to see what sharing one costs.
    #[arg(long)]
    own_ports: bool,
}

/// Runs of each kind, interleaved, of which the median counts.
const RUNS: usize = 5;
/// A receiver that hears nothing for this long in the middle of a transfer has stalled.
const STALL: Duration = Duration::from_millis(100);
/// Left out at the start of a transfer: SCTP's window is still growing.
const WARM_UP: Duration = Duration::from_millis(300);
const TILES: usize = 8;
const TILE_BYTES: usize = 50_000;
const FRAME_PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 60);
const RTTS_MS: [u32; 4] = [0, 20, 40, 100];
const LOSSES_PCT: [u32; 3] = [0, 1, 5];
const NO_RELAY: &str = "delay and loss need a relay between both ends, which does not exist yet";

/// One end on each runtime, as two processes would have it; in one process, so that both share a clock.
struct Pair {
    sender: Connection,
    receiver: Connection,
    sending: Runtime,
    receiving: Runtime,
}

struct Transfer {
    mb_per_s: f64,
    cpu_s_per_gb: f64,
    stalls: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report, String> {
    let scale = if arguments.full { 5 } else { 1 };
    let (large, default) = (IceConfig::default(), IceConfig { socket_buffer_bytes: None, ..IceConfig::default() });
    let (mut frames, mut bulk, mut small, mut cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut stalls = 0;
    for _ in 0..RUNS {
        let transfer =
            Pair::open(&large, arguments.own_ports)?.transfer(Channel::Frames, Duration::from_secs(scale))?;
        frames.push(transfer.mb_per_s);
        cpu.push(transfer.cpu_s_per_gb);
        stalls += transfer.stalls;
        bulk.push(
            Pair::open(&large, arguments.own_ports)?.transfer(Channel::Bulk, Duration::from_secs(scale))?.mb_per_s,
        );
        small.push(
            Pair::open(&default, arguments.own_ports)?.transfer(Channel::Frames, Duration::from_secs(scale))?.mb_per_s,
        );
    }
    let mut tiles_ms = Pair::open(&large, arguments.own_ports)?.tiles(300 * scale as usize)?;
    tiles_ms.sort_by(f64::total_cmp);
    let p99 = tiles_ms[tiles_ms.len() * 99 / 100];

    let mut report = Report::new("transport");
    report.number("tiles_8x50k_p50_ms", median(&mut tiles_ms));
    report.number("tiles_8x50k_p99_ms", p99);
    report.number("cpu_s_per_gb", median(&mut cpu));
    report.number("stalls", stalls as f64);
    report.number("default_sockets_mb_s", median(&mut small));
    for rtt in RTTS_MS {
        for loss in LOSSES_PCT {
            for (key, measured) in
                [("goodput_mb_s", median(&mut frames)), ("sctp_goodput_mb_s", median(&mut bulk)), ("tile_p99_ms", p99)]
            {
                let key = format!("{key}.{rtt}.{loss}");
                if rtt == 0 && loss == 0 { report.number(key, measured) } else { report.unknown(key, NO_RELAY) }
            }
        }
    }
    Ok(report)
}

impl Pair {
    fn open(ice: &IceConfig, own_ports: bool) -> Result<Pair, String> {
        let runtime = || Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|e| e.to_string());
        let (sending, receiving) = (runtime()?, runtime()?);
        let (accepted_tx, mut accepted_rx) = mpsc::channel(1);
        // As a peer has it: one port for all sessions.
        let bind = async { SharedPort::bind(&ice.bind, 0, ice.socket_buffer_bytes) };
        let port = (!own_ports).then(|| receiving.block_on(bind)).transpose().map_err(|e| e.to_string())?;
        let shared = IceConfig { port, ..ice.clone() };
        let config = SignallingConfig {
            acceptor: Acceptor { ice: shared, ..Acceptor::default() },
            ..SignallingConfig::new(None, 1)
        };
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = receiving.block_on(listen(address)).map_err(|e| e.to_string())?;
        let url = format!("http://{}", listener.local_addr().map_err(|e| e.to_string())?);
        receiving.spawn(serve(listener, config, move |connection| {
            // One dialler, one place in the queue.
            let _ = accepted_tx.try_send(connection);
        }));
        let options = DialOptions { ice: Some(ice.clone()), ..DialOptions::default() };
        let sender = sending.block_on(dial(&url, None, &options)).map_err(|e| e.to_string())?;
        let receiver = receiving.block_on(accepted_rx.recv()).ok_or("the server ended")?;
        Ok(Pair { sender, receiver, sending, receiving })
    }

    /// As fast as the link takes it, for a while.
    fn transfer(self, channel: Channel, duration: Duration) -> Result<Transfer, String> {
        let Pair { sender, mut receiver, sending, receiving } = self;
        let link = sender.link.clone();
        sending.spawn(async move {
            let message = Bytes::from(vec![0x5a; MESSAGE_BYTES]);
            loop {
                match link.send(channel, message.clone()) {
                    Ok(()) => {}
                    Err(SendError::Full { .. }) if link.writable(channel).await.is_ok() => {}
                    Err(_) => return,
                }
            }
        });
        let measured = receiving.block_on(async {
            let until = Instant::now() + WARM_UP;
            while Instant::now() < until {
                receive(&mut receiver).await?;
            }
            let (start, cpu_before) = (Instant::now(), cpu_seconds());
            let (mut last, mut bytes, mut stalls) = (start, 0, 0);
            while last < start + duration {
                bytes += receive(&mut receiver).await?.len();
                let now = Instant::now();
                stalls += usize::from(now - last > STALL);
                last = now;
            }
            Ok::<_, String>(Transfer {
                mb_per_s: bytes as f64 / 1e6 / (last - start).as_secs_f64(),
                cpu_s_per_gb: (cpu_seconds() - cpu_before) / (bytes as f64 / 1e9),
                stalls,
            })
        });
        close(sender, sending, receiver, receiving);
        measured
    }

    /// Eight tiles at once, sixty times a second: milliseconds from the start of a frame until each tile is complete.
    fn tiles(self, frames: usize) -> Result<Vec<f64>, String> {
        let Pair { sender, mut receiver, sending, receiving } = self;
        let link = sender.link.clone();
        let origin = Instant::now();
        sending.spawn(async move {
            let mut clock = tokio::time::interval(FRAME_PERIOD);
            for frame in 0..frames {
                clock.tick().await;
                let sent_ns = origin.elapsed().as_nanos() as u64;
                for tile in 0..TILES {
                    let mut left = TILE_BYTES;
                    while left > 0 {
                        let bytes = left.min(SLICE_PAYLOAD_BYTES);
                        left -= bytes;
                        let mut slice = vec![0x5a; bytes.max(16)];
                        slice[..8].copy_from_slice(&((frame * TILES + tile) as u64).to_le_bytes());
                        slice[8..16].copy_from_slice(&sent_ns.to_le_bytes());
                        // A full channel would be a tile that is never complete, which ends the bench with an error.
                        if link.send(Channel::Frames, slice.into()).is_err() {
                            link.close("the channel is full");
                            return;
                        }
                    }
                }
            }
        });
        let measured = receiving.block_on(async {
            let mut arrived = vec![0; frames * TILES];
            let mut times_ms = Vec::with_capacity(frames * TILES);
            while times_ms.len() < frames * TILES {
                let slice = receive(&mut receiver).await?;
                let word = |at: usize| u64::from_le_bytes(slice[at..at + 8].try_into().expect("eight bytes"));
                let tile = word(0) as usize;
                arrived[tile] += slice.len();
                if arrived[tile] >= TILE_BYTES {
                    let now_ns = origin.elapsed().as_nanos() as u64;
                    times_ms.push((now_ns - word(8)) as f64 / 1e6);
                }
            }
            Ok::<_, String>(times_ms)
        });
        close(sender, sending, receiver, receiving);
        measured
    }
}

async fn receive(receiver: &mut Connection) -> Result<Bytes, String> {
    match receiver.events.next().await {
        Some(LinkEvent::Message(_, message)) => Ok(message),
        Some(LinkEvent::Closed { reason }) => Err(format!("the link ended: {reason}")),
        None => Err("the link had ended".to_owned()),
    }
}

/// Takes leave properly, so that the next pair starts on a quiet machine.
fn close(sender: Connection, sending: Runtime, mut receiver: Connection, receiving: Runtime) {
    sender.link.close("measured");
    receiving.block_on(async { while receiver.events.next().await.is_some() {} });
    drop((sender, receiver));
    sending.shutdown_timeout(Duration::from_secs(1));
    receiving.shutdown_timeout(Duration::from_secs(1));
}
