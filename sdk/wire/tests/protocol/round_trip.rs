//! What is encoded is what is decoded, for every message.

use crate::samples;
use rayloom_wire::Message;

#[test]
fn every_message_survives_the_way() {
    for message in samples::all() {
        assert_eq!(Message::decode(message.encode()).unwrap(), message);
    }
}
