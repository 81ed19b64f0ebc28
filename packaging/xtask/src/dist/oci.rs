//! The OCI image: one layer with the binaries and the libraries they need, written as a layout without any builder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::Stage;
use crate::shell::{answers, command, must};

const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Writes the layout as one archive and returns its path.
pub(super) fn make(stage: &Stage) -> Result<PathBuf> {
    let folder = super::folder().join("oci");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let (rootfs, layout) = (folder.join("rootfs"), folder.join("layout"));
    fill(stage, &rootfs)?;
    fs::create_dir_all(layout.join("blobs/sha256"))?;
    let layer = folder.join("layer.tar");
    super::tar(&rootfs, &layer, &["."], &[])?;
    let layer_size = fs::metadata(&layer)?.len();
    let layer_digest = super::sha256(&layer)?;
    fs::rename(&layer, layout.join("blobs/sha256").join(&layer_digest))?;

    let config = blob(&layout, &config(&layer_digest))?;
    let manifest = blob(&layout, &manifest(&config, (&layer_digest, layer_size)))?;
    fs::write(layout.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}")?;
    fs::write(layout.join("index.json"), index(&manifest, &stage.version))?;
    let archive = super::folder().join(format!("creel-{}-oci-{}.tar", stage.version, architecture()));
    super::tar(&layout, &archive, &["."], &[])?;
    // Somebody else's eyes, where there are some.
    if answers("skopeo", "--version") {
        must(command("skopeo", &["inspect", "--raw"]).arg(format!("oci-archive:{}", archive.display())))?;
    }
    Ok(archive)
}

/// The files of the image.
fn fill(stage: &Stage, rootfs: &Path) -> Result<()> {
    for part in ["usr/bin", "usr/libexec/creel"] {
        let to = rootfs.join(part);
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(stage.root.join(part))? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    for library in libraries(stage)? {
        let to = rootfs.join(library.trim_start_matches('/'));
        fs::create_dir_all(to.parent().context("a library lies in a folder")?)?;
        fs::copy(&library, &to).with_context(|| format!("{library} cannot be copied"))?;
    }
    for folder in ["etc/ssl/certs", "etc/creel", "var/lib/creel", "run/creel", "tmp", "proc", "dev"] {
        fs::create_dir_all(rootfs.join(folder))?;
    }
    if Path::new(CERTIFICATES).exists() {
        fs::copy(CERTIFICATES, rootfs.join(CERTIFICATES.trim_start_matches('/')))?;
    }
    fs::write(
        rootfs.join("etc/passwd"),
        "root:x:0:0:root:/root:/sbin/nologin\ncreel:x:10001:10001::/var/lib/creel:/sbin/nologin\n",
    )?;
    fs::write(rootfs.join("etc/group"), "root:x:0:\ncreel:x:10001:\n")?;
    // The numbers of the files' owners are root's in the layer; these two are for the volume that is mounted over them.
    must(
        command("chmod", &["1777"])
            .arg(rootfs.join("tmp"))
            .arg(rootfs.join("var/lib/creel"))
            .arg(rootfs.join("run/creel")),
    )
}

/// The shared libraries of all binaries, and the loader.
fn libraries(stage: &Stage) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for part in ["usr/bin", "usr/libexec/creel"] {
        for entry in fs::read_dir(stage.root.join(part))? {
            let output = command("ldd", &[]).arg(entry?.path()).output().context("ldd cannot be started")?;
            ensure!(output.status.success(), "ldd failed");
            found.extend(paths(&String::from_utf8(output.stdout)?));
        }
    }
    Ok(found)
}

/// The paths in what ldd prints.
fn paths(said: &str) -> Vec<String> {
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned);
    said.lines().filter_map(path).collect()
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Writes a blob under its digest; its digest and size.
fn blob(layout: &Path, text: &str) -> Result<(String, u64)> {
    let blobs = layout.join("blobs/sha256");
    let beside = blobs.join("new");
    fs::write(&beside, text)?;
    let digest = super::sha256(&beside)?;
    fs::rename(&beside, blobs.join(&digest))?;
    Ok((digest, u64::try_from(text.len())?))
}

fn config(layer: &str) -> String {
    format!(
        "{{\"architecture\":\"{}\",\"os\":\"linux\",\"config\":{{\"User\":\"10001:10001\",\
         \"Env\":[\"PATH=/usr/bin\",\"CREEL_HOME=/var/lib/creel\",\"CREEL_RUNTIME_DIR=/run/creel\"],\
         \"Entrypoint\":[\"/usr/bin/creel\"],\"Cmd\":[\"up\"],\"WorkingDir\":\"/var/lib/creel\",\
         \"Volumes\":{{\"/var/lib/creel\":{{}}}},\"ExposedPorts\":{{\"18789/tcp\":{{}}}},\"StopSignal\":\"SIGTERM\"}},\
         \"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"sha256:{layer}\"]}}}}",
        architecture()
    )
}

fn manifest((config, config_size): &(String, u64), (layer, layer_size): (&str, u64)) -> String {
    format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
         \"config\":{{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:{config}\",\
         \"size\":{config_size}}},\"layers\":[{{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\
         \"digest\":\"sha256:{layer}\",\"size\":{layer_size}}}]}}"
    )
}

fn index((manifest, size): &(String, u64), version: &str) -> String {
    format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{{\
         \"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:{manifest}\",\"size\":{size},\
         \"platform\":{{\"architecture\":\"{}\",\"os\":\"linux\"}},\
         \"annotations\":{{\"org.opencontainers.image.ref.name\":\"{version}\"}}}}]}}",
        architecture()
    )
}

#[cfg(test)]
mod tests {
    use super::paths;

    #[test]
    fn libraries_are_found_by_their_paths() {
        let said = "\tlinux-vdso.so.1 (0x0)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x1)\n\t/lib64/ld-linux-x86-64.so.2 (0x2)\n";
        assert_eq!(paths(said), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }
}
