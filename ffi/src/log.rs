//! The log: the only thing that calls back.

use crate::boundary;
use crate::result::{Failure, RAYLOOM_INVALID_STATE, rayloom_result};
use parking_lot::{Mutex, RwLock};
use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

/// Something failed and the engine should know.
pub const RAYLOOM_LOG_ERROR: u32 = 1;
/// Something is not as it should be, work goes on.
pub const RAYLOOM_LOG_WARN: u32 = 2;
/// What happens: connections, scenes.
pub const RAYLOOM_LOG_INFO: u32 = 3;
/// Details for finding out why.
pub const RAYLOOM_LOG_DEBUG: u32 = 4;
/// Everything.
pub const RAYLOOM_LOG_TRACE: u32 = 5;

/// Takes a line of the log: the userdata given, the level (RAYLOOM_LOG_ERROR to _TRACE), the text (UTF-8, valid during the
/// call). Comes from any thread, also several at once; must not block, throw, or call a function of this library.
pub type rayloom_log_callback = Option<unsafe extern "C" fn(userdata: *mut c_void, level: u32, text: *const c_char)>;

/// Sends the log of all sessions to `callback`, up to and including `level`; NULL ends it. Afterwards the one set before is
/// never called again. Without a callback nothing is logged. Lines of libraries below come up to RAYLOOM_LOG_WARN only.
///
/// Threads: any but the callback itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_log_set_callback(
    userdata: *mut c_void,
    level: u32,
    callback: rayloom_log_callback,
) -> rayloom_result {
    boundary::call("rayloom_log_set_callback", || {
        if IN_CALLBACK.get() {
            return Err(Failure::new(
                RAYLOOM_INVALID_STATE,
                "called from the log's own callback, which must not call back",
            ));
        }
        if callback.is_some() && !(RAYLOOM_LOG_ERROR..=RAYLOOM_LOG_TRACE).contains(&level) {
            return Err(Failure::argument(format!(
                "level is {level}, it may be RAYLOOM_LOG_ERROR (1) to RAYLOOM_LOG_TRACE (5)"
            )));
        }
        install()?;
        *SINK.write() = callback.map(|function| Sink { userdata, function });
        LEVEL.store(if callback.is_some() { level } else { 0 }, Ordering::Release);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    })
}

struct Sink {
    userdata: *mut c_void,
    function: unsafe extern "C" fn(*mut c_void, u32, *const c_char),
}

// SAFETY: the header tells the host that its userdata is handed to the callback on any thread.
unsafe impl Send for Sink {}
// SAFETY: as above; several threads may call at once.
unsafe impl Sync for Sink {}

static SINK: RwLock<Option<Sink>> = RwLock::new(None);
/// 0 = nothing.
static LEVEL: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

fn install() -> Result<(), Failure> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock();
    if !*installed {
        tracing::subscriber::set_global_default(Log).map_err(|error| {
            Failure::new(RAYLOOM_INVALID_STATE, format!("the log has another receiver already: {error}"))
        })?;
        *installed = true;
    }
    Ok(())
}

/// Hands events to the callback; spans are not used.
struct Log;

impl Log {
    fn wants(metadata: &Metadata<'_>) -> bool {
        let limit = LEVEL.load(Ordering::Acquire);
        let limit = if metadata.target().starts_with("rayloom") { limit } else { limit.min(RAYLOOM_LOG_WARN) };
        number(*metadata.level()) <= limit
    }
}

fn number(level: Level) -> u32 {
    match level {
        Level::ERROR => RAYLOOM_LOG_ERROR,
        Level::WARN => RAYLOOM_LOG_WARN,
        Level::INFO => RAYLOOM_LOG_INFO,
        Level::DEBUG => RAYLOOM_LOG_DEBUG,
        Level::TRACE => RAYLOOM_LOG_TRACE,
    }
}

impl Subscriber for Log {
    // Answers are kept by the call sites until the interest cache is rebuilt, so an unwanted line costs nothing.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Log::wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Log::wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LEVEL.load(Ordering::Acquire) {
            0 => LevelFilter::OFF,
            RAYLOOM_LOG_ERROR => LevelFilter::ERROR,
            RAYLOOM_LOG_WARN => LevelFilter::WARN,
            RAYLOOM_LOG_INFO => LevelFilter::INFO,
            RAYLOOM_LOG_DEBUG => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if IN_CALLBACK.get() {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let mut bytes = line.0.into_bytes();
        bytes.retain(|byte| *byte != 0);
        let text = CString::new(bytes).expect("its zeros were taken out");
        // Held during the call: once it is replaced, the one before is not running any more.
        if let Some(sink) = &*SINK.read() {
            IN_CALLBACK.set(true);
            // SAFETY: the host gave this function for this userdata; the text is valid during the call.
            unsafe { (sink.function)(sink.userdata, number(*event.metadata().level()), text.as_ptr()) };
            IN_CALLBACK.set(false);
        }
    }
}

/// An event as one line: the message, then the other fields.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("a String takes everything");
    }
}
