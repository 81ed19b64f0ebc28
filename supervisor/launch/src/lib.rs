//! Creel's launcher: the one place where a process is confined and executed.
