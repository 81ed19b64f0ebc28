//! Limits of one `creel sandbox exec`.

use std::process::Stdio;

use crate::disk::{Disk, account, tag};
use crate::home::Home;

#[test]
fn the_limit_of_one_run_is_gone_after_it() {
    let Some(_disk) = Disk::mount("ext4", "loop,prjquota") else { return };
    let home = Home::new("{gateway: {port: PORT}}");
    let folder = home.path("work");
    std::fs::create_dir_all(folder.join("sub/deep")).unwrap();
    for file in ["a", "sub/b", "sub/deep/c"] {
        std::fs::write(folder.join(file), "x").unwrap();
    }
    std::os::unix::fs::symlink("/etc", folder.join("link")).unwrap();
    let exec = |script: &str| {
        let mut exec = home.cli(&["sandbox", "exec", "--disk", "2M", "--inodes", "50", "--workspace"]);
        exec.arg(&folder).args(["--", "sh", "-c", script]).stdout(Stdio::piped());
        let output = exec.output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (text, output.status.code())
    };
    let (text, code) = exec("head -c 9000000 /dev/zero > sub/deep/big");
    assert!(code != Some(0) && (text.contains("quota") || text.contains("space")), "{code:?} {text}");
    let project = tag(&folder).project;
    for file in ["", "sub", "sub/deep", "a", "sub/b", "sub/deep/c", "sub/deep/big"] {
        assert_eq!(tag(&folder.join(file)).project, project, "{file}");
    }
    assert!(project != 0 && tag("/etc".as_ref()).project == 0);
    assert_eq!(account(&folder, project).limit, creel_launch::quota::Limit::default());
    // At level 1 too, where there is no overlay.
    let mut bare = home.cli(&["sandbox", "exec", "--level", "l1", "--disk", "2M", "--workspace"]);
    bare.arg(&folder).args(["--", "sh", "-c", "rm sub/deep/big; head -c 9000000 /dev/zero > big"]);
    let said = String::from_utf8(bare.output().unwrap().stderr).unwrap();
    if !said.contains("Landlock") {
        assert!(said.contains("quota") || said.contains("space"), "{said}");
    }
}
