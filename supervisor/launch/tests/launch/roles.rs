//! Roles that nothing starts yet, launched as it will be: what they may do and what not.

use creel_launch::{Exit, LaunchSpec, Level, Net, Role, View};

use crate::bench::{at, folder, is_root, launch, run, worker};

fn stranger(role: Role, script: &str) -> LaunchSpec {
    LaunchSpec::new(format!("{}:test", role.name()), role, vec!["/bin/sh".into(), "-c".into(), script.into()])
}

/// Folders that the unit may write, whoever runs the tests.
fn own(dir: &std::path::Path) {
    if is_root() {
        let ids = creel_launch::Ids::for_units();
        std::os::unix::fs::chown(dir, Some(ids.uid), Some(ids.gid)).unwrap();
    }
}

#[test]
fn a_plugin_starts_processes_and_writes_its_scratch_alone() {
    let ((_a, package), (_b, scratch)) = (folder(), folder());
    std::fs::write(package.join("server"), "echo from the package\n").unwrap();
    own(&scratch);
    for role in [Role::Plugin, Role::Helper] {
        for level in [Level::L2, Level::L1] {
            let script = format!(
                "sh {0}/server | cat; echo x > {1}/{2}-{3}; (echo x > {0}/new) 2>/dev/null || echo kept; \
                 (echo x > /usr/new) 2>/dev/null || echo kept",
                package.display(),
                scratch.display(),
                role.name(),
                level
            );
            let mut spec = at(level, stranger(role, &script));
            spec.fs.extend([View::ro(&package), View::rw(&scratch)]);
            assert_eq!(
                run(&spec),
                (Exit::Code(0), "from the package\nkept\nkept\n".into()),
                "{role:?} {level}"
            );
            assert!(scratch.join(format!("{}-{level}", role.name())).exists());
        }
    }
}

#[test]
fn a_plugin_reaches_its_listener_and_at_level_1_has_none() {
    for role in [Role::Plugin, Role::Helper] {
        let networked =
            |level| LaunchSpec { net: Net::Listener, ..at(level, stranger(role, "echo $https_proxy")) };
        let running = launch(&networked(Level::L2)).unwrap();
        let (_, port) = running.unit.listener.as_ref().unwrap();
        let proxy = format!("http://127.0.0.1:{port}\n");
        assert_eq!(running.finish().1, proxy);
        let Err(error) = launch(&networked(Level::L1)) else { panic!("{role:?} ran") };
        assert!(error.sentence.contains("network access"), "{error}");
    }
}

#[test]
fn a_heavy_channel_is_a_channel_worker_with_more_room() {
    let (exit, text) = run(&worker(Role::HeavyChannel, "worker"));
    assert_eq!(exit, Exit::Code(0), "{text}");
    let (_, channel) = run(&worker(Role::Channel, "worker"));
    assert_eq!(text, channel, "the same walls");
    assert!(text.contains("fork -1 exec 13"), "{text}");
    let limits = |role| LaunchSpec::new("x", role, Vec::new()).limits;
    assert!(limits(Role::HeavyChannel).data > limits(Role::Channel).data);
}
