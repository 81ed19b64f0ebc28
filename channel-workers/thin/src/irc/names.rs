//! Nicks and channels: which are the same, and whether a text speaks to somebody.

/// How a network compares names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum CaseMapping {
    /// `{}|^` are the small letters of `[]\~`.
    #[default]
    Rfc1459,
    /// The same without `^` and `~`.
    Strict,
    /// Only letters.
    Ascii,
}

impl CaseMapping {
    pub(super) fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "ascii" => Self::Ascii,
            "strict-rfc1459" | "rfc1459-strict" => Self::Strict,
            _ => Self::Rfc1459,
        }
    }

    /// The name in small letters.
    pub(super) fn lower(self, name: &str) -> String {
        name.chars().map(|c| self.small(c)).collect()
    }

    pub(super) fn same(self, one: &str, other: &str) -> bool {
        self.lower(one) == self.lower(other)
    }

    fn small(self, c: char) -> char {
        match (self, c) {
            (Self::Ascii, c) => c.to_ascii_lowercase(),
            (_, '[') => '{',
            (_, ']') => '}',
            (_, '\\') => '|',
            (Self::Rfc1459, '~') => '^',
            (_, c) => c.to_ascii_lowercase(),
        }
    }

    /// Whether the nick stands in the text as a word of its own.
    pub(super) fn mentions(self, text: &str, nick: &str) -> bool {
        let (text, nick) = (self.lower(text), self.lower(nick));
        let of_nicks = |c: char| c.is_alphanumeric() || "-_{}|^[]\\`~".contains(c);
        !nick.is_empty()
            && text.match_indices(&nick).any(|(at, found)| {
                let before = text[..at].chars().next_back();
                let after = text[at + found.len()..].chars().next();
                !before.is_some_and(of_nicks) && !after.is_some_and(of_nicks)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_the_network_does() {
        assert!(CaseMapping::named("rfc1459").same("Ada[m]~", "aDA{M}^"));
        assert!(!CaseMapping::named("ascii").same("Ada[m]", "ada{m}"));
        assert!(!CaseMapping::named("strict-rfc1459").same("a~", "a^"));
    }

    #[test]
    fn a_mention_is_the_nick_as_a_word() {
        let mentions = |text| CaseMapping::Rfc1459.mentions(text, "Creel");
        for text in ["creel: hi", "CREEL, hi", "hi creel", "hi @creel!", "creel", "(creel)"] {
            assert!(mentions(text), "{text}");
        }
        for text in ["creels", "creel_: hi", "xcreel", "creel-bot hi", ""] {
            assert!(!mentions(text), "{text}");
        }
    }
}
