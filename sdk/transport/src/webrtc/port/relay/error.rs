//! Why a TURN server relays nothing, and what to do about it.

/// Why there is no allocation at a TURN server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// The server's name leads nowhere.
    #[error("no address is known of {host}: {reason}")]
    Unresolved {
        /// The name.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// No packet gets there.
    #[error("it cannot be reached: {reason}")]
    Unreachable {
        /// What the system says.
        reason: String,
    },
    /// The TLS handshake failed.
    #[error("its TLS is refused: {reason}")]
    Tls {
        /// What is wrong.
        reason: String,
    },
    /// No answer in time.
    #[error("it does not answer")]
    Silent,
    /// It does not know the user, or the password is another.
    #[error("it refuses the credentials of the user {user:?} ({code})")]
    Credentials {
        /// The user that was named.
        user: String,
        /// 401 or 441.
        code: u16,
    },
    /// It refuses.
    #[error("it refuses: {code} {reason}")]
    Refused {
        /// RFC 8656, 19.
        code: u16,
        /// In the server's words.
        reason: String,
    },
    /// It sends what makes no sense.
    #[error("it does not speak TURN: {reason}")]
    Protocol {
        /// What makes no sense.
        reason: String,
    },
    /// This machine's own trouble.
    #[error("{reason}")]
    Local {
        /// What is wrong.
        reason: String,
    },
}

impl TurnError {
    /// What an operator can do.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Unresolved { .. } => "correct the host in --turn, or this machine's DNS",
            Self::Unreachable { .. } => {
                "see that the server runs and listens at that port, and that a firewall lets this machine reach it"
            }
            Self::Tls { .. } => {
                "give the server a certificate of a public authority for the name in --turn, or use turn: with \
                 ?transport=tcp (data is encrypted by the session itself)"
            }
            Self::Silent => {
                "see that the server runs and that UDP gets there and back; where UDP is dropped put ?transport=tcp behind \
                 the URL"
            }
            Self::Credentials { .. } => "correct --turn-user and --turn-password; the server's log names the user",
            Self::Refused { code: 300, .. } => "name the server that it sends to (--turn)",
            Self::Refused { code: 403, .. } => "allow this user, or this machine's address, in the server's settings",
            Self::Refused { code: 437, .. } => "wait: the server has forgotten the allocation, or holds an older one",
            Self::Refused { code: 440 | 442, .. } => "let the server relay UDP over IPv4",
            Self::Refused { code: 486, .. } => {
                "raise the user's quota of allocations (coturn: user-quota), or end others"
            }
            Self::Refused { code: 508, .. } => {
                "give the server more ports to relay with (coturn: min-port, max-port), or more capacity"
            }
            Self::Refused { .. } => "see the server's log",
            Self::Protocol { .. } => "see that --turn names a TURN server, with its port for that transport",
            Self::Local { .. } => "see the cause",
        }
    }
}
