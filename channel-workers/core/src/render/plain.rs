//! Text for platforms without any markup.

use super::{Rich, Style};

/// The text, with the address of each link behind it.
pub fn plain(rich: &Rich) -> String {
    let mut links: Vec<(usize, &str)> = rich
        .marks
        .iter()
        .filter_map(|mark| match &mark.style {
            Style::Link { url } if !url.is_empty() && !same(&rich.text[mark.range.clone()], url) => {
                Some((mark.range.end, url.as_str()))
            }
            _ => None,
        })
        .collect();
    links.sort_by_key(|(end, _)| *end);
    let mut text = String::with_capacity(rich.text.len());
    let mut from = 0;
    for (end, url) in links {
        text.push_str(&rich.text[from..end]);
        text.push_str(" (");
        text.push_str(url);
        text.push(')');
        from = end;
    }
    text.push_str(&rich.text[from..]);
    text
}

/// Whether the text of a link already says where it leads.
fn same(text: &str, url: &str) -> bool {
    let bare = |address: &str| {
        let address = address.strip_prefix("mailto:").unwrap_or(address);
        address.split_once("://").map_or(address, |(_, rest)| rest).trim_end_matches('/').to_owned()
    };
    bare(text) == bare(url)
}
