//! The answering half: checks token, size, versions and capacity, in this order, before it touches the offer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::Listener;
use axum::{Extension, Json, Router};
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rayloom_wire::VersionRange;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::message::{BODY_BYTES, Refusal, SESSIONS_PATH, SdpType, SessionCreated, SessionRequest};
use crate::error::TransportError;
use crate::link::Connection;
use crate::places::{Place, Places};
use crate::tls::{HANDSHAKE_TIMEOUT, ServerTls};
use crate::webrtc::{Acceptor, SharedPort};

/// How long a connection may last: a body, and the gathering of addresses for the answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections at a time; with a further one the oldest of the busiest remote is cut.
const CONNECTIONS: usize = 256;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Who may open a session, and how many.
#[derive(Clone, Debug)]
pub struct SignallingConfig {
    /// Demanded as `Authorization: Bearer`; `None` lets everyone in, which only a listener on loopback should do.
    pub token: Option<String>,
    /// Sessions at a time, those that are still connecting counted.
    pub max_sessions: usize,
    /// Versions that are spoken here.
    pub versions: VersionRange,
    /// How offers are answered.
    pub acceptor: Acceptor,
}

impl SignallingConfig {
    /// With the defaults for everything but the token and the number of sessions.
    pub fn new(token: Option<String>, max_sessions: usize) -> Self {
        Self { token, max_sessions, versions: rayloom_wire::VERSION, acceptor: Acceptor::default() }
    }
}

struct Signalling {
    config: SignallingConfig,
    free_sessions: Arc<Semaphore>,
    next_session: AtomicU64,
    on_connection: Box<dyn Fn(Connection) + Send + Sync>,
}

/// Binds the address, and says what is wrong where that fails.
pub async fn listen(addr: SocketAddr) -> Result<TcpListener, TransportError> {
    TcpListener::bind(addr).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => TransportError::PortInUse { protocol: "TCP", addr },
        _ => TransportError::Listen { addr, source },
    })
}

/// Serves [`router`] over plain HTTP until the future is dropped.
pub async fn serve<F>(listener: TcpListener, config: SignallingConfig, on_connection: F) -> io::Result<()>
where
    F: Fn(Connection) + Send + Sync + 'static,
{
    serve_router(listener, None, None, router(config, on_connection)).await
}

/// Serves until the future is dropped; over TLS where `tls` is given, and then nothing over plain HTTP. Connections of ICE
/// over TCP, known by their first byte, go to `port` where that has them on this listener's number. A connection of signalling lasts as long as a request
/// may take and no longer, whatever its client does or leaves undone.
pub fn serve_router(
    listener: TcpListener,
    tls: Option<&ServerTls>,
    port: Option<&SharedPort>,
    router: Router,
) -> BoxFuture<'static, io::Result<()>> {
    let own = listener.local_addr().ok().map(|addr| addr.port());
    let port = port.filter(|port| port.tcp_port() == own).cloned();
    let front = Front { tls: tls.cloned(), port, router, timeout: CONNECTION_TIMEOUT };
    Box::pin(serve_connections(listener, front, Places::new(CONNECTIONS)))
}

/// Where a request comes from, among its extensions.
#[derive(Clone, Copy)]
struct Dialler(IpAddr);

/// What is behind a listener.
#[derive(Clone)]
struct Front {
    tls: Option<ServerTls>,
    port: Option<SharedPort>,
    router: Router,
    timeout: Duration,
}

async fn serve_connections(mut listener: TcpListener, front: Front, places: Places) -> io::Result<()> {
    loop {
        // The trait's own, which waits a moment when the process has no file descriptors left.
        let (stream, remote) = Listener::accept(&mut listener).await;
        let (front, place) = (front.clone(), places.enter(remote.ip()));
        tokio::spawn(async move {
            if let Err(error) = front.serve(stream, remote, place).await {
                tracing::debug!(%error, %remote, "a connection to the signalling port");
            }
        });
    }
}

impl Front {
    async fn serve(self, stream: TcpStream, remote: SocketAddr, mut place: Place) -> io::Result<()> {
        let needed = || io::Error::new(io::ErrorKind::TimedOut, "its place was needed for others");
        let mut first = [0];
        let peeked =
            async { tokio::time::timeout(HANDSHAKE_TIMEOUT.min(self.timeout), stream.peek(&mut first)).await? };
        tokio::select! {
            peeked = peeked => drop(peeked?),
            () = place.cut() => return Err(needed()),
        }
        // A frame's length begins with 0 where it holds a binding request, TLS with 22, HTTP with a letter.
        if let Some(port) = self.port.filter(|_| first[0] < 4) {
            port.serve_stream(stream, remote, place).await;
            return Ok(());
        }
        let (router, timeout) = (self.router.layer(Extension(Dialler(remote.ip()))), self.timeout);
        let serving = async {
            match &self.tls {
                Some(tls) => serve_http(tls.accept(stream, HANDSHAKE_TIMEOUT).await?, router).await,
                None => serve_http(stream, router).await,
            }
        };
        tokio::select! {
            served = tokio::time::timeout(timeout, serving) => served?,
            () = place.cut() => Err(needed()),
        }
    }
}

async fn serve_http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) -> io::Result<()> {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    connection.await.map_err(io::Error::other)
}

/// `POST /v1/sessions`, to be merged with whatever else the server offers. `on_connection` is called with every connection
/// once its channels are open; it must not block.
pub fn router<F>(config: SignallingConfig, on_connection: F) -> Router
where
    F: Fn(Connection) + Send + Sync + 'static,
{
    router_of(config, Box::new(on_connection))
}

/// Not generic, so that the HTTP stack is compiled once, here.
fn router_of(config: SignallingConfig, on_connection: Box<dyn Fn(Connection) + Send + Sync>) -> Router {
    let free_sessions = Arc::new(Semaphore::new(config.max_sessions.min(Semaphore::MAX_PERMITS)));
    let state = Arc::new(Signalling { config, free_sessions, next_session: AtomicU64::new(1), on_connection });
    Router::new().route(SESSIONS_PATH, post(create_session)).with_state(state)
}

async fn create_session(State(signalling): State<Arc<Signalling>>, request: Request<Body>) -> Response {
    match try_create_session(signalling, request).await {
        Ok(created) => (StatusCode::CREATED, Json(created)).into_response(),
        Err((status, refusal)) => {
            tracing::info!(%status, reason = refusal.reason, "a session is refused");
            let mut response = (status, Json(refusal)).into_response();
            if status == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}

type Refused = (StatusCode, Refusal);

fn refused(status: StatusCode, error: &str, reason: impl Into<String>) -> Refused {
    (status, Refusal { error: error.to_owned(), reason: reason.into(), protocol: None })
}

async fn try_create_session(signalling: Arc<Signalling>, request: Request<Body>) -> Result<SessionCreated, Refused> {
    let config = &signalling.config;
    check_token(config.token.as_deref(), request.headers())?;
    let from = request.extensions().get().map(|Dialler(ip)| ip.to_canonical());
    let body = read_body(request.into_body()).await?;
    let offer: SessionRequest = serde_json::from_slice(&body).map_err(|error| {
        refused(StatusCode::BAD_REQUEST, "bad_request", format!("the body does not parse: {error}"))
    })?;
    if offer.r#type != SdpType::Offer {
        return Err(refused(StatusCode::BAD_REQUEST, "bad_request", "the type must be \"offer\""));
    }
    let theirs = VersionRange::from(offer.protocol);
    if config.versions.agree(theirs).is_none() {
        let reason = format!("protocol versions {} are spoken here, {theirs} there", config.versions);
        let (status, mut refusal) = refused(StatusCode::UPGRADE_REQUIRED, "version", reason);
        refusal.protocol = Some(config.versions.into());
        return Err((status, refusal));
    }
    let permit = signalling.free_sessions.clone().try_acquire_owned().map_err(|_| {
        let reason = format!("{} sessions of at most {} are open", config.max_sessions, config.max_sessions);
        refused(StatusCode::SERVICE_UNAVAILABLE, "capacity", reason)
    })?;
    let (answer, open) = config.acceptor.accept_with(&offer.sdp, from, Box::new(permit)).await.map_err(|error| {
        let (status, name) = match error {
            TransportError::BadOffer { .. } => (StatusCode::BAD_REQUEST, "bad_offer"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        refused(status, name, error.to_string())
    })?;
    let session = format!("s{}", signalling.next_session.fetch_add(1, Relaxed));
    let name = session.clone();
    tokio::spawn(async move {
        match open.await {
            Ok(connection) => {
                tracing::info!(session = name, link = connection.link.description(), "a session is open");
                (signalling.on_connection)(connection);
            }
            Err(error) => tracing::warn!(session = name, %error, "a session did not open"),
        }
    });
    Ok(SessionCreated { sdp: answer, r#type: SdpType::Answer, session })
}

/// Compares in a time that does not depend on where the tokens differ.
fn check_token(token: Option<&str>, headers: &HeaderMap) -> Result<(), Refused> {
    let Some(token) = token else { return Ok(()) };
    let unauthorized = |reason: &str| refused(StatusCode::UNAUTHORIZED, "unauthorized", reason);
    let header = headers.get(header::AUTHORIZATION).ok_or_else(|| unauthorized("the bearer token is missing"))?;
    let given = header
        .as_bytes()
        .strip_prefix(b"Bearer ")
        .ok_or_else(|| unauthorized("the Authorization header is not of the form \"Bearer TOKEN\""))?;
    if bool::from(given.ct_eq(token.as_bytes())) { Ok(()) } else { Err(unauthorized("the bearer token is wrong")) }
}

async fn read_body(body: Body) -> Result<Bytes, Refused> {
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES).collect())
        .await
        .map_err(|_| refused(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not arrive in time"))?;
    collected.map(|body| body.to_bytes()).map_err(|error| {
        if error.is::<LengthLimitError>() {
            refused(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("a body may have {BODY_BYTES} bytes"))
        } else {
            refused(StatusCode::BAD_REQUEST, "bad_request", format!("the body did not arrive: {error}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A listener on loopback that serves nothing but 404; gone when dropped.
    struct Served(std::net::SocketAddr, tokio::task::JoinHandle<io::Result<()>>);

    impl Served {
        async fn start(tls: Option<ServerTls>, timeout: Duration, places: Places) -> Served {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let front = Front { tls, port: None, router: Router::new(), timeout };
            Served(addr, tokio::spawn(serve_connections(listener, front, places)))
        }

        async fn answers(&self) {
            let mut whole = TcpStream::connect(self.0).await.unwrap();
            whole.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            whole.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        }
    }

    impl Drop for Served {
        fn drop(&mut self) {
            self.1.abort();
        }
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_more_is_cut() {
        let served = Served::start(None, Duration::from_millis(50), Places::new(CONNECTIONS)).await;
        for said in [&b"POST /v1/sessions HTTP/1.1\r\nX: "[..], b""] {
            let mut silent = TcpStream::connect(served.0).await.unwrap();
            silent.write_all(said).await.unwrap();
            // Ends when the server closes; a request that is never whole gets no answer.
            assert_eq!(silent.read_to_end(&mut Vec::new()).await.unwrap_or(0), 0);
        }
        served.answers().await;
    }

    #[tokio::test]
    async fn silent_clients_give_way_to_one_who_speaks() {
        let long = Duration::from_secs(3600);
        let served = Served::start(None, long, Places::new(4)).await;
        let mut silent = Vec::new();
        for _ in 0..4 {
            silent.push(TcpStream::connect(served.0).await.unwrap());
        }
        served.answers().await;
        // The oldest gave its place.
        assert_eq!(silent[0].read(&mut [0]).await.unwrap_or(0), 0);
        served.answers().await;
    }

    #[tokio::test]
    async fn silent_handshakes_give_way_too() {
        let pem = crate::tls::self_signed().unwrap();
        let tls = ServerTls::from_pem(pem.as_bytes(), pem.as_bytes()).unwrap();
        let served = Served::start(Some(tls.clone()), Duration::from_secs(3600), Places::new(4)).await;
        let mut silent = Vec::new();
        for _ in 0..64 {
            let mut stream = TcpStream::connect(served.0).await.unwrap();
            // The begin of a handshake's record, and no more.
            stream.write_all(&[22, 3, 1]).await.unwrap();
            silent.push(stream);
        }
        let stream = TcpStream::connect(served.0).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let trust = crate::tls::client::Trust::new(Some(tls.pin()));
        crate::tls::client::connect(stream, "https://localhost", name, trust).await.unwrap();
    }
}
