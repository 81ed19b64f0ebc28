//! Creel: a home for AI agents that cannot take each other down (supervisor and command line).
