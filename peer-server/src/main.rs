//! `rayloom-peer`: a ray-tracing server for Rayloom engines.

mod cli;
mod configuration;
mod doctor;

use cli::{Command, Failure, LogFormat, Options};
use configuration::Configuration;
#[cfg(unix)]
use rayloom_peer::StoredTracer;
use rayloom_peer::{
    ListenConfig, PeerConfig, PeerError, PeerServer, RendererOptions, ServerTls, ServiceConfig, list_devices,
};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use tokio::sync::watch;

fn main() -> ExitCode {
    match Configuration::read().and_then(run) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("rayloom-peer: {}", failure.reason);
            ExitCode::from(failure.code)
        }
    }
}

fn run(configuration: Configuration) -> Result<ExitCode, Failure> {
    if configuration.options.print_config {
        print!("{configuration}");
        return Ok(ExitCode::SUCCESS);
    }
    let options = configuration.options;
    if let Some(Command::Completions { shell }) = options.command {
        clap_complete::generate(shell, &mut configuration::command(), "rayloom-peer", &mut std::io::stdout());
        return Ok(ExitCode::SUCCESS);
    }
    let log = tracing_subscriber::fmt().with_env_filter(options.log.clone()).with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    for says in configuration::unknown_variables(std::env::vars_os().map(|(name, _)| name)) {
        tracing::warn!("{says}");
    }
    if let Some(Command::Doctor { json }) = options.command {
        return doctor::run(&options, json);
    }
    if options.list_devices {
        for device in list_devices().map_err(|e| Failure::from(PeerError::from(e)))? {
            println!("{device}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let signals = signals()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("rayloom-peer")
        .build()
        .map_err(|e| Failure::start(format!("the system gives no threads: {e}")))?;
    let result = runtime.block_on(serve(options, signals));
    // Threads that still hash or trace don't hold up the end.
    runtime.shutdown_background();
    if let Err(failure) = &result
        && failure.code == 3
    {
        doctor::explain_device();
    }
    result.map(|()| ExitCode::SUCCESS)
}

/// Tells of SIGINT and SIGTERM; the second one ends the process on the spot.
fn signals() -> Result<watch::Receiver<u32>, Failure> {
    let (count, signals) = watch::channel(0);
    ctrlc::set_handler(move || {
        count.send_modify(|count| *count += 1);
        if *count.borrow() > 1 {
            std::process::exit(130);
        }
    })
    .map_err(|e| Failure::start(format!("signals cannot be handled: {e}")))?;
    Ok(signals)
}

async fn serve(options: Options, mut signals: watch::Receiver<u32>) -> Result<(), Failure> {
    let (token, generated) = options.token()?;
    let cache = options.cache()?;
    let turn = options.turn()?;
    // Before the seconds that pipelines take to compile.
    let tls = options.tls(cache.dir.as_deref())?;
    if let Some(fault) = tls.as_ref().and_then(|tls| tls.validity().fault()) {
        tracing::warn!("the certificate for TLS: {fault}; only engines that pin it take it");
    }
    let pin = tls.as_ref().map(ServerTls::pin);
    let pipeline_cache = cache.dir.as_ref().map(|dir| dir.join("pipelines.bin"));
    let renderer = RendererOptions { pipeline_cache, ..options.renderer() };
    let service = ServiceConfig { cache, max_sessions: options.max_sessions, ..ServiceConfig::default() };
    let listen = ListenConfig {
        addr: options.listen,
        token: token.clone(),
        tls,
        insecure_http: options.insecure_http,
        udp_port: options.udp_port,
        tcp_port: options.tcp_port,
        advertise: options.advertise,
        stun: options.stun.clone(),
        turn,
    };
    let opened = tokio::task::spawn_blocking(move || {
        #[cfg(unix)]
        if let Some(path) = options.trace {
            let tracer = StoredTracer::open(&path).map_err(|source| PeerError::Captures { path, source })?;
            return PeerServer::with_tracer(tracer, service);
        }
        PeerServer::new(PeerConfig { renderer, measure: true, service })
    });
    let peer = tokio::select! {
        opened = opened => opened.map_err(|e| Failure::start(format!("the device could not be opened: {e}")))??,
        _ = signals.changed() => return Ok(()),
    };
    let listening = peer.listen(listen).await?;
    if generated {
        println!("token {token}");
    }
    let scheme = if pin.is_some() { "https" } else { "http" };
    if let Some(pin) = pin {
        println!("pin {pin} (SHA-256 of the certificate in DER)");
    }
    let info = peer.info();
    println!(
        "rayloom-peer ready on {scheme}://{} (device {}, front end {}, {:.2} Mrays/s)",
        listening.addr(),
        info.device,
        info.front_end,
        info.rays_per_second / 1e6
    );
    // Whoever waits for the line reads a pipe; without a reader there is nobody to tell.
    let _ = std::io::stdout().flush();
    let idle = async {
        match options.exit_when_idle {
            Some(limit) => peer.idle(|| tokio::time::sleep(limit)).await,
            None => std::future::pending().await,
        }
    };
    let failed = tokio::select! {
        _ = signals.changed() => {
            tracing::info!(engines = peer.session_count(), within = ?options.drain_within, "leaving");
            peer.drain(options.drain_within).await;
            None
        }
        () = idle => {
            tracing::info!(limit = ?options.exit_when_idle, "no engine was here for so long; ending");
            None
        }
        reason = peer.failed() => Some(reason),
    };
    drop(listening);
    peer.shutdown().await;
    match failed {
        None => Ok(()),
        Some(reason) => Err(Failure::device_lost(reason)),
    }
}
