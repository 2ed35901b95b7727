//! A frame's state stays under 1 KB: moving camera, 8 moving objects, 4 moving lights, 4 layers, 4 tiles.

use crate::samples;
use rayloom_wire::Message;

#[test]
fn a_busy_frame_is_under_one_kilobyte() {
    let bytes = Message::FrameTasks(samples::busy_frame()).encode().len();
    assert!(bytes < 1000, "{bytes} bytes");
}
