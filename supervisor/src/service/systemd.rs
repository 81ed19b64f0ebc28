//! The systemd unit, for the machine and for one user, from one template.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Scope;

/// Where the machine's own unit is written.
pub const SYSTEM_UNIT: &str = "/etc/systemd/system/creel.service";

/// Where a package puts it.
pub const PACKAGED_UNIT: &str = "/usr/lib/systemd/system/creel.service";

/// What one unit is to say.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Whose it is.
    pub scope: Scope,
    /// The binary, absolute.
    pub program: PathBuf,
}

impl Unit {
    /// The text of the unit file.
    pub fn text(&self) -> String {
        let program = quoted(&self.program);
        let mut text = String::from(
            "# Made by Creel from its own template; `creel service text` prints it. Change it with `systemctl edit`.\n",
        );
        text.push_str(HEAD);
        text.push_str(match self.scope {
            Scope::System => "After=network-online.target\nWants=network-online.target\n",
            Scope::User => "",
        });
        let _infallible = write!(
            text,
            "\n[Service]\nType=notify\nNotifyAccess=main\nExecStart={program} up\nExecReload={program} reload\n"
        );
        text.push_str(match self.scope {
            Scope::System => SYSTEM_PLACE,
            Scope::User => USER_PLACE,
        });
        text.push_str(LIFE);
        text.push_str(TREE);
        text.push_str(match self.scope {
            Scope::System => SYSTEM_WALLS,
            Scope::User => USER_WALLS,
        });
        text.push_str(match self.scope {
            Scope::System => "\n[Install]\nWantedBy=multi-user.target\n",
            Scope::User => "\n[Install]\nWantedBy=default.target\n",
        });
        text
    }
}

/// A path as one word of a command line of systemd.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy().replace('%', "%%").replace('$', "$$");
    if text.chars().all(|c| !c.is_whitespace() && !"\"'\\;".contains(c)) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const HEAD: &str = "\
[Unit]
Description=Creel, a home for AI agents
Documentation=man:creel(1)
# More than 20 starts in 5 minutes: something is wrong that starting again does not cure.
StartLimitIntervalSec=300
StartLimitBurst=20
";

const SYSTEM_PLACE: &str = "
# Its own user, its own folders; /etc/creel is read-only to it, like everything else of the system.
User=creel
Group=creel
Environment=CREEL_HOME=/var/lib/creel CREEL_CONFIG=/etc/creel/creel.json CREEL_RUNTIME_DIR=/run/creel
StateDirectory=creel
StateDirectoryMode=0700
RuntimeDirectory=creel
# The control socket outlives a crash, see FileDescriptorStoreMax.
RuntimeDirectoryPreserve=restart
# Members of the group creel may reach the control socket, which shows them everything and lets them change nothing.
RuntimeDirectoryMode=0750
Environment=CREEL_SHARED=1
UMask=0077
# Keys of providers, as variables: lines of NAME=value in creel.env, or one file for each in the folder (the name is the
# variable's). Only root can read either; the service gets copies.
EnvironmentFile=-/etc/creel/creel.env
LoadCredential=creel:/etc/creel/credentials
";

const USER_PLACE: &str = "
EnvironmentFile=-%h/.creel/creel.env
UMask=0077
";

const LIFE: &str = "
TimeoutStartSec=90
# The supervisor stops its tree in order within 25 s.
TimeoutStopSec=30
WatchdogSec=30
Restart=always
# At once: systemd rounds any wait up by as much as a quarter of a second. RestartSteps= is left out although newer ones
# know it: it counts over the service's whole life, so that the sixth crash of a year would cost the longest wait.
RestartSec=0
# The configuration is wrong (78), or somebody said `creel stop` (0): to start it again helps nobody.
RestartPreventExitStatus=78
RestartPreventExitStatus=0
";

const TREE: &str = "
# SIGTERM goes to the supervisor alone, which ends its units in order; what is left then is killed.
KillMode=mixed
# Each unit of Creel gets a group of its own with limits of its own, and dies alone of them.
Delegate=memory pids cpu
OOMPolicy=continue
# systemd keeps the port and the control socket over a crash: whoever connects meanwhile waits and is not refused.
FileDescriptorStoreMax=64
TasksMax=4096
LimitNOFILE=65536
";

/// As a whole they were run on Debian 12 (systemd 252). Of the absent ones only `RestrictSUIDSGID` was tried and seen to
/// break launches; the other reasons are from documentation.
const SYSTEM_WALLS: &str = "
# Walls around the whole. The units inside have much stronger ones of their own, for which the supervisor needs user
# namespaces and a fresh /proc. So these are absent, and why:
#   ProtectKernelTunables, ProtectKernelLogs, ProcSubset   mount over parts of /proc: the kernel then gives no fresh one
#   ProtectControlGroups                                   the delegated groups are written
#   PrivateUsers                                           the control socket must see who is calling
#   RestrictSUIDSGID                                       refuses openat2, with which views are opened safely
#   MemoryDenyWriteExecute                                 tools of agents may be programs with a JIT, such as node
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelModules=yes
ProtectClock=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=user mnt pid net ipc uts cgroup
RestrictRealtime=yes
LockPersonality=yes
KeyringMode=private
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
";

const USER_WALLS: &str = "
# A user's manager cannot take away what the user has; the units' own sandboxes are what counts.
NoNewPrivileges=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
";

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(scope: Scope) -> String {
        Unit { scope, program: PathBuf::from("/usr/bin/creel") }.text()
    }

    #[test]
    fn the_units_read_well() {
        insta::assert_snapshot!("system", unit(Scope::System));
        insta::assert_snapshot!("user", unit(Scope::User));
    }

    #[test]
    fn an_odd_path_stays_one_word() {
        assert_eq!(quoted(Path::new("/opt/my creel/50%/$x")), "\"/opt/my creel/50%%/$$x\"");
        assert_eq!(quoted(Path::new("/usr/bin/creel")), "/usr/bin/creel");
    }
}
