use std::sync::Arc;

use creel_ipc::ErrorClass;
use creel_ipc::msg::tool::{ToolRun, ToolRunParams};
use creel_link::CallError;

use super::kit::*;

/// What a worker is answered that asks for a command, in a gateway without a supervisor.
async fn asked(config: &str) -> ErrorClass {
    let home = Home::new(config);
    let gateway = home.gateway().await;
    let agent = agent(1, &Arc::new(World::default()));
    gateway.attach(&agent, true);
    let params = ToolRunParams {
        run: "t:0".to_owned(),
        agent: String::new(),
        argv: vec!["true".to_owned()],
        cwd: None,
        env: Default::default(),
        wall_ms: None,
        session: None,
        main: false,
        known_only: false,
        elevated: false,
        elevated_for: Vec::new(),
    };
    match agent.link.call::<ToolRun>(&params).await {
        Err(CallError::Refused(error)) => error.class(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_worker_that_asks_for_a_command_without_having_any_is_refused() {
    for denied in ["exec: { security: 'deny' }", "deny: ['ex*']", "allow: ['read']", "allow: []"] {
        let config = format!("{{ agents: {{ defaults: {{ tools: {{ {denied} }} }} }} }}");
        assert_eq!(asked(&config).await, ErrorClass::BadRequest, "{denied}");
    }
    assert_eq!(asked("{}").await, ErrorClass::Transient, "only the supervisor is missing");
}
