//! What can be asked over the control socket, and whether the asking changes anything.

use creel_ipc::Request;
use creel_ipc::msg::control::{Logs, Stop, Upgrade, UpgradeStatus};
use creel_ipc::msg::egress::EgressTest;
use creel_ipc::msg::event::Events;
use creel_ipc::msg::sandbox::{SandboxExplain, SandboxHomes, SandboxPrune, SandboxWhy};
use creel_ipc::msg::supervisor::{ConfigReload, UnitRestart, UnitStart, UnitStop, UnitsStatus};

/// What a method does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Access {
    /// Looks.
    Read,
    /// Changes something.
    Write,
}

/// Every method of the socket. What is not here is not known, whatever else the supervisor could answer.
pub const METHODS: [(&str, Access); 15] = [
    (UnitsStatus::METHOD, Access::Read),
    (Events::METHOD, Access::Read),
    (Logs::METHOD, Access::Read),
    (SandboxExplain::METHOD, Access::Read),
    (SandboxWhy::METHOD, Access::Read),
    (SandboxHomes::METHOD, Access::Read),
    (SandboxPrune::METHOD, Access::Write),
    (UnitRestart::METHOD, Access::Write),
    (UnitStart::METHOD, Access::Write),
    (UnitStop::METHOD, Access::Write),
    (ConfigReload::METHOD, Access::Write),
    (Stop::METHOD, Access::Write),
    (UpgradeStatus::METHOD, Access::Read),
    (Upgrade::METHOD, Access::Write),
    // Makes egress ask a name server, and connect.
    (EgressTest::METHOD, Access::Write),
];

/// What a method does; `None` when it does not exist here.
pub fn access(method: &str) -> Option<Access> {
    METHODS.iter().find(|(name, _)| *name == method).map(|(_, access)| *access)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_in_the_catalog_and_those_of_the_gateway_are_not_here() {
        let catalog = creel_ipc::catalog::methods();
        for (name, _) in METHODS {
            assert!(catalog.iter().any(|method| method.name == name && method.result.is_some()), "{name}");
        }
        assert_eq!(access("control.stop"), Some(Access::Write));
        assert_eq!(access("tool.run"), None);
    }
}
