//! Whether a browser's page may speak to this gateway. Pure.

/// Whether the page at `origin` was served by this gateway: by the same host and port that the request names,
/// or by another loopback name of the same port. Clients that are no browsers send no `Origin`.
pub(crate) fn allowed(origin: Option<&str>, host: Option<&str>) -> bool {
    let Some(origin) = origin else { return true };
    let Some(host) = host else { return false };
    let (default_port, origin) = match origin.split_once("://") {
        Some(("http", rest)) => (80, rest),
        Some(("https", rest)) => (443, rest),
        _ => return false,
    };
    let (Some(page), Some(gateway)) = (authority(origin, default_port), authority(host, default_port)) else {
        return false;
    };
    page == gateway || (page.1 == gateway.1 && is_loopback(&page.0) && is_loopback(&gateway.0))
}

/// Lower-case host and port of `host[:port]` or `[v6][:port]`.
fn authority(text: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(known) {
        return None;
    }
    let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
    Some((host.trim_end_matches('.').to_ascii_lowercase(), port))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn only_pages_of_this_gateway_may_speak_to_it() {
        let table = [
            (None, Some("127.0.0.1:18789"), true),
            (None, None, true),
            (Some("http://127.0.0.1:18789"), Some("127.0.0.1:18789"), true),
            (Some("http://localhost:18789"), Some("127.0.0.1:18789"), true),
            (Some("http://[::1]:18789"), Some("localhost:18789"), true),
            (Some("http://LOCALHOST:18789"), Some("localhost:18789"), true),
            (Some("https://claw.example.org"), Some("claw.example.org"), true),
            (Some("https://claw.example.org"), Some("claw.example.org:443"), true),
            (Some("http://localhost:3000"), Some("localhost:18789"), false),
            (Some("http://evil.example"), Some("127.0.0.1:18789"), false),
            (Some("http://127.0.0.1.evil.example:18789"), Some("127.0.0.1:18789"), false),
            (Some("http://127.0.0.1:18789@evil.example"), Some("127.0.0.1:18789"), false),
            (Some("null"), Some("127.0.0.1:18789"), false),
            (Some("file://"), Some("127.0.0.1:18789"), false),
            (Some(""), Some("127.0.0.1:18789"), false),
            (Some("http://127.0.0.1:99999"), Some("127.0.0.1:18789"), false),
            (Some("http://192.168.1.9:18789"), Some("127.0.0.1:18789"), false),
        ];
        for (origin, host, expected) in table {
            assert_eq!(allowed(origin, host), expected, "{origin:?} at {host:?}");
        }
    }
}
