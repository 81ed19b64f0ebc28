//! Creel's channel worker for platforms that are JSON over HTTPS, and IRC.
