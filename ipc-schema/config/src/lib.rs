//! Creel's operator configuration: strict JSON5 and TOML with line and column, and the unit plan derived from it.
