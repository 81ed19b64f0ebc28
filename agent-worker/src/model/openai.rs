//! The wire format `openai-completions`: chat completions, as OpenAI and many others speak them.

use super::sse::Splitter;
use super::{Ask, Auth, Ev, WireCodec, WireRequest};

mod request;
mod stream;

/// One call of the chat completions API.
#[derive(Debug, Default)]
pub struct Completions {
    splitter: Splitter,
    stream: stream::Stream,
}

impl WireCodec for Completions {
    fn request(&self, ask: &Ask<'_>) -> WireRequest {
        let base = ask.provider.base_url.trim_end_matches('/');
        WireRequest {
            url: format!("{base}/chat/completions"),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("accept", "text/event-stream".to_owned()),
            ],
            auth: Auth::Bearer,
            body: request::body(ask).to_string().into_bytes(),
        }
    }

    fn feed(&mut self, bytes: &[u8], out: &mut Vec<Ev>) {
        let Self { splitter, stream } = self;
        splitter.push(bytes, |_, data| stream.chunk(data, out));
        if splitter.overflown() {
            stream.fail_overflow(out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Ev>) {
        let Self { splitter, stream } = self;
        splitter.finish(|_, data| stream.chunk(data, out));
        stream.finish(out);
    }
}
