//! Why bytes from the other side were refused; the sender is at fault.

/// A message that does not follow the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The message ended inside a field.
    #[error("message ends inside {field}: {needed} bytes needed, {left} left")]
    Truncated {
        /// The field.
        field: &'static str,
        /// Bytes needed.
        needed: usize,
        /// Bytes left.
        left: usize,
    },
    /// Bytes follow the last field.
    #[error("{0} bytes follow the end of the message")]
    Trailing(usize),
    /// A number outside its bound.
    #[error("{field} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// The bound.
        allowed: String,
    },
    /// A kind of message, task, layer or plane that this version does not know.
    #[error("unknown {what} {value}; this side speaks protocol versions {versions}")]
    Unknown {
        /// What is unknown.
        what: &'static str,
        /// Its number.
        value: u32,
        /// Versions that this side speaks.
        versions: crate::VersionRange,
    },
    /// Text that is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
}
