//! The HTTP side: WHEP (draft-ietf-wish-whep), the page, and the counters.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, ORIGIN,
    RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};

use crate::error::StreamError;
use crate::hub::Hub;
use crate::{page, viewer};

/// An offer of a browser has 5 to 10 KB.
const MAX_SDP_BYTES: usize = 64 * 1024;
const SDP: &str = "application/sdp";
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// All routes of the server.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/page.js", get(page::page_script))
        .route("/rayloom.js", get(page::library))
        .route("/stats", get(stats))
        .route("/whep", any(whep))
        .route("/whep/{id}", any(session))
        .with_state(hub)
}

/// Why a request is refused: a status, and a reason for whoever reads it.
struct Refusal {
    status: StatusCode,
    reason: String,
}

impl Refusal {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "status": self.status.as_u16(), "reason": self.reason }));
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

impl From<StreamError> for Refusal {
    fn from(error: StreamError) -> Self {
        let status = match &error {
            StreamError::Offer(_) => StatusCode::BAD_REQUEST,
            StreamError::TooManyViewers { .. } | StreamError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

/// `/whep`: POST takes an offer, OPTIONS says what is allowed.
async fn whep(State(hub): State<Arc<Hub>>, method: axum::http::Method, headers: HeaderMap, body: Body) -> Response {
    let response = match method.as_str() {
        "POST" => match offer(&hub, &headers, body).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        },
        "OPTIONS" => options(),
        _ => not_allowed("POST, OPTIONS", "watch by POSTing an SDP offer here"),
    };
    with_cors(&hub, &headers, response)
}

/// `/whep/{id}`: DELETE ends a viewer. Trickle ICE is not offered, since answers hold every
/// candidate; the draft asks for 405 then.
async fn session(
    State(hub): State<Arc<Hub>>,
    Path(id): Path<String>,
    method: axum::http::Method,
    headers: HeaderMap,
) -> Response {
    let response = match method.as_str() {
        "DELETE" => match authorise(&hub, &headers) {
            Ok(()) if hub.dismiss(&id) => StatusCode::OK.into_response(),
            Ok(()) => Refusal::new(StatusCode::NOT_FOUND, "this viewer has left already").into_response(),
            Err(refusal) => refusal.into_response(),
        },
        "OPTIONS" => options(),
        _ => not_allowed("DELETE, OPTIONS", "only DELETE is offered: no trickle ICE, no ICE restart"),
    };
    with_cors(&hub, &headers, response)
}

/// `/stats`: the counters as JSON.
async fn stats(State(hub): State<Arc<Hub>>, headers: HeaderMap) -> Response {
    let response = match authorise(&hub, &headers) {
        Ok(()) => Json(hub.stats()).into_response(),
        Err(refusal) => refusal.into_response(),
    };
    with_cors(&hub, &headers, response)
}

async fn offer(hub: &Arc<Hub>, headers: &HeaderMap, body: Body) -> Result<Response, Refusal> {
    authorise(hub, headers)?;
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(SDP) {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the content type is `{kind}`, but an offer is `{SDP}`"),
        ));
    }
    let body = axum::body::to_bytes(body, MAX_SDP_BYTES).await.map_err(|_| {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the offer did not arrive whole, or has more than {MAX_SDP_BYTES} bytes"),
        )
    })?;
    let sdp =
        String::from_utf8(body.into()).map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the offer is not UTF-8"))?;
    let admitted = viewer::admit(hub, sdp).await?;
    let location = format!("/whep/{}", admitted.id);
    let headers = [(CONTENT_TYPE, SDP.to_owned()), (LOCATION, location)];
    Ok((StatusCode::CREATED, headers, admitted.answer).into_response())
}

/// Checks the token, and that no foreign page sent the request behind a player's back.
fn authorise(hub: &Hub, headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(origin) = headers.get(ORIGIN)
        && !is_same_origin(origin, headers.get(HOST))
        && allowed_origin(hub, origin).is_none()
    {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "pages of this origin may not watch: add it to allow_origins"));
    }
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    if hub.admits(token) {
        return Ok(());
    }
    let reason = if token.is_some() {
        "the token is wrong: use the one the stream was started with"
    } else {
        "a token is needed: send `Authorization: Bearer TOKEN`, or open the page as /#token=TOKEN"
    };
    Err(Refusal::new(StatusCode::UNAUTHORIZED, reason))
}

fn is_same_origin(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let origin = origin.as_bytes();
    let origin = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    origin.is_some() && origin == host.map(HeaderValue::as_bytes)
}

/// The value of Access-Control-Allow-Origin for a page of `origin`.
fn allowed_origin(hub: &Hub, origin: &HeaderValue) -> Option<HeaderValue> {
    let origin_text = origin.to_str().ok()?;
    let allowed = |entry: &String| entry == "*" || entry == origin_text;
    hub.allow_origins.iter().any(allowed).then(|| origin.clone())
}

fn options() -> Response {
    let headers = [
        (ACCEPT_POST, SDP),
        (ACCESS_CONTROL_ALLOW_METHODS, "POST, DELETE, GET, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn not_allowed(allow: &'static str, reason: &str) -> Response {
    let mut response = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, reason).into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

fn with_cors(hub: &Hub, request: &HeaderMap, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    if let Some(allowed) = request.get(ORIGIN).and_then(|origin| allowed_origin(hub, origin)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Location"));
    }
    response
}
