use creel_ipc::msg::agent::Model;

use super::Hub;

impl Hub {
    /// The models that an agent asks, in their order; of an agent that does not exist, none.
    pub fn models(&self, agent: &str) -> Vec<Model> {
        let settings = self.core.settings();
        let config = settings.config.agent_config(agent, &settings.paths, &settings.found);
        config.map(|config| config.models).unwrap_or_default()
    }
}
