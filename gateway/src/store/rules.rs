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
            let switched = |name: &str| {
                told(name).or_else(|| std::env::var(name).ok()).is_some_and(|value| value == "1")
            };
            if switched("CREEL_CHAOS_HASTY") {
                tracing::error!(
                    "This is a control run that acknowledges what is not stored: messages will be lost."
                );
                HASTY.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            if switched("CREEL_CHAOS_NO_FENCE") {
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

#[cfg(feature = "chaos-control")]
static HASTY: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Whether a platform is told that its message is stored although it is not; only in a control run, which must fail.
pub(crate) fn acknowledges_unstored() -> bool {
    #[cfg(feature = "chaos-control")]
    {
        return HASTY.load(std::sync::atomic::Ordering::Relaxed);
    }
    #[cfg(not(feature = "chaos-control"))]
    false
}

impl Default for Rules {
    fn default() -> Self {
        Self::KEPT
    }
}
