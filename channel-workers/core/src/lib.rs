//! What every Creel channel worker shares: link, account trait, rendering, chunking.
