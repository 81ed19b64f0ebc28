//! The rules that no store breaks, except to show that somebody would notice.

/// Whether the store keeps its rules. It always does, outside of the control runs that must fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    fenced: bool,
}

impl Rules {
    /// As it must be.
    pub(crate) const KEPT: Self = Self { fenced: true };

    /// Without epochs, unique keys and the rule of attempts: for controls that must fail.
    #[cfg(any(test, feature = "chaos-control"))]
    pub(crate) const BROKEN: Self = Self { fenced: false };

    /// The rules of this process, by its supervisor's environment and its own.
    #[cfg_attr(not(feature = "chaos-control"), expect(unused_variables, reason = "a release has one answer"))]
    pub(crate) fn of_process(told: impl Fn(&str) -> Option<String>) -> Self {
        #[cfg(feature = "chaos-control")]
        {
            const CONTROL: &str = "CREEL_CHAOS_NO_FENCE";
            if told(CONTROL).or_else(|| std::env::var(CONTROL).ok()).is_some_and(|value| value == "1") {
                tracing::error!("This is a control run without fences: messages will be lost and doubled.");
                return Self::BROKEN;
            }
        }
        Self::KEPT
    }

    /// Whether epochs and unique keys count.
    pub(crate) fn fenced(self) -> bool {
        self.fenced
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::KEPT
    }
}
