//! Forged, cut and mutated messages are errors that name the field; they never panic.

use crate::samples;
use bytes::Bytes;
use proptest::prelude::*;
use rayloom_wire::{Message, VERSION, VersionRange, WireError};

#[test]
fn every_cut_is_noticed() {
    for message in samples::all() {
        let bytes = message.encode();
        for length in 0..bytes.len() {
            // Messages that end with raw bytes are legal with fewer of them; every other cut is an error.
            if let Ok(cut) = Message::decode(bytes.slice(..length)) {
                assert!(matches!(cut, Message::BlobPart(_) | Message::TileSlice(_)), "{cut:?}");
            }
        }
    }
}

#[test]
fn errors_name_the_field_and_the_value() {
    let mut raw = samples::all()[12].encode().to_vec();
    raw[23] = 0;
    raw[24] = 0;
    let error = Message::decode(raw.into()).unwrap_err();
    assert_eq!(error.to_string(), "tasks.extent is 0x1080, allowed is 1x1 to 16384x16384");
}

#[test]
fn unknown_kinds_are_refused_by_name() {
    let error = Message::decode(Bytes::from_static(&[250, 1, 2])).unwrap_err();
    assert!(matches!(error, WireError::Unknown { what: "message", value: 250, .. }), "{error}");
    let VersionRange { min, max } = VERSION;
    assert!(error.to_string().contains(&format!("versions {min} to {max}")), "{error}");
}

proptest! {
    #[test]
    fn mutated_messages_never_panic(which in 0_usize..19, at in any::<prop::sample::Index>(), value: u8, more: Vec<u8>) {
        let all = samples::all();
        let mut raw = all[which % all.len()].encode().to_vec();
        let at = at.index(raw.len());
        raw[at] = value;
        let _ = Message::decode(raw.clone().into());
        raw.truncate(at);
        raw.extend(more);
        let _ = Message::decode(raw.into());
    }

    #[test]
    fn noise_never_panics(raw: Vec<u8>) {
        let _ = Message::decode(raw.into());
    }
}
