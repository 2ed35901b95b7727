//! All messages, and their first byte.

use crate::clock::{Ping, Pong};
use crate::cursor::{Reader, Writer, bounded, unknown};
use crate::{
    BlobNeed, BlobPart, CancelTasks, FrameTasks, Hello, Leaving, Refused, SceneOffer, SceneStatus, TaskRefused,
    TileDone, TileSlice, WireError, limits,
};
use bytes::Bytes;

macro_rules! messages {
    ($($number:literal $name:ident: $doc:literal),* $(,)?) => {
        /// Everything that can be said on a link.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(clippy::large_enum_variant, reason = "most messages that count are frames' tasks, the large one")]
        pub enum Message {
            $(#[doc = $doc] $name($name),)*
        }

        impl Message {
            /// The message as bytes; at most [`limits::MESSAGE_BYTES`] when its parts keep to [`limits`].
            pub fn encode(&self) -> Bytes {
                match self {
                    $(Message::$name(body) => {
                        let mut w = Writer::new($number);
                        body.write(&mut w);
                        w.finish()
                    })*
                }
            }

            /// Parses one whole message.
            ///
            /// # Errors
            /// A [`WireError`] that names the field that is wrong.
            pub fn decode(bytes: Bytes) -> Result<Message, WireError> {
                bounded("message", bytes.len(), limits::MESSAGE_BYTES)?;
                let mut r = Reader::new(bytes);
                let message = match r.u8("message.kind")? {
                    $($number => Message::$name($name::read(&mut r)?),)*
                    value => return Err(unknown("message", value)),
                };
                r.finish()?;
                Ok(message)
            }
        }
    };
}

messages! {
    1 Hello: "First, from both sides.",
    2 Refused: "Last, from the side that ends the link.",
    3 Ping: "Engine to peer: clock and round trip.",
    4 Pong: "Its answer.",
    5 Leaving: "Peer to engine: nothing new, please; what it has is finished.",
    8 SceneOffer: "Engine to peer: hold this scene revision.",
    9 BlobNeed: "Peer to engine: blobs that it lacks.",
    10 BlobPart: "Engine to peer: a piece of one.",
    11 SceneStatus: "Peer to engine: how far it is.",
    16 FrameTasks: "Engine to peer: trace these tiles.",
    17 CancelTasks: "Engine to peer: don't.",
    18 TileSlice: "Rows of a plane of a tile: traced, or the engine's own.",
    19 TileDone: "Peer to engine: all slices are sent.",
    20 TaskRefused: "Peer to engine: this task won't be done.",
}
