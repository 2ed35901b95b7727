//! What travels in the bodies of `POST /v1/sessions`, both ways.

use rayloom_wire::VersionRange;
use serde::{Deserialize, Serialize};

/// Longest body either way; an offer with three channels and a dozen candidates has 2 KB.
pub(crate) const BODY_BYTES: usize = 64 * 1024;
/// Path below a peer's URL.
pub(crate) const SESSIONS_PATH: &str = "/v1/sessions";
/// Name of the refusal that a plain HTTP request to a TLS port gets.
pub(crate) const TLS_ONLY: &str = "https";

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Protocol {
    pub(crate) min: u16,
    pub(crate) max: u16,
}

impl From<VersionRange> for Protocol {
    fn from(range: VersionRange) -> Self {
        Self { min: range.min, max: range.max }
    }
}

impl From<Protocol> for VersionRange {
    fn from(protocol: Protocol) -> Self {
        Self { min: protocol.min, max: protocol.max }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SdpType {
    Offer,
    Answer,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SessionRequest {
    pub(crate) sdp: String,
    pub(crate) r#type: SdpType,
    pub(crate) protocol: Protocol,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SessionCreated {
    pub(crate) sdp: String,
    pub(crate) r#type: SdpType,
    pub(crate) session: String,
}

/// Body of every refusal: a name for programs, a sentence for people.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) error: String,
    pub(crate) reason: String,
    /// The refuser's versions, where they are the matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<Protocol>,
}
