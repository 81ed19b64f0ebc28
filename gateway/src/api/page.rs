//! The page at `/`, built into the binary.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Method, Response, StatusCode};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Built;

const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Creel</title>\
<p>This gateway was built without its page. Build the page with <code>cargo xtask ui</code>, then the gateway again. \
The WebSocket, <code>/rpc</code> and the command line work without it.";

/// The answer to a request for a file of the page.
pub(crate) fn serve(method: &Method, path: &str) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return answer(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain; charset=utf-8",
            "no-store",
            "GET or HEAD only\n",
        );
    }
    let name = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
    let Some(file) = Built::get(name) else {
        return if name == "index.html" {
            answer(StatusCode::OK, "text/html; charset=utf-8", "no-cache", NOT_BUILT)
        } else {
            answer(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "no-store", "There is nothing here.\n")
        };
    };
    // The names of what the bundler writes to assets/ contain a hash of their content.
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let body = if *method == Method::HEAD { Body::empty() } else { Body::from(file.data) };
    answer(StatusCode::OK, media_type(name), cache, body)
}

fn answer(
    status: StatusCode,
    media_type: &'static str,
    cache: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, axum::http::HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, axum::http::HeaderValue::from_static(cache));
    response
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "json" | "map" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_always_answered_and_nothing_else_is_invented() {
        assert_eq!(serve(&Method::GET, "/").status(), StatusCode::OK);
        for path in ["/nope", "/../Cargo.toml", "/assets/../../Cargo.toml", "//etc/passwd", "/index.html/"] {
            assert_eq!(serve(&Method::GET, path).status(), StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(serve(&Method::POST, "/").status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn hashed_assets_are_kept_and_the_page_is_asked_for_again() {
        assert_eq!(serve(&Method::GET, "/").headers()[CACHE_CONTROL], "no-cache");
        for name in Built::iter().filter(|name| name.starts_with("assets/")) {
            let response = serve(&Method::GET, &format!("/{name}"));
            assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
            assert_ne!(response.headers()[CONTENT_TYPE], "application/octet-stream", "{name}");
        }
    }
}
