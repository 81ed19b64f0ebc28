//! Creel's agent worker: model, tools and the turn loop of one agent.
