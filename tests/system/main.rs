//! The whole way with real processes: an engine in this one, `rayloom-peer` in others, browsers at the end. One behaviour
//! a file; what they share is in `fleet` (peer processes), `networks` (namespaces) and `engine` (a session that begins frames and
//! takes them).

mod engine;
mod fleet;

mod any_cut_gives_the_same_bits;
mod bad_scene_files;
mod broken_captures;
mod c_engine;
mod captured;
mod command_line;
mod killed_peer;
mod leaving_peer;
mod networks;
mod raster_engine;
mod refused_tokens;
mod relayed_data;
mod restarted_peers;
mod sanitized_samples;
mod soak;
mod stopped_peer;
mod stored_captures;
mod streamed_picture;
mod two_networks;
mod uploads_once;
mod version_mismatch;
