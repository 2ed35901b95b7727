//! The line that no panic crosses.

use crate::handles::{self, SessionState};
use crate::result::{Failure, RAYLOOM_OK, RAYLOOM_PANIC, keep, rayloom_result};
use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

thread_local! {
    /// The session that the call in progress has looked up, which a panic poisons.
    static CURRENT: RefCell<Option<Arc<SessionState>>> = const { RefCell::new(None) };
}

/// Notes whose session the call in progress works on.
pub(crate) fn enter(session: &Arc<SessionState>) {
    CURRENT.with(|current| current.replace(Some(Arc::clone(session))));
}

/// Runs an exported function: keeps its error for this thread, turns a panic into RAYLOOM_PANIC and poisons the session.
pub(crate) fn call(name: &'static str, body: impl FnOnce() -> Result<(), Failure>) -> rayloom_result {
    // What a panic leaves half done lies behind the session, which is not used any more.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let result = body();
        injected_panic(name);
        result
    }));
    let session = CURRENT.with(|current| current.take());
    match outcome {
        Ok(Ok(())) => RAYLOOM_OK,
        Ok(Err(failure)) => {
            keep(format!("{name}: {}", failure.text));
            failure.result
        }
        Err(panic) => {
            let text = format!("{name}: a bug in Rayloom: {}; please report it. Destroy the session", words(&*panic));
            tracing::error!("{text}");
            if let Some(session) = session {
                handles::poison(&session, &text);
            }
            keep(text);
            RAYLOOM_PANIC
        }
    }
}

/// As [`call`] for functions that answer with a text; after a panic it is empty.
pub(crate) fn call_text(name: &'static str, body: impl FnOnce() -> *const c_char) -> *const c_char {
    catch_unwind(AssertUnwindSafe(|| {
        injected_panic(name);
        body()
    }))
    .unwrap_or(c"".as_ptr())
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}

/// In builds with debug assertions, panics in the function that RAYLOOM_TEST_PANIC names, after its work, when the session is
/// known: tests see that the host lives and that the session is not used any more.
fn injected_panic(name: &str) {
    #[cfg(debug_assertions)]
    {
        static TARGET: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
        let target = TARGET.get_or_init(|| std::env::var("RAYLOOM_TEST_PANIC").ok());
        assert!(target.as_deref() != Some(name), "RAYLOOM_TEST_PANIC asked for it");
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}
