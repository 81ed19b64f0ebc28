//! Exit codes: the part of the contract that outlives the pipes.

/// Why a Creel process ended, as its supervisor sees it. Codes of `sysexits.h` where one fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Finished or asked to stop.
    Ok = 0,
    /// Something failed that a restart may cure.
    Failure = 1,
    /// The command line is wrong (EX_USAGE).
    Usage = 64,
    /// The peer broke the protocol or speaks another major version (EX_PROTOCOL).
    Protocol = 76,
    /// The lock is held by another process, or the disk is full (EX_TEMPFAIL).
    Busy = 75,
    /// The configuration is wrong: restarting cannot help (EX_CONFIG).
    Config = 78,
    /// The launcher could not confine the unit.
    LaunchFailed = 125,
}

impl ExitCode {
    /// The code for the kernel.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Whether a restart of the same binary with the same configuration is pointless.
    pub fn is_permanent(code: i32) -> bool {
        code == i32::from(Self::Config.code()) || code == i32::from(Self::Usage.code())
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}
