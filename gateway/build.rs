//! Makes sure that the folder of the built page exists, so that the gateway can be built without it.
//! An empty folder means: `/` says how to build the page.

use std::path::Path;

fn main() {
    let dist = Path::new("ui/dist");
    // A read-only source tree is fine too: the embedding tolerates a missing folder.
    let _ = std::fs::create_dir_all(dist);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=ui/dist");
}
