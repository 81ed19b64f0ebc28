//! Creel's egress: the one way out, one listener per unit.
