//! Creel's gateway: the only owner of state, the one port, routing and delivery.
