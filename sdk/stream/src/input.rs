//! Input from the pages: parsed, checked, and kept in a bounded ring until the engine polls.

use std::collections::VecDeque;
use std::fmt;

use parking_lot::Mutex;
use serde::Deserialize;

/// Bytes a message of a page may have.
pub(crate) const MAX_INPUT_BYTES: usize = 1_024;
/// Bytes of a free text message.
const MAX_TEXT_BYTES: usize = 512;
/// Events kept for the engine.
const RING_EVENTS: usize = 1_024;
/// Keys that one viewer may hold at a time; no keyboard reports more.
const MAX_HELD_KEYS: usize = 32;
/// No mouse moves further between two messages.
const MAX_TRAVEL_PIXELS: f32 = 10_000.0;
/// Buttons have numbers 0 to 7 (W3C UI Events uses 0 to 4).
const MAX_BUTTON: u8 = 7;

/// A key by its place on the keyboard: the `code` of W3C UI Events, such as `KeyW` or `ArrowUp`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyCode {
    bytes: [u8; Self::MAX_BYTES],
    length: u8,
}

impl KeyCode {
    /// The longest name, bytes.
    pub const MAX_BYTES: usize = 24;

    /// Takes a name of 1 to 24 ASCII letters and digits.
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_BYTES).contains(&name.len());
        if !fits || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let mut bytes = [0; Self::MAX_BYTES];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Some(Self { bytes, length: name.len() as u8 })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("the constructor lets only ASCII in")
    }
}

impl fmt::Debug for KeyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something a viewer did.
#[derive(Clone, Debug, PartialEq)]
pub struct InputEvent {
    /// Which viewer: a number that no other viewer of this stream gets.
    pub viewer: u64,
    /// What it did.
    pub kind: InputKind,
}

impl Default for InputEvent {
    /// A move by nothing: a filler for the array that is polled into.
    fn default() -> Self {
        Self { viewer: 0, kind: InputKind::PointerMove { dx: 0.0, dy: 0.0 } }
    }
}

/// The kinds of input.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum InputKind {
    /// A key went down or up. A viewer that leaves releases what it held.
    Key {
        /// Which key.
        code: KeyCode,
        /// Down, or up.
        down: bool,
    },
    /// The mouse moved, relative, in CSS pixels: right and down are positive.
    PointerMove {
        /// To the right.
        dx: f32,
        /// Down.
        dy: f32,
    },
    /// A mouse button went down or up.
    PointerButton {
        /// 0 left, 1 middle, 2 right.
        button: u8,
        /// Down, or up.
        down: bool,
    },
    /// The wheel turned, in CSS pixels: right and down are positive.
    Wheel {
        /// To the right.
        dx: f32,
        /// Down.
        dy: f32,
    },
    /// A free message of the page, at most 512 bytes.
    Text(String),
}

/// The messages of a page, as JSON text.
#[derive(Deserialize)]
#[serde(tag = "t", rename_all = "lowercase", deny_unknown_fields)]
enum Message {
    Key { code: String, down: bool },
    Move { dx: f32, dy: f32 },
    Button { button: u8, down: bool },
    Wheel { dx: f32, dy: f32 },
    Text { text: String },
}

/// Reads a message of a page; `None` for anything malformed or out of range.
pub(crate) fn parse(message: &[u8]) -> Option<InputKind> {
    if message.len() > MAX_INPUT_BYTES {
        return None;
    }
    let travel = |dx: f32, dy: f32| dx.abs() <= MAX_TRAVEL_PIXELS && dy.abs() <= MAX_TRAVEL_PIXELS;
    match serde_json::from_slice(message).ok()? {
        Message::Key { code, down } => Some(InputKind::Key { code: KeyCode::new(&code)?, down }),
        Message::Move { dx, dy } if travel(dx, dy) => Some(InputKind::PointerMove { dx, dy }),
        Message::Button { button, down } if button <= MAX_BUTTON => Some(InputKind::PointerButton { button, down }),
        Message::Wheel { dx, dy } if travel(dx, dy) => Some(InputKind::Wheel { dx, dy }),
        Message::Text { text } if text.len() <= MAX_TEXT_BYTES => Some(InputKind::Text(text)),
        _ => None,
    }
}

/// Events waiting for the engine, in order.
#[derive(Debug, Default)]
pub(crate) struct InputRing {
    state: Mutex<RingState>,
}

#[derive(Debug, Default)]
struct RingState {
    events: VecDeque<InputEvent>,
    dropped: u64,
    rejected: u64,
}

impl InputRing {
    /// Adds an event. Moves of one viewer in a row become one; when the ring is full the oldest
    /// event goes, since an engine that polls again wants to know what is, not what was.
    pub(crate) fn push(&self, event: InputEvent) {
        let mut state = self.state.lock();
        if let InputKind::PointerMove { dx, dy } = event.kind
            && let Some(last) = state.events.back_mut()
            && last.viewer == event.viewer
            && let InputKind::PointerMove { dx: x, dy: y } = &mut last.kind
        {
            *x += dx;
            *y += dy;
            return;
        }
        if state.events.len() == RING_EVENTS {
            state.events.pop_front();
            state.dropped += 1;
        }
        state.events.push_back(event);
    }

    /// Counts a message that was refused.
    pub(crate) fn reject(&self) {
        self.state.lock().rejected += 1;
    }

    /// Moves the oldest events into `events` and returns how many.
    pub(crate) fn poll(&self, events: &mut [InputEvent]) -> usize {
        let mut state = self.state.lock();
        let count = events.len().min(state.events.len());
        for (slot, event) in events.iter_mut().zip(state.events.drain(..count)) {
            *slot = event;
        }
        count
    }

    /// Events thrown away, and messages refused.
    pub(crate) fn losses(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.dropped, state.rejected)
    }
}

/// What one viewer holds down, so that leaving releases it.
#[derive(Debug, Default)]
pub(crate) struct Held {
    keys: Vec<KeyCode>,
    buttons: u8,
}

impl Held {
    /// Follows an event. False if it must not be passed on: the viewer holds too many keys.
    pub(crate) fn follow(&mut self, kind: &InputKind) -> bool {
        match kind {
            InputKind::Key { code, down: true } if !self.keys.contains(code) => {
                if self.keys.len() == MAX_HELD_KEYS {
                    return false;
                }
                self.keys.push(*code);
            }
            InputKind::Key { code, down: false } => self.keys.retain(|held| held != code),
            InputKind::PointerButton { button, down } => {
                let bit = 1 << button;
                self.buttons = if *down { self.buttons | bit } else { self.buttons & !bit };
            }
            _ => {}
        }
        true
    }

    /// The events that release everything held.
    pub(crate) fn release(&mut self) -> impl Iterator<Item = InputKind> + use<> {
        let buttons = std::mem::take(&mut self.buttons);
        std::mem::take(&mut self.keys).into_iter().map(|code| InputKind::Key { code, down: false }).chain(
            (0..=MAX_BUTTON)
                .filter(move |button| buttons & (1 << button) != 0)
                .map(|button| InputKind::PointerButton { button, down: false }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(name: &str, down: bool) -> InputKind {
        InputKind::Key { code: KeyCode::new(name).unwrap(), down }
    }

    #[test]
    fn every_kind_of_message_is_read() {
        let read = |text: &str| parse(text.as_bytes());
        assert_eq!(read(r#"{"t":"key","code":"KeyW","down":true}"#), Some(key("KeyW", true)));
        assert_eq!(read(r#"{"t":"move","dx":1.5,"dy":-2}"#), Some(InputKind::PointerMove { dx: 1.5, dy: -2.0 }));
        assert_eq!(
            read(r#"{"t":"button","button":2,"down":false}"#),
            Some(InputKind::PointerButton { button: 2, down: false })
        );
        assert_eq!(read(r#"{"t":"wheel","dx":0,"dy":120}"#), Some(InputKind::Wheel { dx: 0.0, dy: 120.0 }));
        assert_eq!(read(r#"{"t":"text","text":"hi"}"#), Some(InputKind::Text("hi".to_owned())));
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        let long = format!(r#"{{"t":"text","text":"{}"}}"#, "x".repeat(MAX_TEXT_BYTES + 1));
        for bad in [
            "",
            "[]",
            r#"{"t":"key","code":"","down":true}"#,
            r#"{"t":"key","code":"Key W","down":true}"#,
            r#"{"t":"key","code":"KeyWKeyWKeyWKeyWKeyWKeyWX","down":true}"#,
            r#"{"t":"key","code":"KeyW"}"#,
            r#"{"t":"key","code":"KeyW","down":true,"extra":1}"#,
            r#"{"t":"move","dx":1e30,"dy":0}"#,
            r#"{"t":"move","dx":1e999,"dy":0}"#,
            r#"{"t":"button","button":8,"down":true}"#,
            r#"{"t":"reboot"}"#,
            &long,
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn moves_add_up_and_the_order_stays() {
        let ring = InputRing::default();
        let push = |viewer, kind| ring.push(InputEvent { viewer, kind });
        push(1, InputKind::PointerMove { dx: 1.0, dy: 2.0 });
        push(1, InputKind::PointerMove { dx: 3.0, dy: -1.0 });
        push(2, InputKind::PointerMove { dx: 5.0, dy: 5.0 });
        push(1, key("KeyW", true));
        let mut events = vec![InputEvent::default(); 2];
        assert_eq!(ring.poll(&mut events), 2);
        assert_eq!(events[0].kind, InputKind::PointerMove { dx: 4.0, dy: 1.0 });
        assert_eq!(events[1].viewer, 2);
        assert_eq!(ring.poll(&mut events), 1);
        assert_eq!(events[0].kind, key("KeyW", true));
        assert_eq!(ring.poll(&mut events), 0);
    }

    #[test]
    fn a_full_ring_keeps_the_newest() {
        let ring = InputRing::default();
        for count in 0..RING_EVENTS + 3 {
            ring.push(InputEvent { viewer: count as u64, kind: key("KeyW", true) });
        }
        assert_eq!(ring.losses(), (3, 0));
        let mut events = vec![InputEvent::default(); RING_EVENTS];
        assert_eq!(ring.poll(&mut events), RING_EVENTS);
        assert_eq!(events[0].viewer, 3);
    }

    #[test]
    fn leaving_releases_what_is_held() {
        let mut held = Held::default();
        for kind in [
            key("KeyW", true),
            key("KeyA", true),
            key("KeyW", false),
            InputKind::PointerButton { button: 2, down: true },
        ] {
            assert!(held.follow(&kind));
        }
        let released: Vec<InputKind> = held.release().collect();
        let up = InputKind::PointerButton { button: 2, down: false };
        assert_eq!(released, [key("KeyA", false), up]);
        assert_eq!(held.release().count(), 0);
    }

    #[test]
    fn a_viewer_can_not_hold_endless_keys() {
        let mut held = Held::default();
        let passed = (0..100).filter(|n| held.follow(&key(&format!("Key{n}"), true))).count();
        assert_eq!(passed, MAX_HELD_KEYS);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
