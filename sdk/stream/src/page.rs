//! The demo page and the client library, built from `bindings/web` and carried in the program.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;

const INDEX_HTML: &str = include_str!("../../../bindings/web/dist/index.html");
const PAGE_JS: &str = include_str!("../../../bindings/web/dist/page.js");
const RAYLOOM_JS: &str = include_str!("../../../bindings/web/dist/rayloom.js");

/// Nothing but our own script, and calls to no other server (WHEP goes to where the page is from).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; \
                      connect-src 'self'; media-src blob: mediastream:; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// `GET /`
pub(crate) async fn index() -> impl IntoResponse {
    (headers("text/html; charset=utf-8"), INDEX_HTML)
}

/// `GET /page.js`: the page's own script
pub(crate) async fn page_script() -> impl IntoResponse {
    (headers("text/javascript; charset=utf-8"), PAGE_JS)
}

/// `GET /rayloom.js`: the library, for pages of others as well
pub(crate) async fn library() -> impl IntoResponse {
    (headers("text/javascript; charset=utf-8"), RAYLOOM_JS)
}

fn headers(content_type: &'static str) -> [(HeaderName, HeaderValue); 3] {
    [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        // The page must fit the server that it talks to.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ]
}
