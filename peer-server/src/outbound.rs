//! The sending half of a session: control messages in order, waiting where the link is full.

use rayloom_transport::{Channel, Link, SendError};
use rayloom_wire::Message;
use std::sync::Arc;

/// The link has ended; whoever reads its events learns why.
#[derive(Debug)]
pub(crate) struct LinkClosed;

#[derive(Clone)]
pub(crate) struct Outbound {
    link: Arc<dyn Link>,
}

impl Outbound {
    pub(crate) fn new(link: Arc<dyn Link>) -> Outbound {
        Outbound { link }
    }

    pub(crate) fn link(&self) -> &dyn Link {
        &*self.link
    }

    /// Sends on the control channel, waiting while it is full.
    pub(crate) async fn control(&self, message: Message) -> Result<(), LinkClosed> {
        let bytes = message.encode();
        loop {
            match self.link.send(Channel::Control, bytes.clone()) {
                Ok(()) => return Ok(()),
                Err(SendError::Full { .. }) => self.link.writable(Channel::Control).await.map_err(|_| LinkClosed)?,
                Err(SendError::Closed) => return Err(LinkClosed),
                Err(error) => {
                    // Our own messages keep to the limits: this is a bug here, and the other side waits in vain.
                    tracing::error!(%error, "a message could not be sent");
                    self.link.close("a message could not be sent");
                    return Err(LinkClosed);
                }
            }
        }
    }
}
