//! The dialler's half: one POST, and every refusal turned into an error that says what to do.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::{Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rayloom_wire::VersionRange;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::message::{BODY_BYTES, Refusal, SESSIONS_PATH, SdpType, SessionCreated, SessionRequest, TLS_ONLY};
use crate::error::TransportError;
use crate::tls::CertificatePin;
use crate::tls::client::{Trust, connect};

/// A peer's URL, taken apart and checked.
pub(crate) struct Endpoint {
    url: String,
    /// `host:port`.
    pub(crate) authority: String,
    path: String,
    /// The name that the certificate must be for; `None` for plain HTTP.
    tls_name: Option<ServerName<'static>>,
    /// True where no path leaves this machine.
    pub(crate) is_loopback: bool,
}

impl Endpoint {
    pub(crate) fn parse(url: &str, allow_plain_http: bool) -> Result<Self, TransportError> {
        let bad = |reason| TransportError::BadUrl { url: url.to_owned(), reason };
        if !url.contains("://") {
            return Err(bad("there is no scheme"));
        }
        // The parser would drop it.
        if url.contains('#') {
            return Err(bad("nothing may follow #, and a pin is given apart"));
        }
        let uri: Uri = url.parse().map_err(|_| bad("it does not parse"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad("the scheme is neither https nor http")),
        };
        let host = uri.host().ok_or_else(|| bad("there is no host"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(bad("a user name does not belong there"));
        }
        if uri.query().is_some() {
            return Err(bad("a query does not belong there"));
        }
        let has_port = uri.authority().is_some_and(|authority| authority.as_str().len() > host.len());
        if has_port && matches!(uri.port_u16(), None | Some(0)) {
            return Err(bad("a port is 1 to 65535"));
        }
        let is_loopback = is_loopback(host);
        if !is_tls && !allow_plain_http && !is_loopback {
            return Err(TransportError::PlainHttpRefused { url: url.to_owned() });
        }
        let name = || ServerName::try_from(without_brackets(host).to_owned());
        let tls_name = is_tls.then(name).transpose().map_err(|_| bad("no certificate can be for that host"))?;
        Ok(Self {
            url: url.to_owned(),
            authority: format!("{host}:{}", uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 })),
            path: format!("{}{SESSIONS_PATH}", uri.path().trim_end_matches('/')),
            tls_name,
            is_loopback,
        })
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || without_brackets(host).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An IPv6 address stands in brackets in a URL, and nowhere else.
fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// What a request travels over.
trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for S {}

/// Sends the offer, returns the answer.
pub(crate) async fn exchange(
    endpoint: &Endpoint,
    token: Option<&str>,
    pin: Option<CertificatePin>,
    versions: VersionRange,
    offer: String,
) -> Result<String, TransportError> {
    let body = SessionRequest { sdp: offer, r#type: SdpType::Offer, protocol: versions.into() };
    let body = serde_json::to_vec(&body).expect("plain strings and numbers always serialise");
    let (status, body) = post(endpoint, token, pin, body).await?;
    if status != StatusCode::CREATED {
        return Err(refusal(endpoint, versions, status, &body));
    }
    let bad_answer = |reason: String| TransportError::BadAnswer { url: endpoint.url.clone(), reason };
    let created: SessionCreated = serde_json::from_slice(&body).map_err(|error| bad_answer(error.to_string()))?;
    if created.r#type != SdpType::Answer {
        return Err(bad_answer("its type is not \"answer\"".to_owned()));
    }
    Ok(created.sdp)
}

async fn post(
    endpoint: &Endpoint,
    token: Option<&str>,
    pin: Option<CertificatePin>,
    body: Vec<u8>,
) -> Result<(StatusCode, Bytes), TransportError> {
    let unreachable = |source| TransportError::Unreachable { url: endpoint.url.clone(), source };
    let mut request = Request::post(&endpoint.path)
        .header(header::HOST, &endpoint.authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|_| TransportError::Unauthorized {
        url: endpoint.url.clone(),
        reason: "the token holds characters that no HTTP header may hold".to_owned(),
    })?;
    let stream = TcpStream::connect(&endpoint.authority).await.map_err(unreachable)?;
    let beginning = Beginning::default();
    let stream: Box<dyn ByteStream> = match &endpoint.tls_name {
        None => Box::new(Noted { stream, beginning: beginning.clone() }),
        Some(name) => Box::new(connect(stream, &endpoint.url, name.clone(), Trust::new(pin)).await?),
    };
    let other = |error: hyper::Error| match &endpoint.tls_name {
        None if error.is_parse() || !beginning.may_be_http() => beginning.explain(&endpoint.url),
        _ => unreachable(io::Error::other(error)),
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(other)?;
    let talk = async {
        let response = sender.send_request(request).await.map_err(other)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES)
            .collect()
            .await
            .map_err(|error| TransportError::BadAnswer { url: endpoint.url.clone(), reason: error.to_string() })?;
        Ok((status, body.to_bytes()))
    };
    let mut talk = std::pin::pin!(talk);
    tokio::select! {
        answer = &mut talk => answer,
        // The connection may end first: the answer is then already on its way, or never comes.
        ended = connection => match ended {
            Ok(()) => talk.await,
            Err(error) => Err(other(error)),
        },
    }
}

/// How an answer begins, for telling who it is that gave it.
#[derive(Clone, Default)]
struct Beginning(Arc<Mutex<Vec<u8>>>);

impl Beginning {
    const BYTES: usize = 32;

    fn note(&self, bytes: &[u8]) {
        let mut noted = self.0.lock();
        let room = Self::BYTES - noted.len();
        noted.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Some services speak before they are asked, which is no answer to HTTP.
    fn may_be_http(&self) -> bool {
        let noted = self.0.lock();
        let begins = b"HTTP/";
        noted.iter().zip(begins).all(|(byte, begins)| byte == begins)
    }

    /// Of an answer that is no HTTP.
    fn explain(&self, url: &str) -> TransportError {
        let noted = self.0.lock();
        let url = url.to_owned();
        // A server of TLS answers a plain request with an alert (RFC 8446, 5.1: type 21, version 3.x).
        if matches!(**noted, [21 | 22, 3, ..]) {
            return TransportError::TlsThere { url };
        }
        let shown = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' };
        TransportError::NoPeerThere {
            url,
            first: noted.iter().map(shown).collect::<String>().trim_end_matches('.').into(),
        }
    }
}

/// A stream of which the beginning of what comes is noted.
struct Noted {
    stream: TcpStream,
    beginning: Beginning,
}

impl AsyncRead for Noted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.beginning.note(&buf.filled()[before..]);
        read
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn refusal(endpoint: &Endpoint, ours: VersionRange, status: StatusCode, body: &[u8]) -> TransportError {
    let url = endpoint.url.clone();
    let parsed = serde_json::from_slice::<Refusal>(body);
    let theirs = parsed.as_ref().ok().and_then(|refusal| refusal.protocol);
    if parsed.as_ref().is_ok_and(|refusal| refusal.error == TLS_ONLY) {
        return TransportError::TlsThere { url };
    }
    let reason = match parsed {
        Ok(refusal) => refusal.reason,
        Err(_) => "it gives no reason; is it a rayloom-peer?".to_owned(),
    };
    match (status, theirs) {
        (StatusCode::UNAUTHORIZED, _) => TransportError::Unauthorized { url, reason },
        (StatusCode::SERVICE_UNAVAILABLE, _) => TransportError::Capacity { url, reason },
        (StatusCode::UPGRADE_REQUIRED, Some(theirs)) => {
            TransportError::VersionMismatch { url, ours, theirs: theirs.into() }
        }
        _ => TransportError::Refused { url, status: status.as_u16(), reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_loopback_unless_it_is_allowed() {
        for url in ["http://127.0.0.1:4711", "http://localhost:4711/", "http://[::1]:4711", "http://127.1.2.3"] {
            assert!(Endpoint::parse(url, false).is_ok(), "{url}");
        }
        for url in ["http://10.0.0.1:4711", "http://peer.example:4711", "http://127.0.0.1.example"] {
            assert!(matches!(Endpoint::parse(url, false), Err(TransportError::PlainHttpRefused { .. })), "{url}");
            assert!(Endpoint::parse(url, true).is_ok(), "{url}");
        }
        for url in ["https://10.0.0.1:4711", "https://peer.example", "https://[2001:db8::1]:4711"] {
            assert!(Endpoint::parse(url, false).is_ok_and(|endpoint| !endpoint.is_loopback), "{url}");
        }
        for (url, words) in [
            ("", "there is no scheme"),
            ("4711", "there is no scheme"),
            ("127.0.0.1:4711", "there is no scheme"),
            ("ftp://127.0.0.1", "neither https nor http"),
            ("http://me:pw@127.0.0.1", "a user name"),
            ("http://[::1]/?a=b", "a query"),
            ("http://127.0.0.1:4711#sha256:00", "a pin is given apart"),
            ("http://127.0.0.1:0", "a port is 1 to 65535"),
            ("https://[::1]:65536", "a port is 1 to 65535"),
            ("https://peer.example:", "a port is 1 to 65535"),
            ("https://", "it does not parse"),
        ] {
            let Err(error @ TransportError::BadUrl { .. }) = Endpoint::parse(url, true) else { panic!("{url}") };
            let text = error.to_string();
            assert!(text.contains(words) && text.ends_with("write it as https://host:port"), "{text}");
        }
    }

    #[test]
    fn sessions_are_found_below_the_url() {
        let endpoint = Endpoint::parse("http://127.0.0.1/peers/a/", false).unwrap();
        assert_eq!((endpoint.authority.as_str(), endpoint.path.as_str()), ("127.0.0.1:80", "/peers/a/v1/sessions"));
        let endpoint = Endpoint::parse("https://[::1]", false).unwrap();
        assert_eq!((endpoint.authority.as_str(), endpoint.path.as_str()), ("[::1]:443", "/v1/sessions"));
        assert!(endpoint.is_loopback && endpoint.tls_name == ServerName::try_from("::1").ok());
    }
}
