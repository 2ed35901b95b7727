//! Starting and ending the stream, and the engine's side of it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::encoder::Encoder;
use crate::error::StreamError;
use crate::hub::Hub;
use crate::input::InputEvent;
use crate::stats::StreamStats;
use crate::times::{InsertedTimes, PictureTimes};
use crate::{http, picture};

/// The longest message to the pages, bytes.
pub const MAX_MESSAGE_BYTES: usize = 4_096;
/// Viewers have this long to hear the goodbye.
const VIEWERS_END_TIMEOUT: Duration = Duration::from_millis(1_500);
/// And requests in flight this long to be answered.
const HTTP_END_TIMEOUT: Duration = Duration::from_millis(200);
/// Above both: the end comes even if the runtime is gone or too busy to say so.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// What a stream shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamDesc {
    /// Where to listen; port 0 takes a free one. Media sockets open on the same address, or on
    /// all of them for `0.0.0.0`.
    pub listen: SocketAddr,
    /// The bearer token that viewers must bring; without one everybody may watch.
    pub token: Option<String>,
    /// How many may watch at a time, 1 to 1,000.
    pub max_viewers: usize,
    /// The usual size, pixels; a submitted picture may have another one.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// The most pictures a second that will come, 1 to 240.
    pub max_fps: f32,
    /// Bits a second to each viewer, 50,000 to 200,000,000.
    pub bitrate_bps: u32,
    /// Pages of other origins that may watch, such as `https://play.example`; `*` for any.
    pub allow_origins: Vec<String>,
    /// Time that is spent in stages for nothing, to see that it is told where it is.
    #[doc(hidden)]
    pub inserted: InsertedTimes,
}

impl Default for StreamDesc {
    /// 1280x720 at 30 fps and 6 Mbit/s for 8 viewers on a free port of this machine alone.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            token: None,
            max_viewers: 8,
            width: 1280,
            height: 720,
            max_fps: 30.0,
            bitrate_bps: 6_000_000,
            allow_origins: Vec::new(),
            inserted: InsertedTimes::default(),
        }
    }
}

impl StreamDesc {
    fn check(&self) -> Result<(), StreamError> {
        picture::check_size(self.width, self.height)?;
        let refuse = |field, value: String, allowed| Err(StreamError::Description { field, value, allowed });
        if !(1..=1_000).contains(&self.max_viewers) {
            return refuse("max_viewers", self.max_viewers.to_string(), "1 to 1000 are allowed");
        }
        if !(1.0..=240.0).contains(&self.max_fps) {
            return refuse("max_fps", self.max_fps.to_string(), "1 to 240 are allowed");
        }
        check_bitrate(self.bitrate_bps)?;
        if self.token.as_deref().is_some_and(|token| token.trim().is_empty()) {
            return refuse("token", "empty".to_owned(), "give a token, or None to let everybody in");
        }
        Ok(())
    }
}

fn check_bitrate(bitrate_bps: u32) -> Result<(), StreamError> {
    if (50_000..=200_000_000).contains(&bitrate_bps) {
        return Ok(());
    }
    Err(StreamError::Description {
        field: "bitrate_bps",
        value: bitrate_bps.to_string(),
        allowed: "50,000 to 200,000,000 bits a second are allowed",
    })
}

/// Starts streams.
#[derive(Debug)]
pub struct StreamServer;

impl StreamServer {
    /// Opens the port, starts the encoder's thread, and serves on `runtime` until the stream is
    /// dropped. The runtime must have its I/O and time drivers enabled.
    ///
    /// # Errors
    /// [`StreamError::PortInUse`], [`StreamError::Listen`], [`StreamError::Description`],
    /// [`StreamError::PictureSize`], [`StreamError::System`]; [`StreamError::NoEncoder`] and
    /// [`StreamError::EncoderLibrary`] where the build has no encoder or its library is not there.
    pub fn start(desc: StreamDesc, runtime: &Handle) -> Result<Stream, StreamError> {
        StreamServer::start_observed(desc, runtime, |_| {})
    }

    /// [`StreamServer::start`]; `observe` is told where the time of each picture went, on the encoder's thread. A picture that is
    /// encoded again, for a viewer who joins while none comes, is not told.
    ///
    /// # Errors
    /// Those of [`StreamServer::start`].
    pub fn start_observed(
        desc: StreamDesc,
        runtime: &Handle,
        observe: impl FnMut(&PictureTimes) + Send + 'static,
    ) -> Result<Stream, StreamError> {
        desc.check()?;
        Encoder::check()?;
        let addr = desc.listen;
        let refused = |reason: std::io::Error| match reason.kind() {
            std::io::ErrorKind::AddrInUse => StreamError::PortInUse { addr },
            _ => StreamError::Listen { addr, reason },
        };
        let listener = TcpListener::bind(addr).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let local_addr = listener.local_addr().map_err(refused)?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(refused)?
        };
        let (alive, viewers) = mpsc::channel(1);
        let hub = Arc::new(Hub::new(&desc, alive));
        let encoder = {
            let hub = Arc::clone(&hub);
            std::thread::Builder::new()
                .name("rayloom-encode".to_owned())
                .spawn(move || hub.pipeline.run(|frame| hub.deliver(&frame), observe))
                .map_err(|error| StreamError::System { what: "a thread", reason: error.to_string() })?
        };
        let (ended_sender, ended) = std_mpsc::channel();
        runtime.spawn(serve(Arc::clone(&hub), listener, viewers, ended_sender));
        let closing = Mutex::new(Some(Closing { encoder, ended }));
        Ok(Stream { hub, local_addr, closing })
    }
}

/// Serves HTTP until the stream closes, then waits for the viewers' goodbyes.
async fn serve(
    hub: Arc<Hub>,
    listener: tokio::net::TcpListener,
    mut viewers: mpsc::Receiver<()>,
    _ended: std_mpsc::Sender<()>,
) {
    let mut stop = hub.stopped();
    let mut stop_http = hub.stopped();
    let server = axum::serve(listener, http::router(Arc::clone(&hub))).with_graceful_shutdown(async move {
        let _ = stop_http.wait_for(|stop| *stop).await;
    });
    let mut server = tokio::spawn(server.into_future());
    let _ = stop.wait_for(|stop| *stop).await;
    let _ = timeout(VIEWERS_END_TIMEOUT, viewers.recv()).await;
    if timeout(HTTP_END_TIMEOUT, &mut server).await.is_err() {
        server.abort();
    }
}

/// What is waited for at the end.
#[derive(Debug)]
struct Closing {
    encoder: JoinHandle<()>,
    /// Nothing is ever sent: it ends when the serving task has.
    ended: std_mpsc::Receiver<()>,
}

/// A running stream. All calls are thread-safe; dropping it is [`close`](Self::close).
#[derive(Debug)]
pub struct Stream {
    hub: Arc<Hub>,
    local_addr: SocketAddr,
    closing: Mutex<Option<Closing>>,
}

impl Stream {
    /// Where the server listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Hands a picture over: RGBA8, sRGB-coded, `height` rows of `row_pitch` bytes, opaque (alpha
    /// is ignored). `time_ns` is the engine's clock; it must increase, and becomes the RTP time.
    /// Never blocks: it converts the colours and leaves the picture in a slot, where a newer one
    /// replaces it. With no viewer it returns at once.
    ///
    /// # Errors
    /// [`StreamError::PictureSize`], [`StreamError::PictureBytes`],
    /// [`StreamError::TimeNotIncreasing`], [`StreamError::Closed`].
    pub fn submit_image(
        &self,
        rgba: &[u8],
        width: u32,
        height: u32,
        row_pitch: usize,
        time_ns: u64,
    ) -> Result<(), StreamError> {
        let watched = self.hub.watched();
        self.hub.pipeline.submit(rgba, (width, height), row_pitch, time_ns, watched)
    }

    /// Moves input events into `events`, oldest first, and returns how many. Never blocks.
    pub fn poll_input(&self, events: &mut [InputEvent]) -> usize {
        self.hub.input.poll(events)
    }

    /// Sends a text to every page, which shows it as its status line. A page that does not keep
    /// up misses it.
    ///
    /// # Errors
    /// [`StreamError::MessageTooLong`] above [`MAX_MESSAGE_BYTES`].
    pub fn send_message(&self, text: &str) -> Result<(), StreamError> {
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(StreamError::MessageTooLong { length: text.len(), limit: MAX_MESSAGE_BYTES });
        }
        let message = serde_json::json!({ "t": "message", "text": text }).to_string();
        self.hub.broadcast(&message.into());
        Ok(())
    }

    /// Changes the bitrate from the next picture on, without an IDR.
    ///
    /// # Errors
    /// [`StreamError::Description`] outside 50,000 to 200,000,000.
    pub fn set_bitrate(&self, bitrate_bps: u32) -> Result<(), StreamError> {
        check_bitrate(bitrate_bps)?;
        self.hub.pipeline.set_bitrate(bitrate_bps);
        Ok(())
    }

    /// The counters.
    pub fn stats(&self) -> StreamStats {
        self.hub.stats()
    }

    /// Ends everything: tells the viewers, closes their connections and the port, joins the
    /// encoder's thread. Waits up to three seconds; not to be called on the only thread of a
    /// current-thread runtime, which could not serve meanwhile. A second call does nothing.
    pub fn close(&self) {
        let Some(closing) = self.closing.lock().take() else {
            return;
        };
        self.hub.close();
        if closing.encoder.join().is_err() {
            tracing::error!("the encoder's thread had panicked");
        }
        if closing.ended.recv_timeout(CLOSE_TIMEOUT) == Err(std_mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("the stream's server did not end in time");
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}
