//! Streams: the engine's final picture to browsers, their input back.

use crate::boundary;
use crate::handles::{self, Object};
use crate::pointer::{self, descriptor};
use crate::result::{Failure, rayloom_result};
use crate::session::rayloom_session;
use sdk::stream::{InputEvent, InputKind, StreamDesc};
use std::ffi::{c_char, c_void};
use std::net::SocketAddr;
use std::sync::Arc;

/// struct_type of rayloom_stream_desc.
pub const RAYLOOM_STRUCT_STREAM_DESC: u32 = 17;
/// struct_type of rayloom_image_desc.
pub const RAYLOOM_STRUCT_IMAGE_DESC: u32 = 18;
/// struct_type of rayloom_stream_stats_info.
pub const RAYLOOM_STRUCT_STREAM_STATS_INFO: u32 = 19;

/// A picture that browsers watch by WebRTC (WHEP), with a page at "/".
pub struct rayloom_stream {
    _private: [u8; 0],
}

/// What a stream shall be.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_stream_desc {
    /// RAYLOOM_STRUCT_STREAM_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_stream_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// "address:port" to listen on, like "127.0.0.1:8080"; port 0 takes a free one.
    pub listen: *const c_char,
    /// Bearer token that viewers must bring; NULL = everybody may watch.
    pub token: *const c_char,
    /// Other origins whose pages may watch, like "https://play.example".
    pub origins: *const *const c_char,
    /// Number of origins.
    pub origin_count: u32,
    /// How many may watch at a time: 1 to 1000.
    pub max_viewers: u32,
    /// Usual width in pixels: 16 to 3840.
    pub width: u32,
    /// Usual height in pixels: 16 to 2160.
    pub height: u32,
    /// Bits a second to each viewer: 50000 to 200000000.
    pub bitrate_bps: u32,
    /// The most pictures a second that will come: 1 to 240.
    pub max_fps: f32,
}
descriptor!(rayloom_stream_desc, RAYLOOM_STRUCT_STREAM_DESC);

/// Opens the port and starts the encoder.
///
/// Threads: any. The descriptor and everything it points to is copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_stream_start(
    session: *mut rayloom_session,
    desc: *const rayloom_stream_desc,
    stream: *mut *mut rayloom_stream,
) -> rayloom_result {
    boundary::call("rayloom_stream_start", || {
        let state = handles::find(session)?;
        // SAFETY: the header's contract.
        let (desc, out) = unsafe { (pointer::read("desc", desc)?, pointer::out("stream", stream)?) };
        // SAFETY: the header's contract.
        let desc = unsafe { description(&desc) }?;
        let stream = state.session.start_stream(desc)?;
        out.write(handles::add(session, Object::Stream(Arc::new(stream)))?);
        Ok(())
    })
}

/// # Safety
/// The header's contract for the pointers inside.
unsafe fn description(desc: &rayloom_stream_desc) -> Result<StreamDesc, Failure> {
    if desc.origin_count > 64 {
        return Err(Failure::argument(format!("desc->origin_count is {}, allowed is 0 to 64", desc.origin_count)));
    }
    // SAFETY: the caller vouches for it; any bits are valid pointers.
    let (listen, token, origins) = unsafe {
        let listen = pointer::text("desc->listen", desc.listen)?;
        let token = pointer::optional_text("desc->token", desc.token)?;
        let origins = pointer::slice("desc->origins", desc.origins, desc.origin_count as usize)?;
        let origins = origins
            .iter()
            .enumerate()
            .map(|(i, origin)| pointer::text(&format!("desc->origins[{i}]"), *origin).map(str::to_owned));
        (listen, token, origins.collect::<Result<Vec<_>, _>>()?)
    };
    let listen: SocketAddr = listen.parse().map_err(|_| {
        Failure::argument(format!(
            "desc->listen is {listen:?}, it must be an IP address and a port like 127.0.0.1:8080"
        ))
    })?;
    Ok(StreamDesc {
        listen,
        token: token.map(str::to_owned),
        max_viewers: desc.max_viewers as usize,
        width: desc.width,
        height: desc.height,
        max_fps: desc.max_fps,
        bitrate_bps: desc.bitrate_bps,
        allow_origins: origins,
        ..StreamDesc::default()
    })
}

/// Tells the viewers, closes the port, joins the encoder. Takes up to seconds. NULL does nothing.
///
/// Threads: any, but no other call on the stream may be in progress.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_stream_destroy(stream: *mut rayloom_stream) -> rayloom_result {
    boundary::call("rayloom_stream_destroy", || if stream.is_null() { Ok(()) } else { handles::remove(stream) })
}

/// Where the stream listens, as "address:port" with the real port. Writes at most `capacity` bytes with the NUL, cut to
/// fit; `length` (may be NULL) becomes the whole length without the NUL.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_stream_address(
    stream: *mut rayloom_stream,
    capacity: usize,
    text: *mut c_char,
    length: *mut usize,
) -> rayloom_result {
    boundary::call("rayloom_stream_address", || {
        let address = handles::find(stream)?.local_addr().to_string();
        // SAFETY: the header's contract.
        unsafe { pointer::write_text(&address, capacity, text, length) }
    })
}

/// A finished picture: RGBA8, sRGB-coded, rows from the top; alpha is ignored.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_image_desc {
    /// RAYLOOM_STRUCT_IMAGE_DESC.
    pub struct_type: u32,
    /// sizeof(rayloom_image_desc).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// First byte of the top row; row_pitch x (height - 1) + 4 x width bytes are read.
    pub pixels: *const u8,
    /// Bytes from one row to the next: 4 x width or more.
    pub row_pitch: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}
descriptor!(rayloom_image_desc, RAYLOOM_STRUCT_IMAGE_DESC);

/// Shows a picture. `time_ns` is the engine's clock, which must grow from call to call. A picture that the encoder has not
/// taken yet is replaced; without viewers nothing is done.
///
/// Threads: any, a render thread among them. Never blocks; converts the colours before it returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_stream_submit_image(
    stream: *mut rayloom_stream,
    image: *const rayloom_image_desc,
    time_ns: u64,
) -> rayloom_result {
    boundary::call("rayloom_stream_submit_image", || {
        let stream = handles::find(stream)?;
        // SAFETY: the header's contract.
        let image = unsafe { pointer::read("image", image) }?;
        let row = u64::from(image.width) * 4;
        if image.width == 0 || image.height == 0 || image.row_pitch < row {
            let text =
                format!("image is {}x{} with a row pitch of {} bytes", image.width, image.height, image.row_pitch);
            return Err(Failure::argument(format!("{text}: it needs pixels, and {row} bytes a row")));
        }
        let size = image.row_pitch.checked_mul(u64::from(image.height) - 1).and_then(|size| size.checked_add(row));
        let size = size.and_then(|size| usize::try_from(size).ok());
        let size =
            size.ok_or_else(|| Failure::argument(format!("image->row_pitch is {}, too much", image.row_pitch)))?;
        // SAFETY: the header's contract; any byte is valid.
        let pixels = unsafe { pointer::slice("image->pixels", image.pixels, size) }?;
        Ok(stream.submit_image(pixels, image.width, image.height, image.row_pitch as usize, time_ns)?)
    })
}

/// A key went down or up: text is its place on the keyboard, like "KeyW" (code of W3C UI Events).
pub const RAYLOOM_INPUT_KEY: u32 = 1;
/// The mouse moved by dx, dy CSS pixels.
pub const RAYLOOM_INPUT_POINTER_MOVE: u32 = 2;
/// A mouse button went down or up.
pub const RAYLOOM_INPUT_POINTER_BUTTON: u32 = 3;
/// The wheel turned by dx, dy CSS pixels.
pub const RAYLOOM_INPUT_WHEEL: u32 = 4;
/// A free message of the page.
pub const RAYLOOM_INPUT_TEXT: u32 = 5;
/// Something that this header does not know.
pub const RAYLOOM_INPUT_OTHER: u32 = 0xFFFF_FFFF;

/// Bytes of an input event's text with its NUL.
pub const RAYLOOM_INPUT_TEXT_SIZE: usize = 520;

/// Something that a viewer did.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_input_event {
    /// Which viewer: a number that no other viewer of this stream gets.
    pub viewer: u64,
    /// A RAYLOOM_INPUT_ value.
    pub kind: u32,
    /// 1 down, 0 up, of a key or button.
    pub down: u32,
    /// 0 left, 1 middle, 2 right.
    pub button: u32,
    /// To the right.
    pub dx: f32,
    /// Down.
    pub dy: f32,
    /// 0.
    pub reserved: u32,
    /// A key's name or a message, UTF-8; empty otherwise.
    pub text: [c_char; RAYLOOM_INPUT_TEXT_SIZE],
}

/// Moves up to `capacity` input events, oldest first, into `events`, and their number into `count`.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_stream_poll_input(
    stream: *mut rayloom_stream,
    capacity: u32,
    events: *mut rayloom_input_event,
    count: *mut u32,
) -> rayloom_result {
    boundary::call("rayloom_stream_poll_input", || {
        let stream = handles::find(stream)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out("count", count) }?;
        // SAFETY: the header's contract; the slots are only written, and any bits are valid anyway.
        let slots = unsafe { pointer::slice_mut("events", events, capacity as usize) }?;
        let mut polled = [const { InputEvent { viewer: 0, kind: InputKind::PointerMove { dx: 0.0, dy: 0.0 } } }; 16];
        let mut total = 0;
        while total < slots.len() {
            let wanted = polled.len().min(slots.len() - total);
            let got = stream.poll_input(&mut polled[..wanted]);
            for (slot, event) in slots[total..].iter_mut().zip(&polled[..got]) {
                *slot = translate(event);
            }
            total += got;
            if got < wanted {
                break;
            }
        }
        out.write(total as u32);
        Ok(())
    })
}

fn translate(event: &InputEvent) -> rayloom_input_event {
    let mut input = rayloom_input_event {
        viewer: event.viewer,
        kind: RAYLOOM_INPUT_OTHER,
        down: 0,
        button: 0,
        dx: 0.0,
        dy: 0.0,
        reserved: 0,
        text: [0; RAYLOOM_INPUT_TEXT_SIZE],
    };
    match &event.kind {
        InputKind::Key { code, down } => {
            (input.kind, input.down) = (RAYLOOM_INPUT_KEY, (*down).into());
            pointer::copy_text(code.as_str(), &mut input.text);
        }
        InputKind::PointerMove { dx, dy } => (input.kind, input.dx, input.dy) = (RAYLOOM_INPUT_POINTER_MOVE, *dx, *dy),
        InputKind::PointerButton { button, down } => {
            (input.kind, input.button, input.down) = (RAYLOOM_INPUT_POINTER_BUTTON, (*button).into(), (*down).into());
        }
        InputKind::Wheel { dx, dy } => (input.kind, input.dx, input.dy) = (RAYLOOM_INPUT_WHEEL, *dx, *dy),
        InputKind::Text(text) => {
            input.kind = RAYLOOM_INPUT_TEXT;
            pointer::copy_text(text, &mut input.text);
        }
        _ => {}
    }
    input
}

/// Sends a text (at most 4096 bytes) to every page, which shows it as its status line.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_stream_send_message(
    stream: *mut rayloom_stream,
    text: *const c_char,
) -> rayloom_result {
    boundary::call("rayloom_stream_send_message", || {
        let stream = handles::find(stream)?;
        // SAFETY: the header's contract.
        let text = unsafe { pointer::text("text", text) }?;
        Ok(stream.send_message(text)?)
    })
}

/// Counters of a stream since its start.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct rayloom_stream_stats_info {
    /// RAYLOOM_STRUCT_STREAM_STATS_INFO.
    pub struct_type: u32,
    /// sizeof(rayloom_stream_stats_info).
    pub struct_size: u32,
    /// NULL.
    pub next: *const c_void,
    /// Pictures submitted, watched or not.
    pub submitted: u64,
    /// Pictures encoded.
    pub encoded: u64,
    /// Pictures replaced by a newer one before the encoder took them.
    pub dropped: u64,
    /// Frames not sent to a viewer that was behind, over all viewers.
    pub late: u64,
    /// Encoded frames that a decoder can start at.
    pub idr: u64,
    /// Encoded bytes.
    pub bytes: u64,
    /// Viewers connected now.
    pub viewers: u32,
    /// Frames encoded a second, over the last two seconds.
    pub fps: f32,
    /// Median milliseconds of encoding one picture as H.264, over the last 120.
    pub encode_ms: f32,
    /// Of its colours to what the encoder takes, on the caller's thread.
    pub convert_ms: f32,
    /// Of its waiting for the encoder.
    pub wait_ms: f32,
    /// Of cutting it into packets and handing them to viewers' senders.
    pub packetise_ms: f32,
}
descriptor!(rayloom_stream_stats_info, RAYLOOM_STRUCT_STREAM_STATS_INFO);

/// The counters.
///
/// Threads: any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rayloom_stream_stats(
    stream: *mut rayloom_stream,
    stats: *mut rayloom_stream_stats_info,
) -> rayloom_result {
    boundary::call("rayloom_stream_stats", || {
        let stream = handles::find(stream)?;
        // SAFETY: the header's contract.
        let out = unsafe { pointer::out_struct("stats", stats) }?;
        let stats = stream.stats();
        out.write(rayloom_stream_stats_info {
            struct_type: RAYLOOM_STRUCT_STREAM_STATS_INFO,
            struct_size: size_of::<rayloom_stream_stats_info>() as u32,
            next: std::ptr::null(),
            submitted: stats.submitted,
            encoded: stats.encoded,
            dropped: stats.dropped,
            late: stats.late,
            idr: stats.idr,
            bytes: stats.bytes,
            viewers: stats.viewers as u32,
            fps: stats.fps,
            encode_ms: stats.encode_ms,
            convert_ms: stats.convert_ms,
            wait_ms: stats.wait_ms,
            packetise_ms: stats.packetise_ms,
        });
        Ok(())
    })
}
