//! What goes into the store and comes out of it.

mod account;
mod ending;
mod import;
mod inbox;
mod lane;
mod lease;
mod operator;
mod outbox;
mod question;
mod search;
mod session;

pub(crate) use account::*;
pub(in crate::store) use ending::*;
pub(crate) use import::*;
pub(crate) use inbox::*;
pub(crate) use lane::*;
pub(crate) use lease::*;
pub(crate) use operator::*;
pub(crate) use outbox::*;
pub(crate) use question::*;
pub(crate) use search::*;
pub(crate) use session::*;

/// Bytes of one page of transcript or journal: half a frame, as entries are escaped once more on the wire.
pub(crate) const PAGE_BYTES: usize = 512 * 1024;

/// Takes items from the front until they fill a page; always at least one.
pub(super) fn fill_page<T>(
    items: impl Iterator<Item = crate::store::Kept<(usize, T)>>,
) -> crate::store::Kept<(Vec<T>, bool)> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for item in items {
        let (size, item) = item?;
        if !page.is_empty() && bytes + size > PAGE_BYTES {
            return Ok((page, true));
        }
        bytes += size;
        page.push(item);
    }
    Ok((page, false))
}
