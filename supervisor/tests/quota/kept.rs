//! Limits under the supervisor, from the configuration to what a command can do about them.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::disk::{Disk, account, set_tag, tag};
use crate::home::{Home, not_measured};

const LIMITED: &str = "{gateway: {port: PORT}, sandbox: {disk: '8m', inodes: 100, scope: 'agent'}}";
const OPEN: &str = "{gateway: {port: PORT}, sandbox: {scope: 'agent'}}";

/// A home on the file system of the test, up.
fn up(config: &str) -> Home {
    Home::up(config, &["gateway", "agent:main"])
}

fn sh(run: &str, script: &str) -> Value {
    json!({"run": run, "agent": "main", "argv": ["sh", "-c", script]})
}

fn run(home: &Home, run: &str, script: &str) -> Value {
    home.gateway("tool.run", sh(run, script))
}

fn workspace(home: &Home) -> PathBuf {
    home.path("home/workspace").canonicalize().unwrap()
}

/// Who keeps the bytes of the workspace, and the gaps that are told.
fn explained(home: &Home) -> (String, String) {
    let said = home.control("sandbox.explain", json!({"agent": "main"})).unwrap();
    let commands = &said["sandboxes"][0];
    let bytes = format!("bytes in {}", workspace(home).display());
    let limits = commands["limits"].as_array().unwrap();
    let by = limits.iter().find(|limit| limit["what"] == bytes.as_str()).map(|limit| limit["by"].clone());
    let by = by.unwrap_or_default().as_str().unwrap_or("nobody").to_owned();
    (by, commands["gaps"].to_string())
}

fn until_kept_by(home: &mut Home, who: &str) -> String {
    home.until(&format!("limits by {who}"), |home| Some(explained(home)).filter(|(by, _)| by == who)).1
}

fn reload(home: &Home, config: &str) {
    home.configure(config);
    home.signal(Signal::HUP);
}

/// What a command could do about the number of its own files.
const ESCAPES: &str = r#"
import ctypes, fcntl, os, struct
libc = ctypes.CDLL(None, use_errno=True)
open('own', 'w').write('x')
def tried(name, call):
    try: call()
    except OSError as error: print(name, 'denied')
    else: print(name, 'WORKED')
def with_own(path, call):
    fd = os.open(path, os.O_RDONLY)
    try: call(fd)
    finally: os.close(fd)
attributes = lambda project: struct.pack('<IIIII8x', 0, 0, 0, project, 0)
tried('set', lambda: with_own('own', lambda fd: fcntl.ioctl(fd, 0x401c5820, attributes(0))))
tried('set folder', lambda: with_own('.', lambda fd: fcntl.ioctl(fd, 0x401c5820, attributes(0))))
tried('flags', lambda: with_own('.', lambda fd: fcntl.ioctl(fd, 0x40086602, struct.pack('<q', 0))))
def file_setattr():
    buffer = (ctypes.c_uint64 * 8)()
    if libc.syscall(469, -100, b'own', buffer, 24, 0) != 0: raise OSError(ctypes.get_errno(), '')
tried('file_setattr', file_setattr)
tried('link out', lambda: os.link('own', os.environ['HOME'] + '/own'))
tried('rename out', lambda: os.rename('own', os.environ['HOME'] + '/own'))
def quotactl():
    if libc.syscall(443, os.open('.', os.O_RDONLY), 0x80000802, 0, (ctypes.c_uint64 * 16)()) != 0:
        raise OSError(ctypes.get_errno(), '')
tried('quotactl', quotactl)
"#;

fn the_file_system_keeps_them(kind: &str) {
    let Some(_disk) = Disk::mount(kind, "loop,prjquota") else { return };
    let mut home = up(LIMITED);
    until_kept_by(&mut home, "quota");
    let folder = workspace(&home);
    let project = tag(&folder).project;
    assert!(project >= 2_000_000_000 && tag(&folder).inherits, "{project}");

    let fill = run(&home, "f1", "head -c 20000000 /dev/zero > big");
    let denials = fill["denials"].to_string();
    assert!(denials.contains("sandbox.disk") && denials.contains("8388608"), "{fill}");
    assert!(!denials.contains("sandbox.memory"), "{fill}");
    let kept = std::fs::metadata(folder.join("big")).unwrap().len();
    assert!(kept > 4 << 20 && kept <= 8 << 20, "{kept}");
    assert!(
        run(&home, "f2", "head -c 4000000 /dev/zero > more")["denials"].to_string().contains("sandbox.disk")
    );
    assert_eq!(run(&home, "f3", "rm -f big more")["code"], 0);
    let many = run(&home, "f4", "i=0; while [ $i -lt 300 ] && touch f$i; do i=$((i+1)); done; rm f*");
    assert!(many["denials"].to_string().contains("sandbox.inodes"), "{many}");
    // The home folder of commands has the same limits for itself.
    let homes = run(&home, "f5", "head -c 20000000 /dev/zero > ~/big; rm ~/big");
    assert!(homes["denials"].to_string().contains("sandbox.disk"), "{homes}");

    let tried = run(&home, "e1", &format!("python3 - <<'X'\n{ESCAPES}\nX"));
    let tried = tried["stdout"].as_str().unwrap();
    assert!(tried.matches("denied").count() == 7 && !tried.contains("WORKED"), "{tried}");
    let own = tag(&folder.join("own"));
    assert_eq!((own.project, tag(&folder).project, tag(&folder).inherits), (project, project, true));

    // What is written is there at once, and nobody has to wait for a process in the background.
    let start = json!({"command": sh("b1", "echo now > now; sleep 1000"), "terminal": false});
    assert_eq!(home.gateway("process.start", start)["process"], "b1");
    home.until("what it wrote", |_| std::fs::read(folder.join("now")).ok().filter(|text| text == b"now\n"));
    assert_eq!(run(&home, "b2", "cat now")["stdout"], "now\n");
    home.gateway("process.kill", json!({"process": "b1", "agent": "main"}));

    other_limits_and_none(&mut home, &folder, project);
    anothers_number_stays(&mut home, &folder);
}

/// Limits change with the configuration, without a run, and go with it.
fn other_limits_and_none(home: &mut Home, folder: &Path, project: u32) {
    reload(home, &LIMITED.replace("8m", "16m"));
    home.until("the new limit", |_| (account(folder, project).limit.bytes == Some(16 << 20)).then_some(()));
    reload(home, OPEN);
    home.until("no number", |_| (tag(folder).project == 0 && !tag(folder).inherits).then_some(()));
    home.until("no number of a file", |_| (tag(&folder.join("own")).project == 0).then_some(()));
    assert_eq!(account(folder, project).limit.bytes, None);
    let free = run(home, "o1", "head -c 20000000 /dev/zero > big && rm big");
    assert_eq!((&free["code"], free["denials"].to_string().contains("sandbox.disk")), (&json!(0), false));
}

/// What belongs to somebody else's project stays so, and the limits are kept by an overlay, with the reason.
fn anothers_number_stays(home: &mut Home, folder: &Path) {
    set_tag(&folder.join("own"), 4242);
    reload(home, LIMITED);
    let gaps = home.until("the reason", |home| Some(explained(home).1).filter(|gaps| gaps.contains("4242")));
    assert!(gaps.contains("own") && gaps.contains("overlay"), "{gaps}");
    assert_eq!((explained(home).0.as_str(), tag(&folder.join("own")).project), ("overlay", 4242));
    home.until("no number of the folder", |_| (tag(folder).project == 0).then_some(()));
    let fill = run(home, "a1", "head -c 20000000 /dev/zero > big");
    assert!(fill["denials"].to_string().contains("sandbox.disk"), "{fill}");
}

#[test]
fn ext4_keeps_limits() {
    the_file_system_keeps_them("ext4");
}

#[test]
fn xfs_keeps_limits() {
    the_file_system_keeps_them("xfs");
}

/// What a file system only counts, and nobody enforces, is not called a limit.
#[test]
fn a_file_system_that_only_counts_is_not_trusted() {
    let Some(_disk) = Disk::mount("ext4", "loop") else { return };
    let mut home = up(LIMITED);
    let gaps =
        home.until("a reason", |home| Some(explained(home)).filter(|(_, gaps)| gaps.contains("because")));
    assert_eq!(gaps.0, "overlay");
    let fill = run(&home, "n1", "head -c 20000000 /dev/zero > big");
    if fill["cause"] == "launch_failed" {
        return not_measured("an overlay on a file system of this test");
    }
    assert!(fill["denials"].to_string().contains("sandbox.disk"), "{fill}");
}
