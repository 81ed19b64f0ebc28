//! Creel's wire contract: frames, messages, limits and error classes, without any IO.
