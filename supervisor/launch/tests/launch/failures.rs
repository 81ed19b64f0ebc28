//! A unit that cannot be confined as asked never runs, and says why.

use creel_launch::{Access, Exit, Ids, LaunchSpec, Launching, Level, Net, Role, Stage, View};

use crate::bench::{at, folder, is_root, launch, run, shell};

fn refused(spec: &LaunchSpec) -> creel_launch::LaunchError {
    match launch(spec) {
        Ok(_) => panic!("it ran"),
        Err(error) => error,
    }
}

#[test]
fn a_missing_program_is_an_exec_failure_with_its_errno() {
    for level in [Level::L2, Level::L1] {
        let spec = LaunchSpec::new("tool:x", Role::Tool, vec!["/usr/bin/no-such-program".into()]);
        let error = refused(&at(level, spec));
        assert_eq!((error.stage, error.errno), (Stage::Exec, Some(2)), "{error}");
        assert!(error.sentence.contains("/usr/bin/no-such-program"), "{error}");
        let bare = refused(&at(level, LaunchSpec::new("tool:x", Role::Tool, vec!["no-such-program".into()])));
        assert_eq!((bare.stage, bare.errno), (Stage::Exec, Some(2)), "{bare}");
    }
}

#[test]
fn a_file_that_is_no_program_is_an_exec_failure() {
    let error = refused(&LaunchSpec::new("tool:x", Role::Tool, vec!["/etc/passwd".into()]));
    assert_eq!((error.stage, error.errno), (Stage::Exec, Some(13)), "{error}");
}

#[test]
fn a_view_that_does_not_exist_is_named() {
    let mut spec = shell("true");
    spec.fs.push(View::ro("/no/such/folder"));
    let error = refused(&spec);
    assert_eq!((error.stage, error.errno), (Stage::View, Some(2)), "{error}");
    assert!(error.sentence.contains("/no/such/folder"), "{error}");
}

#[test]
fn nothing_is_created_in_a_folder_of_the_host_to_mount_on() {
    let (_keep, dir) = folder();
    let mut spec = shell("true");
    spec.fs.push(View::rw(&dir));
    spec.fs.push(View { path: "/usr/share".into(), at: dir.join("inner"), access: Access::Ro });
    let error = refused(&spec);
    assert_eq!(error.stage, Stage::View, "{error}");
    assert!(!dir.join("inner").exists());
}

#[test]
fn a_mount_point_that_is_a_link_is_refused() {
    let (_keep, dir) = folder();
    std::os::unix::fs::symlink("/usr", dir.join("inner")).unwrap();
    let mut spec = shell("true");
    spec.fs.push(View::rw(&dir));
    spec.fs.push(View { path: "/usr/share".into(), at: dir.join("inner"), access: Access::Ro });
    assert_eq!(refused(&spec).stage, Stage::View);
}

#[test]
fn a_working_directory_outside_the_view_is_refused() {
    let spec = LaunchSpec { cwd: "/root".into(), ..shell("true") };
    let error = refused(&spec);
    assert_eq!((error.stage, error.errno), (Stage::View, Some(2)), "{error}");
}

#[test]
fn a_nul_character_is_refused_before_anything_starts() {
    let mut spec = shell("true");
    spec.argv.push("a\0b".into());
    assert_eq!(refused(&spec).stage, Stage::Spec);
}

#[test]
fn only_egress_may_have_the_host_network() {
    let spec = LaunchSpec { net: Net::Host, ..shell("true") };
    assert_eq!(refused(&spec).stage, Stage::Spec);
}

#[test]
fn uid_0_is_refused() {
    let spec = LaunchSpec { ids: Some(Ids { uid: 0, gid: 0 }), ..shell("true") };
    assert_eq!(refused(&spec).stage, Stage::Spec);
}

#[test]
fn a_launch_that_is_dropped_leaves_nothing() {
    let (mut output, write) = std::io::pipe().unwrap();
    let stdin = std::fs::File::open("/dev/null").unwrap();
    let stdio = creel_launch::Stdio {
        stdin: stdin.into(),
        stdout: write.try_clone().unwrap().into(),
        stderr: write.into(),
    };
    drop(Launching::begin(&shell("sleep 1000"), stdio).unwrap());
    // The end of the stream: nobody is left who holds it.
    std::io::Read::read_to_end(&mut output, &mut Vec::new()).unwrap();
}

#[test]
fn a_large_policy_arrives_whole() {
    let mut spec = shell("printf '%s' \"$1\" | wc -c");
    spec.argv.extend(["sh".into(), "x".repeat(100_000)]);
    assert_eq!(run(&spec), (Exit::Code(0), "100000\n".into()));
}

#[test]
fn at_level_1_a_writable_view_must_belong_to_the_unit() {
    let (_keep, dir) = folder();
    let mut spec = at(Level::L1, shell("true"));
    spec.fs.push(View::rw(&dir));
    if is_root() {
        // The folder is root's, the unit is not.
        assert!(refused(&spec).sentence.contains("must belong to"));
        let own = Some(spec.ids.unwrap_or(Ids::for_units()).uid);
        std::os::unix::fs::chown(&dir, own, own).unwrap();
    }
    assert_eq!(run(&spec).0, Exit::Code(0));
}
