//! HTTP, as little of it as a scrape needs, within limits.
//!
//! A connection carries one request and has one deadline for everything, so that nobody can hold
//! one: Prometheus asks so seldom that a new connection each time costs nothing.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use crate::families;
use crate::scrape::Scraper;
use crate::socket::{Listener, Stream};
use crate::text::Format;

/// Clients at a time. Others wait in the socket.
pub(crate) const MAX_CONNECTIONS: usize = 16;
/// How long a client may take to send its request's head: any user of the machine may hold all places
/// for as long, and Prometheus waits 10 s for an answer where nobody tells it otherwise.
pub(crate) const HEAD_LIMIT: Duration = Duration::from_secs(1);
/// How long a connection may last altogether.
pub(crate) const CONNECTION_LIMIT: Duration = Duration::from_secs(15);
/// The longest head of a request, in bytes. hyper takes no smaller figure.
pub(crate) const MAX_HEAD: usize = 8 * 1024;
/// The most header lines of a request.
pub(crate) const MAX_HEADERS: usize = 64;
/// How long to wait where no client can be taken, for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// What `/` says.
const FRONT: &str = "fairshare-exporter: the figures are at /metrics\n";

/// Serves clients for ever.
///
/// # Errors
/// A sentence, when the listening socket is of no use any more.
pub(crate) async fn serve(listener: Listener, scraper: Scraper) -> Result<(), String> {
    let scraper = Arc::new(scraper);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.map_err(|fault| format!("cannot go on: {fault}"))?;
        match listener.accept().await {
            Ok(stream) => {
                let scraper = Arc::clone(&scraper);
                tokio::spawn(async move {
                    connection(stream, scraper).await;
                    drop(place);
                });
            }
            Err(error) => {
                eprintln!("cannot take a client: {error}, ignoring");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: Box<dyn Stream>, scraper: Arc<Scraper>) {
    let service = service_fn(move |request| {
        let scraper = Arc::clone(&scraper);
        async move { Ok::<_, Infallible>(answer(&request, &scraper).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes, says nothing or talks nonsense is its own affair, and nothing to log.
    let _ = tokio::time::timeout(CONNECTION_LIMIT, serving).await;
}

async fn answer(request: &Request<Incoming>, scraper: &Scraper) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(ALLOW, allowed);
        return refused;
    }
    match request.uri().path() {
        "/metrics" => {
            let accepted = request.headers().get(ACCEPT);
            let format = Format::accepted(accepted.and_then(|value| value.to_str().ok()));
            let info = scraper.look().await;
            let text = format.write(&families::all(info.as_deref()));
            response(StatusCode::OK, format.content_type(), text)
        }
        "/" => plain(StatusCode::OK, FRONT),
        _ => plain(StatusCode::NOT_FOUND, "nothing here; see /metrics\n"),
    }
}

fn plain(status: StatusCode, text: impl fmt::Display) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", text.to_string())
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
