//! The one place for bounds on what a message may hold. A size beyond its bound is an error, never an allocation.

/// Longest message; WebRTC data channels advertise 64 KiB by default, and 60 KB leaves room for framing.
pub const MESSAGE_BYTES: usize = 60 * 1024;
/// Longest payload of one result slice.
pub const SLICE_PAYLOAD_BYTES: usize = 48 * 1024;
/// Longest piece of a blob in one message.
pub const BLOB_PART_BYTES: usize = 48 * 1024;
/// Largest blob: one mesh or one texture.
pub const BLOB_BYTES: u64 = 1 << 30;
/// Most blobs asked for in one message.
pub const BLOBS_PER_NEED: usize = 1024;
/// Longest text (names, reasons).
pub const TEXT_BYTES: usize = 1024;
/// Most tasks in one message.
pub const TASKS_PER_MESSAGE: usize = 64;
/// Most layers in one task.
pub const LAYERS: usize = 8;
/// Most moved instances in one message; more are sent as several revisions.
pub const TRANSFORMS_PER_DELTA: usize = 1000;
/// Most poses in one message.
pub const POSES_PER_DELTA: usize = 1000;
/// Most joints of one pose; characters of more are sent as revisions.
pub const JOINTS_PER_POSE: usize = 1000;
/// Most weights of morph targets of one pose.
pub const MORPH_WEIGHTS_PER_POSE: usize = 1000;
/// Most changed lights in one message.
pub const LIGHTS_PER_DELTA: usize = 256;
/// Largest side of a view in pixels.
pub const VIEW_SIDE: u32 = 16_384;
/// Most slices that one tile may be cut into.
pub const SLICES_PER_TILE: u16 = 8192;
/// Most 16x16 blocks whose cost one tile reports in one message.
pub const BLOCKS_PER_TILE: usize = 12_000;
/// Most bounces of a walk.
pub const BOUNCES: u8 = 64;
/// Most samples per pixel.
pub const SAMPLES: u8 = 64;
/// Widest filter that a task may ask of a peer, in pixels.
pub const FILTER_RADIUS: u8 = 8;

/// Views from this number on are of checks: their frames come in no order, and none is stale because another is newer.
pub const UNORDERED_VIEWS: u16 = 0xff00;
