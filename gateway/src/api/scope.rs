//! What a client may do, and how it is called on the wire.

use std::fmt;

/// One right of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Scope {
    /// Look.
    Read,
    /// Talk to agents and send messages.
    Write,
    /// Change the system; includes all others.
    Admin,
    /// Decide on commands that wait.
    Approvals,
    /// Let people and devices in.
    Pairing,
    /// Answer an agent's questions.
    Questions,
    /// Speak.
    Talk,
}

impl Scope {
    /// All of them.
    pub(crate) const ALL: [Self; 7] =
        [Self::Read, Self::Write, Self::Admin, Self::Approvals, Self::Pairing, Self::Questions, Self::Talk];

    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "operator.read",
            Self::Write => "operator.write",
            Self::Admin => "operator.admin",
            Self::Approvals => "operator.approvals",
            Self::Pairing => "operator.pairing",
            Self::Questions => "operator.questions",
            Self::Talk => "operator.talk",
        }
    }

    /// Reads a name; `None` for names that this gateway does not know.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Scopes(u8);

impl Scopes {
    /// Every scope.
    pub(crate) fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether what needs `scope` may be done: admin includes all, write includes read and talk.
    pub(crate) fn allow(self, scope: Scope) -> bool {
        let through_write = matches!(scope, Scope::Read | Scope::Talk) && self.0 & Scope::Write.bit() != 0;
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0 || through_write
    }

    /// Names of the scopes in the set.
    pub(crate) fn names(self) -> Vec<String> {
        let has = |scope: &Scope| self.0 & scope.bit() != 0;
        Scope::ALL.into_iter().filter(has).map(|scope| scope.as_str().to_owned()).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// Reads the scopes that a client asks for. Names that are not known are dropped: no right comes from them.
pub(crate) fn asked<'a>(names: impl IntoIterator<Item = &'a str>) -> Scopes {
    names.into_iter().filter_map(Scope::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_includes_all_and_write_includes_read() {
        let admin = asked(["operator.admin"]);
        assert!(Scope::ALL.into_iter().all(|scope| admin.allow(scope)));
        let write = asked(["operator.write"]);
        assert!(write.allow(Scope::Read) && write.allow(Scope::Talk) && !write.allow(Scope::Pairing));
        assert!(!asked(["operator.read"]).allow(Scope::Write));
    }

    #[test]
    fn unknown_scopes_give_nothing() {
        assert_eq!(asked(["operator.everything", "admin", ""]), Scopes::default());
        assert_eq!(asked(["operator.read", "x"]).names(), ["operator.read"]);
    }
}
