//! The first act of every Creel worker: give up fork and exec, and die on a panic.
