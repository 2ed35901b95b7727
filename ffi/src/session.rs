//! Sessions and their events.

use crate::boundary;
use crate::handles::{self, SessionState};
use crate::pointer::{self, descriptor};
use crate::result::{Failure, RAYLOOM_HEADER_VERSION, RAYLOOM_NOT_READY, RAYLOOM_UNSUPPORTED, rayloom_result};
use sdk::{Embedded, Event, PeerAddress, Session, SessionDesc, StageTimes, Verification};
use std::ffi::{c_char, c_void};

/// The embedded peer is not used: without peers frames are reprojected history.
pub const RAYLOOM_EMBEDDED_NEVER: u32 = 0;
/// The embedded peer (inside this process) traces while no other can.
pub const RAYLOOM_EMBEDDED_FALLBACK: u32 = 1;
/// The embedded peer is one of the peers.
pub const RAYLOOM_EMBEDDED_ALWAYS: u32 = 2;

/// The embedded peer may be a CPU device.
pub const RAYLOOM_SESSION_EMBEDDED_ALLOW_CPU: u32 = 1;
/// Layers come back bit for bit instead of as RGB9E5: for tests and captures, costs bandwidth.
pub const RAYLOOM_SESSION_LOSSLESS: u32 = 2;
/// The planes of views with RAYLOOM_VIEW_GBUFFER are compared with what a peer traces, at most once a second and view, and
/// what a wrong convention explains is told as RAYLOOM_EVENT_CONVENTION. For development: such a frame's planes are copied,
/// and a peer traces the view once more.
pub const RAYLOOM_SESSION_VALIDATE: u32 = 4;
/// Shows where each frame's time went in Tracy, which connects to this machine's port 8086 (TRACY_PORT names another one): it listens
/// from the first such session to the process's end. RAYLOOM_UNSUPPORTED but in builds with the feature "tracy".
pub const RAYLOOM_SESSION_TRACY: u32 = 8;

/// Number of the embedded peer in events and tiles.
pub const RAYLOOM_EMBEDDED_PEER: u32 = 0xFFFF_FFFF;
/// In events: it is about no peer.
pub const RAYLOOM_NO_PEER: u32 = 0xFFFF_FFFE;

/// struct_type of rayloom_session_desc.
pub const RAYLOOM_STRUCT_SESSION_DESC: u32 = 1;
/// struct_type of rayloom_event.
pub const RAYLOOM_STRUCT_EVENT: u32 = 2;

/// A connection to peers, with scenes, views and streams.
pub struct rayloom_session {
    _private: [u8; 0],
}

/// Where a peer is.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_peer_address {
    /// "https://host:port" of its signalling; http on loopback only.
    pub url: *const c_char,
    /// Its bearer token; NULL = none.
    pub token: *const c_char,
    /// The only certificate to accept, whatever its names and dates: "sha256:" and 64 hexadecimal digits, SHA-256 of the
    /// certificate in DER, as the peer prints it at its start. NULL = the web's authorities decide.
    pub tls_pin: *const c_char,
}

/// What a session is made of.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_session_desc {
    /// RAYLOOM_STRUCT_SESSION_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_session_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// RAYLOOM_HEADER_VERSION.
    pub header_version: u32,
    /// RAYLOOM_EMBEDDED_NEVER, _FALLBACK or _ALWAYS.
    pub embedded: u32,
    /// Peers to use, numbered by their place here; the session keeps connecting to all of them. At most 64.
    pub peers: *const rayloom_peer_address,
    /// Number of peers.
    pub peer_count: u32,
    /// RAYLOOM_SESSION_ flags.
    pub flags: u32,
    /// Name or index of the embedded peer's device; NULL = the best.
    pub embedded_device: *const c_char,
    /// Frames begun and not finished, per view: 1 to 8.
    pub max_frames_in_flight: u32,
    /// Threads for the network, and as many that merge a frame together: 1 to 64.
    pub worker_threads: u32,
    /// Writes all that decides pixels to this file (replaced if it is there), to be replayed by `rayloom replay FILE`; NULL =
    /// no capture. Costs a copy of every plane and a hash of every frame.
    pub capture_path: *const c_char,
    /// Folder in which the embedded peer keeps its compiled pipelines, made where it is not there; NULL = compiled at each
    /// start.
    pub cache_dir: *const c_char,
    /// Most bytes of GPU memory that the embedded peer's buffers may take together; 0 = what there is.
    pub memory_limit: u64,
    /// Bit i: peers[i] is trusted. It may trace views with RAYLOOM_VIEW_TRUSTED_PEERS, and what it traces is not checked.
    pub trusted_peers: u64,
    /// Folder in which what proves that a peer lied is written (RAYLOOM_EVENT_PEER_CAUGHT), made where it is not there; NULL =
    /// nowhere. One that can't be written to is refused.
    pub evidence_dir: *const c_char,
    /// Writes where each frame's time went to this file (replaced if it is there), as Perfetto and chrome://tracing read it; NULL = none.
    pub timeline_path: *const c_char,
    /// Share of the tiles of other peers that are traced again by another one and compared, up to 1; 0 = 0.01, below 0 = none.
    pub verified_share: f32,
    /// 0.
    pub reserved: u32,
}
descriptor!(rayloom_session_desc, RAYLOOM_STRUCT_SESSION_DESC);

/// Connects to the peers in the background and returns at once; events tell how it goes.
///
/// Threads: any. The descriptor and everything it points to is copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_session_create(
    desc: *const rayloom_session_desc,
    session: *mut *mut rayloom_session,
) -> rayloom_result {
    boundary::call("rayloom_session_create", || {
        // SAFETY: the header's contract.
        let (desc, out) = unsafe { (pointer::read("desc", desc)?, pointer::out("session", session)?) };
        // SAFETY: the header's contract.
        let desc = unsafe { description(&desc) }?;
        out.write(handles::add_session(SessionState::new(Session::new(desc)?)));
        Ok(())
    })
}

/// Ends everything of the session: its streams, views, scenes, frames and outputs are destroyed with it (pointers into
/// outputs end too), its threads are joined. Takes up to some seconds. NULL does nothing.
///
/// Threads: any, but no other call on the session or its objects may be in progress.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_session_destroy(session: *mut rayloom_session) -> rayloom_result {
    boundary::call(
        "rayloom_session_destroy",
        || {
            if session.is_null() { Ok(()) } else { handles::remove_session(session) }
        },
    )
}

/// # Safety
/// The header's contract for the pointers inside.
unsafe fn description(desc: &rayloom_session_desc) -> Result<SessionDesc, Failure> {
    if desc.header_version >> 8 != RAYLOOM_HEADER_VERSION >> 8 {
        let version = |v: u32| format!("{}.{}", v >> 16, v >> 8 & 0xff);
        let (header, library) = (version(desc.header_version), version(RAYLOOM_HEADER_VERSION));
        let text =
            format!("desc->header_version is {header}, the library is {library}: compile with the library's header");
        return Err(Failure::new(RAYLOOM_UNSUPPORTED, text));
    }
    let embedded = match desc.embedded {
        RAYLOOM_EMBEDDED_NEVER => Embedded::Never,
        RAYLOOM_EMBEDDED_FALLBACK => Embedded::Fallback,
        RAYLOOM_EMBEDDED_ALWAYS => Embedded::Always,
        other => {
            let text = format!("desc->embedded is {other}: use RAYLOOM_EMBEDDED_NEVER, _FALLBACK or _ALWAYS");
            return Err(Failure::argument(text));
        }
    };
    let known = RAYLOOM_SESSION_EMBEDDED_ALLOW_CPU
        | RAYLOOM_SESSION_LOSSLESS
        | RAYLOOM_SESSION_VALIDATE
        | RAYLOOM_SESSION_TRACY;
    check_flags("desc->flags", desc.flags, known)?;
    if desc.peer_count > 64 {
        return Err(Failure::argument(format!("desc->peer_count is {}, allowed is 0 to 64", desc.peer_count)));
    }
    // SAFETY: the caller vouches for it; any bits are valid pointers.
    let addresses = unsafe { pointer::slice("desc->peers", desc.peers, desc.peer_count as usize) }?;
    let mut peers = Vec::new();
    for (i, address) in addresses.iter().enumerate() {
        // SAFETY: the caller vouches for it.
        let (url, token, pin) = unsafe {
            let url = pointer::text(&format!("desc->peers[{i}].url"), address.url)?;
            let token = pointer::optional_text(&format!("desc->peers[{i}].token"), address.token)?;
            (url, token, pointer::optional_text(&format!("desc->peers[{i}].tls_pin"), address.tls_pin)?)
        };
        let tls_pin = pin.map(str::parse).transpose();
        let tls_pin = tls_pin.map_err(|error| Failure::argument(format!("desc->peers[{i}].tls_pin: {error}")))?;
        peers.push(PeerAddress {
            url: url.to_owned(),
            token: token.map(str::to_owned),
            tls_pin,
            is_trusted: desc.trusted_peers >> i & 1 != 0,
        });
    }
    // SAFETY: the caller vouches for it.
    let device = unsafe { pointer::optional_text("desc->embedded_device", desc.embedded_device) }?;
    // SAFETY: the caller vouches for it.
    let capture = unsafe { pointer::optional_text("desc->capture_path", desc.capture_path) }?;
    // SAFETY: the caller vouches for it.
    let evidence = unsafe { pointer::optional_text("desc->evidence_dir", desc.evidence_dir) }?;
    // SAFETY: the caller vouches for it.
    let timeline = unsafe { pointer::optional_text("desc->timeline_path", desc.timeline_path) }?;
    let share = match desc.verified_share {
        0.0 => Verification::default().share,
        share if share < 0.0 => 0.0,
        share if share <= 1.0 => share,
        share => return Err(Failure::argument(format!("desc->verified_share is {share}, allowed is up to 1"))),
    };
    // SAFETY: the caller vouches for it.
    let cache_dir = unsafe { pointer::optional_text("desc->cache_dir", desc.cache_dir) }?;
    Ok(SessionDesc {
        peers,
        embedded,
        embedded_device: device.map(str::to_owned),
        embedded_allow_cpu: desc.flags & RAYLOOM_SESSION_EMBEDDED_ALLOW_CPU != 0,
        max_frames_in_flight: desc.max_frames_in_flight,
        worker_threads: desc.worker_threads,
        lossless: desc.flags & RAYLOOM_SESSION_LOSSLESS != 0,
        validate: desc.flags & RAYLOOM_SESSION_VALIDATE != 0,
        embedded_memory_limit: (desc.memory_limit != 0).then_some(desc.memory_limit),
        cache_dir: cache_dir.map(Into::into),
        capture: capture.map(Into::into),
        accept_stored_traces: false,
        timeline: timeline.map(Into::into),
        tracy: desc.flags & RAYLOOM_SESSION_TRACY != 0,
        inserted: StageTimes::default(),
        verification: Verification { share, evidence: evidence.map(Into::into) },
    })
}

/// Refuses flags that are not known.
pub(crate) fn check_flags(what: &str, flags: u32, known: u32) -> Result<(), Failure> {
    match flags & !known {
        0 => Ok(()),
        unknown => {
            Err(Failure::argument(format!("{what} has bits {unknown:#x}, which mean nothing here (known: {known:#x})")))
        }
    }
}

/// A peer is connected; text says what it is.
pub const RAYLOOM_EVENT_PEER_CONNECTED: u32 = 1;
/// A peer can't be reached (told once an outage; the session keeps trying); text says why and what to do.
pub const RAYLOOM_EVENT_PEER_UNREACHABLE: u32 = 2;
/// A connected peer is gone; the session keeps trying to get it back.
pub const RAYLOOM_EVENT_PEER_LOST: u32 = 3;
/// A peer missed a deadline and gets little work until it holds.
pub const RAYLOOM_EVENT_PEER_SUSPECT: u32 = 4;
/// A suspect peer holds its deadlines again.
pub const RAYLOOM_EVENT_PEER_RECOVERED: u32 = 5;
/// A peer can trace a scene revision.
pub const RAYLOOM_EVENT_SCENE_READY: u32 = 6;
/// A peer can't trace a scene revision; text says why. The last ready one stays.
pub const RAYLOOM_EVENT_SCENE_FAILED: u32 = 7;
/// The lent planes of a frame were read: the engine may write to their memory again. Ids of frames differ between views
/// where the engine wants to tell them apart here. Poll every frame: at most 256 events wait.
pub const RAYLOOM_EVENT_PLANES_RELEASED: u32 = 8;
/// With RAYLOOM_SESSION_VALIDATE: a plane of a frame is not what a peer traces of it; text says on how many pixels, and which
/// field of the convention to set to what. Told once for each different finding of a view.
pub const RAYLOOM_EVENT_CONVENTION: u32 = 9;
/// The session's capture ends before the session: text says why. All before can be replayed.
pub const RAYLOOM_EVENT_CAPTURE_FAILED: u32 = 10;
/// With RAYLOOM_SESSION_VALIDATE: the planes of a frame are what a peer traces of it. Told once a view.
pub const RAYLOOM_EVENT_CONVENTION_AGREES: u32 = 11;
/// Peers hold the scene of a view, and none is what the view asks for; told once until that changes.
pub const RAYLOOM_EVENT_UNTRACEABLE: u32 = 12;
/// A peer did not trace what it was asked for: nothing of it is used any more in this session. Text: what it did, and where what
/// proves it was written.
pub const RAYLOOM_EVENT_PEER_CAUGHT: u32 = 13;
/// A peer will go: it finishes what it has and gets nothing more.
pub const RAYLOOM_EVENT_PEER_LEAVING: u32 = 14;
/// The session's timeline ends before the session: text says why. All before can be read.
pub const RAYLOOM_EVENT_TIMELINE_FAILED: u32 = 15;
/// Something that this header does not know; text says it.
pub const RAYLOOM_EVENT_OTHER: u32 = 0xFFFF_FFFF;

/// Bytes of an event's text with its NUL.
pub const RAYLOOM_EVENT_TEXT_SIZE: usize = 512;

/// Something that happened.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_event {
    /// RAYLOOM_STRUCT_EVENT.
    pub struct_type: u32,
    /// sizeof(rayloom_event).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// A RAYLOOM_EVENT_ value.
    pub kind: u32,
    /// Place in the session's list of peers, RAYLOOM_EMBEDDED_PEER, or RAYLOOM_NO_PEER where it is about none.
    pub peer: u32,
    /// Scene revision, 0 where it is about none.
    pub revision: u64,
    /// Frame, 0 where it is about none.
    pub frame_id: u64,
    /// The event as one line for people, UTF-8, cut to fit.
    pub text: [c_char; RAYLOOM_EVENT_TEXT_SIZE],
}
descriptor!(rayloom_event, RAYLOOM_STRUCT_EVENT);

/// Takes the oldest event; RAYLOOM_NOT_READY when there is none. At most 256 wait, older ones are dropped.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_session_poll_event(
    session: *mut rayloom_session,
    event: *mut rayloom_event,
) -> rayloom_result {
    boundary::call("rayloom_session_poll_event", || {
        let state = handles::find(session)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out_struct("event", event) }?;
        let Some(event) = state.session.poll_event() else {
            return Err(Failure::new(RAYLOOM_NOT_READY, "no event waits"));
        };
        out.write(describe(&event));
        Ok(())
    })
}

/// Nanoseconds since the session was created: a clock that only grows, for rayloom_stream_submit_image among others.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_session_now(session: *mut rayloom_session, time_ns: *mut u64) -> rayloom_result {
    boundary::call("rayloom_session_now", || {
        let state = handles::find(session)?;
        // SAFETY: the header's contract.
        unsafe { pointer::out("time_ns", time_ns) }?.write(state.session.now_ns());
        Ok(())
    })
}

fn describe(event: &Event) -> rayloom_event {
    let frame_id = match event {
        Event::PlanesReleased { frame_id } | Event::Convention { frame_id, .. } => *frame_id,
        _ => 0,
    };
    let (kind, peer, revision) = match event {
        Event::PeerConnected { peer, .. } => (RAYLOOM_EVENT_PEER_CONNECTED, *peer, 0),
        Event::PeerUnreachable { peer, .. } => (RAYLOOM_EVENT_PEER_UNREACHABLE, *peer, 0),
        Event::PeerLost { peer, .. } => (RAYLOOM_EVENT_PEER_LOST, *peer, 0),
        Event::PeerSuspect { peer, .. } => (RAYLOOM_EVENT_PEER_SUSPECT, *peer, 0),
        Event::PeerRecovered { peer } => (RAYLOOM_EVENT_PEER_RECOVERED, *peer, 0),
        Event::SceneReady { revision, peer } => (RAYLOOM_EVENT_SCENE_READY, *peer, *revision),
        Event::SceneFailed { revision, peer, .. } => (RAYLOOM_EVENT_SCENE_FAILED, *peer, *revision),
        Event::PlanesReleased { .. } => (RAYLOOM_EVENT_PLANES_RELEASED, RAYLOOM_NO_PEER, 0),
        Event::Convention { agrees: false, .. } => (RAYLOOM_EVENT_CONVENTION, RAYLOOM_NO_PEER, 0),
        Event::Convention { agrees: true, .. } => (RAYLOOM_EVENT_CONVENTION_AGREES, RAYLOOM_NO_PEER, 0),
        Event::Untraceable { .. } => (RAYLOOM_EVENT_UNTRACEABLE, RAYLOOM_NO_PEER, 0),
        Event::PeerCaught { peer, .. } => (RAYLOOM_EVENT_PEER_CAUGHT, *peer, 0),
        Event::PeerLeaving { peer, .. } => (RAYLOOM_EVENT_PEER_LEAVING, *peer, 0),
        Event::CaptureFailed { .. } => (RAYLOOM_EVENT_CAPTURE_FAILED, RAYLOOM_NO_PEER, 0),
        Event::TimelineFailed { .. } => (RAYLOOM_EVENT_TIMELINE_FAILED, RAYLOOM_NO_PEER, 0),
        _ => (RAYLOOM_EVENT_OTHER, RAYLOOM_NO_PEER, 0),
    };
    let mut text = [0; RAYLOOM_EVENT_TEXT_SIZE];
    pointer::copy_text(&event.to_string(), &mut text);
    rayloom_event {
        struct_type: RAYLOOM_STRUCT_EVENT,
        struct_size: size_of::<rayloom_event>() as u32,
        next: std::ptr::null(),
        kind,
        peer,
        revision,
        frame_id,
        text,
    }
}
