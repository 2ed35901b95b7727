//! The engine's finished picture to any WHEP player, and the player's input back.
//!
//! **One picture is encoded once, however many watch, and nothing here ever waits for a viewer:**
//! pictures go through a slot that holds the newest one, each viewer has a short queue, and
//! whoever falls behind loses frames until the next IDR, not the others.
//!
//! - [`StreamServer::start`] listens on one TCP port: `POST /whep` (WHEP, draft-ietf-wish-whep)
//!   and a page with controls at `/`. Media goes over UDP, WebRTC's usual way.
//! - [`Stream::submit_image`] takes RGBA8 at the engine's pace and does not block.
//! - [`Stream::poll_input`] gives keys, mouse and text from the pages.
//!
//! ```no_run
//! # fn main() -> Result<(), rayloom_stream::StreamError> {
//! let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
//! let desc = rayloom_stream::StreamDesc { width: 640, height: 360, ..Default::default() };
//! let stream = rayloom_stream::StreamServer::start(desc, runtime.handle())?;
//! println!("watch at http://{}/", stream.local_addr());
//! let grey = vec![128_u8; 640 * 360 * 4];
//! stream.submit_image(&grey, 640, 360, 640 * 4, 1)?;
//! # Ok(())
//! # }
//! ```

#[cfg(not(any(feature = "h264", feature = "h264-runtime")))]
mod absent;
mod answer;
#[cfg(any(feature = "h264", feature = "h264-runtime"))]
mod codec;
mod encoder;
mod error;
mod frame;
mod http;
mod hub;
mod input;
mod keyframe;
#[cfg(any(feature = "h264", feature = "h264-runtime"))]
mod openh264;
mod page;
mod picture;
mod pipeline;
mod server;
mod stats;
mod times;
mod viewer;

pub use crate::encoder::{Encoded, Encoder, EncoderSettings};
pub use crate::error::StreamError;
pub use crate::input::{InputEvent, InputKind, KeyCode};
pub use crate::picture::Picture;
pub use crate::server::{MAX_MESSAGE_BYTES, Stream, StreamDesc, StreamServer};
pub use crate::stats::StreamStats;
pub use crate::times::{InsertedTimes, PICTURE_STAGES, PictureStage, PictureTimes};
