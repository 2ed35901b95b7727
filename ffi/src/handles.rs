//! Handles: numbers in the shape of pointers, looked up and never followed, so that stale ones are errors, not crashes.

use crate::boundary;
use crate::result::{Failure, RAYLOOM_INVALID_HANDLE, RAYLOOM_PANIC};
use parking_lot::RwLock;
use sdk::frame::Convention;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

/// A session and what its objects share.
pub(crate) struct SessionState {
    pub(crate) session: sdk::Session,
    /// What the panic said that poisoned it.
    poison: OnceLock<String>,
}

impl SessionState {
    pub(crate) fn new(session: sdk::Session) -> SessionState {
        SessionState { session, poison: OnceLock::new() }
    }
}

/// A scene with what its data is in.
pub(crate) struct SceneState {
    pub(crate) scene: sdk::SceneHandle,
    pub(crate) convention: Convention,
}

impl std::ops::Deref for SceneState {
    type Target = sdk::SceneHandle;

    fn deref(&self) -> &sdk::SceneHandle {
        &self.scene
    }
}

/// A view with what its cameras and planes are in, and its number of frames that wait for planes.
pub(crate) struct ViewState {
    pub(crate) view: sdk::ViewHandle,
    pub(crate) convention: Convention,
    pub(crate) open_frames: Arc<AtomicU32>,
}

/// A frame that has a handle. It keeps no view alive.
#[expect(clippy::large_enum_variant, reason = "a few are in flight, each in an allocation of its own")]
pub(crate) enum FrameState {
    /// Of a view in state mode: begun, and counted among these.
    Begun { open_frames: Arc<AtomicU32> },
    /// Of a view in G-buffer mode: it waits for planes of this size.
    Open { frame: sdk::FrameHandle, size: sdk::frame::Extent },
}

impl Drop for FrameState {
    fn drop(&mut self) {
        if let FrameState::Begun { open_frames } = self {
            open_frames.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// What a handle stands for.
#[derive(Clone)]
pub(crate) enum Object {
    Session,
    View(Arc<ViewState>),
    Scene(Arc<SceneState>),
    Frame(Arc<FrameState>),
    Output(Arc<crate::output::OutputState>),
    Stream(Arc<sdk::stream::Stream>),
}

impl Object {
    fn name(&self) -> &'static str {
        match self {
            Object::Session => "session",
            Object::View(_) => "view",
            Object::Scene(_) => "scene",
            Object::Frame(_) => "frame",
            Object::Output(_) => "output",
            Object::Stream(_) => "stream",
        }
    }
}

#[derive(Clone)]
struct Entry {
    /// Handle of the session it belongs to (its own for a session).
    owner: usize,
    session: Arc<SessionState>,
    object: Object,
}

/// Every live handle of this process.
static HANDLES: LazyLock<RwLock<HashMap<usize, Entry>>> = LazyLock::new(RwLock::default);
/// Never given twice; steps of 16 look like addresses and stay clear of NULL.
static NEXT: AtomicUsize = AtomicUsize::new(16);

/// A handle's type in the header.
pub(crate) trait Handle {
    /// What the handle is for.
    type Target;
    /// Its name in messages.
    const NAME: &'static str;
    /// The target, if the object is of this kind.
    fn target(object: &Object, session: &Arc<SessionState>) -> Option<Self::Target>;
}

macro_rules! handle {
    ($type:ty, $name:literal, $variant:ident, $target:ty) => {
        impl Handle for $type {
            type Target = $target;
            const NAME: &'static str = $name;
            fn target(object: &Object, _: &Arc<SessionState>) -> Option<$target> {
                if let Object::$variant(target) = object { Some(Arc::clone(target)) } else { None }
            }
        }
    };
}

handle!(crate::rayloom_view, "view", View, Arc<ViewState>);
handle!(crate::rayloom_scene, "scene", Scene, Arc<SceneState>);
handle!(crate::rayloom_frame, "frame", Frame, Arc<FrameState>);
handle!(crate::rayloom_output, "output", Output, Arc<crate::output::OutputState>);
handle!(crate::rayloom_stream, "stream", Stream, Arc<sdk::stream::Stream>);

impl Handle for crate::rayloom_session {
    type Target = Arc<SessionState>;
    const NAME: &'static str = "session";
    fn target(object: &Object, session: &Arc<SessionState>) -> Option<Arc<SessionState>> {
        matches!(object, Object::Session).then(|| Arc::clone(session))
    }
}

/// Registers a session.
pub(crate) fn add_session(state: SessionState) -> *mut crate::rayloom_session {
    let handle = next();
    HANDLES.write().insert(handle, Entry { owner: handle, session: Arc::new(state), object: Object::Session });
    std::ptr::without_provenance_mut(handle)
}

/// Registers an object that belongs to the same session as `parent`.
pub(crate) fn add<P: Handle, H: Handle>(parent: *const P, object: Object) -> Result<*mut H, Failure> {
    let mut handles = HANDLES.write();
    // The parent may have been destroyed by another thread meanwhile.
    let Some(Entry { owner, session, .. }) = handles.get(&parent.addr()).cloned() else {
        return Err(Failure::new(RAYLOOM_INVALID_HANDLE, format!("the {} was destroyed during the call", P::NAME)));
    };
    let handle = next();
    handles.insert(handle, Entry { owner, session, object });
    Ok(std::ptr::without_provenance_mut(handle))
}

fn next() -> usize {
    NEXT.fetch_add(16, Ordering::Relaxed)
}

/// The target of a handle whose session works; a panic from here on poisons that session.
pub(crate) fn find<H: Handle>(handle: *const H) -> Result<H::Target, Failure> {
    let (entry, target) = look_up(handle)?;
    if let Some(text) = entry.session.poison.get() {
        return Err(Failure::new(
            RAYLOOM_PANIC,
            format!("the session is not usable any more, destroy it. Before: {text}"),
        ));
    }
    boundary::enter(&entry.session);
    Ok(target)
}

/// Removes a handle, also of a poisoned session; what it stood for is dropped outside of the lock.
pub(crate) fn remove<H: Handle>(handle: *const H) -> Result<(), Failure> {
    look_up(handle)?;
    let removed = HANDLES.write().remove(&handle.addr());
    drop(removed);
    Ok(())
}

/// Removes a session and everything that belongs to it; streams and outputs go first, the session last.
pub(crate) fn remove_session(handle: *const crate::rayloom_session) -> Result<(), Failure> {
    look_up(handle)?;
    let owner = handle.addr();
    let mut removed: Vec<Entry> = {
        let mut handles = HANDLES.write();
        let of_session: Vec<usize> =
            handles.iter().filter(|(_, entry)| entry.owner == owner).map(|(key, _)| *key).collect();
        of_session.iter().filter_map(|key| handles.remove(key)).collect()
    };
    removed.sort_by_key(|entry| matches!(entry.object, Object::Session));
    // Every entry holds the session: it ends with the last of them, here.
    for entry in removed {
        drop(entry);
    }
    Ok(())
}

/// From now on calls on this session answer RAYLOOM_PANIC.
pub(crate) fn poison(session: &SessionState, text: &str) {
    // The first panic is the cause.
    let _ = session.poison.set(text.to_owned());
}

fn with_article(name: &str) -> String {
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

fn look_up<H: Handle>(handle: *const H) -> Result<(Entry, H::Target), Failure> {
    let invalid = |text| Err(Failure::new(RAYLOOM_INVALID_HANDLE, text));
    if handle.is_null() {
        return invalid(format!("the {} is NULL", H::NAME));
    }
    let Some(entry) = HANDLES.read().get(&handle.addr()).cloned() else {
        return invalid(format!("{handle:p} is no live {}: it was destroyed, released, or never created", H::NAME));
    };
    let target = H::target(&entry.object, &entry.session);
    match target {
        Some(target) => Ok((entry, target)),
        None => {
            let [is, needed] = [entry.object.name(), H::NAME].map(with_article);
            invalid(format!("{handle:p} is {is}, but {needed} is needed"))
        }
    }
}
