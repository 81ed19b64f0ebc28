//! What of a text can be searched for, the same for every store: words in one spelling, and pairs of characters where
//! a script writes no spaces.
//!
//! A store indexes [`indexed`] and asks its index for [`Wanted::all`]; what it finds it holds against
//! [`Wanted::fits`], because an index of pairs also finds texts that have the pairs in other places.

use std::borrow::Cow;

use creel_ipc::msg::transcript::{Block, Entry};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Bytes of an entry's text that can be found.
const INDEXED: usize = 128 << 10;
/// Characters of a word that count: nobody types longer ones, and what has them is no word.
const WORD: usize = 64;
/// Entries of the index that a search asks for.
const ASKED: usize = 64;
/// Characters of a snippet, before and behind the first thing that was found.
const BEFORE: usize = 60;
const BEHIND: usize = 140;

/// Who said it and what, of an entry that can be found: what people and models said, not what tools answered.
pub(crate) fn spoken(entry: &Entry) -> Option<(&'static str, String)> {
    let (role, content) = match entry {
        Entry::User { content, .. } => ("user", content),
        Entry::Assistant { content, .. } => ("assistant", content),
        Entry::ToolResult { .. } => return None,
    };
    let mut said = String::new();
    for block in content {
        if let Block::Text { text } = block {
            if !said.is_empty() {
                said.push('\n');
            }
            said.push_str(text);
        }
    }
    (!said.trim().is_empty()).then_some((role, said))
}

/// A run of characters that belong together, in one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    text: String,
    /// Whether its script writes no spaces, so that words in it cannot be told apart.
    unspaced: bool,
    /// Bytes of the text in which it lies.
    at: std::ops::Range<usize>,
}

/// Han, kana, bopomofo, Hangul, Thai, Lao, Khmer and Burmese.
fn unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1100..=0x11FF | 0x1780..=0x17FF | 0x3005..=0x3007 | 0x3040..=0x30FF
        | 0x3100..=0x318F | 0x31F0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF)
}

/// A character as it is compared: small, of ordinary width, and Latin, Greek and Cyrillic letters without accents.
fn fold(c: char, mut take: impl FnMut(char)) {
    if c.is_ascii() {
        return take(c.to_ascii_lowercase());
    }
    for c in std::iter::once(c).nfkc() {
        if unspaced(c) {
            take(c);
            continue;
        }
        let letters = std::iter::once(c).nfd().flat_map(char::to_lowercase);
        letters.filter(|c| !accent(*c)).for_each(&mut take);
    }
}

fn accent(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036F)
}

fn composed(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut open = false;
    for (at, c) in text.char_indices() {
        if accent(c) {
            continue;
        }
        let mut inside = false;
        fold(c, |folded| {
            if !folded.is_alphanumeric() {
                return;
            }
            inside = true;
            let unspaced = unspaced(folded);
            match pieces.last_mut().filter(|last| open && last.unspaced == unspaced) {
                Some(last) => last.text.push(folded),
                None => pieces.push(Piece { text: folded.to_string(), unspaced, at: at..at }),
            }
            open = true;
            if let Some(last) = pieces.last_mut() {
                last.at.end = at + c.len_utf8();
            }
        });
        open = inside;
    }
    pieces
}

fn short(word: &str) -> &str {
    word.char_indices().nth(WORD).map_or(word, |(end, _)| &word[..end])
}

/// The pairs of neighbours in a run, and its last character, so that the beginning of a pair finds every character.
fn pairs(run: &str) -> impl Iterator<Item = &str> {
    let mut ends = run.char_indices().map(|(at, c)| at + c.len_utf8());
    let firsts = run.char_indices().map(|(at, _)| at);
    let _first = ends.next();
    let ends = ends.chain(std::iter::once(run.len()));
    firsts.zip(ends).map(|(from, to)| &run[from..to])
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(INDEXED)]
}

/// What an index holds of a text: letters and digits only, in one spelling, with a space between two.
pub(crate) fn indexed(text: &str) -> String {
    let text = composed(cut(text));
    let mut words = String::with_capacity(text.len());
    let mut add = |word: &str| {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    };
    for piece in pieces(&text) {
        if piece.unspaced {
            pairs(&piece.text).for_each(&mut add);
        } else {
            add(short(&piece.text));
        }
    }
    words
}

/// What somebody searches for: everything of it must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    /// A whole word.
    Word(String),
    /// How a word begins.
    Begin(String),
    /// Characters that stand side by side.
    Run(String),
}

/// What an index is asked for: a word or a pair, or how one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Exactly this.
    Whole(String),
    /// Everything that begins so.
    Begin(String),
}

impl Wanted {
    /// Reads what somebody typed: words, of which one with `*` behind it is the beginning of a word. `None` when there
    /// is no letter and no digit in it.
    pub(crate) fn read(typed: &str) -> Option<Self> {
        let typed = composed(typed);
        let terms: Vec<Term> = pieces(&typed)
            .into_iter()
            .map(|piece| match (piece.unspaced, typed[piece.at.end..].starts_with('*')) {
                (true, _) => Term::Run(piece.text),
                (false, true) => Term::Begin(short(&piece.text).to_owned()),
                (false, false) => Term::Word(short(&piece.text).to_owned()),
            })
            .collect();
        (!terms.is_empty()).then_some(Self(terms))
    }

    /// What an index is asked for, all of it in one entry.
    pub(crate) fn all(&self) -> Vec<Asked> {
        let mut all: Vec<Asked> = Vec::new();
        for term in &self.0 {
            match term {
                Term::Word(word) => all.push(Asked::Whole(word.clone())),
                Term::Begin(begin) => all.push(Asked::Begin(begin.clone())),
                Term::Run(run) if run.chars().nth(1).is_none() => all.push(Asked::Begin(run.clone())),
                Term::Run(run) => {
                    let pairs: Vec<&str> = pairs(run).collect();
                    // The last is a single character.
                    let pairs = pairs.split_last().map(|(_, pairs)| pairs).unwrap_or_default();
                    all.extend(pairs.iter().map(|pair| Asked::Whole((*pair).to_owned())));
                }
            }
        }
        all.dedup();
        all.truncate(ASKED);
        all
    }

    /// Where in the text the first thing is found, if all of them are in it.
    fn found(&self, pieces: &[Piece]) -> Option<usize> {
        let mut first: Option<usize> = None;
        for term in &self.0 {
            let at = pieces.iter().find(|piece| term.is_in(piece))?.at.start;
            first = Some(first.map_or(at, |first| first.min(at)));
        }
        first
    }

    /// A piece of the text around what was found, on one line; `None` when not everything is in it.
    pub(crate) fn fits(&self, text: &str) -> Option<String> {
        let text = composed(cut(text));
        let at = self.found(&pieces(&text))?;
        Some(snippet(&text, at))
    }
}

impl Term {
    fn is_in(&self, piece: &Piece) -> bool {
        match self {
            Self::Word(word) => !piece.unspaced && short(&piece.text) == word,
            Self::Begin(begin) => !piece.unspaced && piece.text.starts_with(begin),
            Self::Run(run) => piece.unspaced && piece.text.contains(run.as_str()),
        }
    }
}

fn snippet(text: &str, at: usize) -> String {
    let from = text[..at].char_indices().rev().take(BEFORE).last().map_or(at, |(from, _)| from);
    let to = text[at..].char_indices().nth(BEHIND).map_or(text.len(), |(to, _)| at + to);
    let words: Vec<&str> = text[from..to].split_whitespace().collect();
    let (begin, end) = (if from > 0 { "…" } else { "" }, if to < text.len() { "…" } else { "" });
    format!("{begin}{}{end}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(typed: &str, text: &str) -> bool {
        Wanted::read(typed).unwrap().fits(text).is_some()
    }

    #[test]
    fn words_have_one_spelling_and_pairs_stand_for_words_where_there_are_none() {
        assert_eq!(indexed("Die Fähre, um 12:30!"), "die fahre um 12 30");
        assert_eq!(indexed("東京都の天気 Tokyo"), "東京 京都 都の の天 天気 気 tokyo");
        assert_eq!(indexed("ＡＢＣ ﬁn"), "abc fin");
        assert_eq!(indexed("e\u{301}te\u{301}"), "ete", "composed or not is the same");
        assert_eq!(indexed("か\u{3099}"), "が", "a mark that makes another letter stays");
        assert_eq!(indexed("iPhone15を買う"), "iphone15 を買 買う う");
        assert_eq!(indexed(" — …"), "");
    }

    #[test]
    fn everything_must_be_there_and_side_by_side() {
        let text = "Die Fähre nach Tanger fährt am Donnerstag. 京都から東京へ";
        for typed in ["fahre", "FÄHRE tanger", "donn*", "東京", "京都 東京", "京", "へ", "Tanger, 東京"]
        {
            assert!(fits(typed, text), "{typed}");
        }
        for typed in ["fahr", "ferry", "fähre ferry", "東京都", "anger*"] {
            assert!(!fits(typed, text), "{typed}");
        }
        assert_eq!(Wanted::read(" * … "), None);
    }

    #[test]
    fn an_index_is_asked_for_pairs_and_beginnings() {
        let all = |typed| Wanted::read(typed).unwrap().all();
        let whole = |word: &str| Asked::Whole(word.to_owned());
        let begin = |word: &str| Asked::Begin(word.to_owned());
        assert_eq!(all("Fer* 東京都"), [begin("fer"), whole("東京"), whole("京都")]);
        assert_eq!(all("東"), [begin("東")]);
    }

    #[test]
    fn a_snippet_is_one_line_around_what_was_found() {
        let text = format!("{} the\n\n ferry {}", "before ".repeat(40), "behind ".repeat(60));
        let snippet = Wanted::read("ferry").unwrap().fits(&text).unwrap();
        assert!(snippet.starts_with("…") && snippet.ends_with('…') && snippet.contains("the ferry behind"));
        assert!(snippet.chars().count() <= BEFORE + BEHIND + 2, "{snippet}");
        assert_eq!(Wanted::read("b").unwrap().fits("a b").unwrap(), "a b");
    }

    #[test]
    fn what_is_too_long_is_cut_the_same_way_everywhere() {
        let long = "x".repeat(WORD + 5);
        assert!(fits(&long, &format!("a {long}y")), "its first characters count");
        let text = format!("{} last", "東".repeat(INDEXED));
        assert!(!fits("last", &text) && !indexed(&text).contains("last"));
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What fits a text is found by an index that holds what [`indexed`] says.
        #[test]
        fn whatever_fits_is_in_the_index(text in "[a-cA-CÄäé東京都が \u{301}*,]{0,24}", typed in "[a-cÄé東京都が *]{1,6}") {
            if let Some(wanted) = Wanted::read(&typed) && wanted.fits(&text).is_some() {
                let held = indexed(&text);
                let held: Vec<&str> = held.split(' ').collect();
                for asked in wanted.all() {
                    let there = match &asked {
                        Asked::Whole(word) => held.contains(&word.as_str()),
                        Asked::Begin(begin) => held.iter().any(|word| word.starts_with(begin.as_str())),
                    };
                    prop_assert!(there, "{asked:?} is not in {held:?}");
                }
            }
        }
    }
}
