//! The wire format `anthropic-messages`.

use super::sse::Splitter;
use super::{Ask, Auth, Ev, WireCodec, WireRequest};

mod request;
mod stream;

/// One call of the Messages API.
#[derive(Debug, Default)]
pub struct Messages {
    splitter: Splitter,
    stream: stream::Stream,
}

impl WireCodec for Messages {
    fn request(&self, ask: &Ask<'_>) -> WireRequest {
        let base = ask.provider.base_url.trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base);
        WireRequest {
            url: format!("{base}/v1/messages"),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("accept", "text/event-stream".to_owned()),
                ("anthropic-version", "2023-06-01".to_owned()),
            ],
            auth: Auth::ApiKey,
            body: request::body(ask).to_string().into_bytes(),
        }
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Vec<Ev>) {
        let Self { splitter, stream } = self;
        splitter.push(bytes, |name, data| stream.event(name, data, out));
        if splitter.overflown() {
            stream.fail_overflow(out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Ev>) {
        let Self { splitter, stream } = self;
        splitter.finish(|name, data| stream.event(name, data, out));
        stream.finish(out);
    }
}
