use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use creel_ipc::backup::{BackupCreate, BackupReport, BackupRestore};

use super::*;
use crate::store::{Claimant, Fate, LaneClaim, NewMessage, NewOutbound, Placed, Rules, Sqlite, Store as _};

fn home(root: &Path) -> PathBuf {
    let home = root.join("home");
    for folder in ["state/blobs/agent:main/in", "workspace/notes", "workspace/closed", "logs", "run"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    for (path, text) in [
        ("creel.json", "{ secret: 1 }"),
        ("state/gateway.token", "secret"),
        ("state/events.ndjson", "{}"),
        ("state/supervisor.lock", "1"),
        ("state/projects.json", "{}"),
        ("state/creel.before-schema-2.db", "old"),
        ("state/blobs/agent:main/in/abc", "a picture"),
        ("workspace/notes/day.md", "written by an agent"),
        ("workspace/closed/file", "in a folder that may not be written"),
        ("workspace/.env", "the agent's own"),
        ("logs/gateway.log", "passing"),
        ("run/control.sock", "passing"),
    ] {
        fs::write(home.join(path), text).unwrap();
    }
    symlink("notes/day.md", home.join("workspace/today")).unwrap();
    symlink("/nowhere", home.join("workspace/away")).unwrap();
    fs::set_permissions(home.join("workspace/notes/day.md"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(home.join("workspace/closed"), fs::Permissions::from_mode(0o500)).unwrap();
    home
}

fn outbound(key: &str) -> NewOutbound {
    let route = creel_ipc::msg::channel::Route {
        chat_id: "1".into(),
        kind: creel_ipc::msg::channel::ChatKind::Direct,
        thread: None,
        reply_to: None,
        addressee: None,
    };
    NewOutbound {
        key: key.into(),
        account: "telegram:default".into(),
        route,
        text: "x".repeat(3_000),
        attachments: Vec::new(),
        draft: None,
        run: None,
        agent: None,
        now_ms: 1,
    }
}

fn waiting(text: &str) -> NewMessage {
    let input = creel_ipc::msg::agent::InputMessage {
        text: text.into(),
        sender: None,
        author: None,
        context_only: false,
        quoted: None,
        attachments: Vec::new(),
        at_ms: 1,
    };
    let placed = Placed {
        lane: "agent:main:main".into(),
        agent: "main".into(),
        kind: "direct".into(),
        title: None,
        session_id: "s".into(),
        run: None,
        resets: false,
        route: None,
        input,
    };
    NewMessage { ext_id: text.into(), cursor: None, now_ms: 1, fate: Fate::Turn(placed) }
}

fn order(home: &Path, file: &Path, secrets: bool) -> BackupCreate {
    BackupCreate {
        home: home.display().to_string(),
        database: home.join("state/creel.db").display().to_string(),
        file: file.display().to_string(),
        secrets,
        progress: false,
    }
}

fn make(home: &Path, file: &Path, secrets: bool) -> BackupReport {
    create::create(&order(home, file, secrets), &mut Progress::stderr(false)).unwrap()
}

fn back(file: &Path, home: &Path) -> Result<BackupReport, BackupError> {
    back_with(file, home, false)
}

fn back_with(file: &Path, home: &Path, resume: bool) -> Result<BackupReport, BackupError> {
    let (file, home) = (file.display().to_string(), home.display().to_string());
    restore::restore(&BackupRestore { file, home, resume, progress: false }, Progress::stderr(false))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_home_in_use_is_copied_checked_and_restored() {
    let root = tempfile::tempdir().unwrap();
    let (home, file, again) = (home(root.path()), root.path().join("b.tar"), root.path().join("again"));
    let mut store = Sqlite::open(&home.join("state/creel.db"), Rules::KEPT).unwrap();
    for n in 0..200 {
        store.enqueue(&outbound(&format!("before-{n}"))).unwrap();
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    let made = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                store.enqueue(&outbound(&format!("meanwhile-{n}"))).unwrap();
                n += 1;
            }
        });
        let made = make(&home, &file, false);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        writer.join().unwrap();
        made
    });
    assert_eq!(made.left_out, ["creel.json", "state/gateway.token"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let checked = read::verify(&file, Progress::stderr(false)).unwrap();
    assert_eq!(checked, made);
    assert_eq!(names(root.path()), ["b.tar", "home"], "nothing is left beside it");

    let restored = back(&file, &again).unwrap();
    assert!(restored.in_doubt >= 200, "{restored:?}");
    let read = |path: &str| fs::read_to_string(again.join(path)).unwrap();
    assert_eq!(read("workspace/notes/day.md"), "written by an agent");
    assert_eq!(read("workspace/today"), "written by an agent", "links are links");
    assert_eq!(fs::read_link(again.join("workspace/away")).unwrap(), Path::new("/nowhere"));
    assert_eq!(read("workspace/.env"), "the agent's own");
    assert_eq!(read("state/blobs/agent:main/in/abc"), "a picture");
    let mode = |path: &str| fs::metadata(again.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("workspace/notes/day.md"), mode("workspace/closed")), (0o640, 0o500));
    assert_eq!(names(&again), ["state", "workspace"]);
    assert_eq!(names(&again.join("state")), ["blobs", "creel.db", "events.ndjson"]);

    let mut store = Sqlite::open(&again.join("state/creel.db"), Rules::KEPT).unwrap();
    let own = store.claim_account(&Claimant::alone("new"), "telegram:default").unwrap().unwrap();
    assert!(store.open_outbound(&own, 10).unwrap().is_empty(), "nothing is said a second time by itself");
    assert_eq!(store.account("telegram:default").unwrap().unknown, restored.in_doubt);
    let occupied = back(&file, &again).unwrap_err();
    assert!(matches!(occupied, BackupError::Occupied(_)), "{occupied}");
    fs::set_permissions(home.join("workspace/closed"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(again.join("workspace/closed"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn what_waited_for_an_answer_is_set_aside_unless_it_is_to_be_answered() {
    let root = tempfile::tempdir().unwrap();
    let (home, file) = (home(root.path()), root.path().join("b.tar"));
    let mut store = Sqlite::open(&home.join("state/creel.db"), Rules::KEPT).unwrap();
    let who = Claimant::alone("old");
    let own = store.claim_account(&who, "telegram:default").unwrap().unwrap();
    let claim = |who: &Claimant, turn: &str| LaneClaim {
        who: who.clone(),
        lane: "agent:main:main".into(),
        turn: turn.into(),
        merge: false,
        fresh_id: "f".into(),
        stale_before_ms: i64::MIN,
        by_channel: Vec::new(),
        now_ms: 1,
    };
    for text in ["is being answered", "waits"] {
        store.accept(&own, &waiting(text)).unwrap();
    }
    let before = store.claim_lane(&claim(&who, "t1")).unwrap().unwrap();
    make(&home, &file, false);
    drop(store);

    let aside = root.path().join("aside");
    let restored = back(&file, &aside).unwrap();
    assert_eq!((restored.set_aside, restored.in_doubt), (2, 0));
    let mut store = Sqlite::open(&aside.join("state/creel.db"), Rules::KEPT).unwrap();
    let new = Claimant::alone("new");
    assert!(store.open_lanes(&new).unwrap().is_empty(), "nothing is answered by itself");
    let parked = store.parked(10).unwrap();
    let texts: Vec<_> = parked.iter().map(|message| message.input.text.as_str()).collect();
    assert_eq!(texts, ["is being answered", "waits"]);
    assert!(parked[0].error.as_ref().unwrap().contains("comes from a backup"), "{parked:?}");
    assert!(store.adopt_turn(&new, &before.turn).unwrap().is_none(), "nor does an old turn go on");
    for message in parked.iter().rev() {
        store.unpark(message.id).unwrap().unwrap();
    }
    let first = store.claim_lane(&claim(&new, "t2")).unwrap().unwrap();
    assert_eq!(
        (first.input[0].text.as_str(), first.pending),
        ("is being answered", 1),
        "in their old places"
    );

    let resumed = root.path().join("resumed");
    assert_eq!(back_with(&file, &resumed, true).unwrap().set_aside, 0);
    let mut store = Sqlite::open(&resumed.join("state/creel.db"), Rules::KEPT).unwrap();
    assert_eq!(store.claim_lane(&claim(&new, "t3")).unwrap().unwrap().turn.turn, "t1", "it goes on");
}

#[test]
fn secrets_are_in_it_when_they_are_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let (home, file, again) = (home(root.path()), root.path().join("b.tar"), root.path().join("again"));
    drop(Sqlite::open(&home.join("state/creel.db"), Rules::KEPT).unwrap());
    let made = make(&home, &file, true);
    assert!(made.secrets && made.left_out.is_empty(), "{made:?}");
    back(&file, &again).unwrap();
    assert_eq!(fs::read_to_string(again.join("state/gateway.token")).unwrap(), "secret");
    assert_eq!(fs::read_to_string(again.join("creel.json")).unwrap(), "{ secret: 1 }");
}

#[test]
fn what_is_not_whole_is_named_and_not_restored() {
    let root = tempfile::tempdir().unwrap();
    let (home, file, again) = (home(root.path()), root.path().join("b.tar"), root.path().join("again"));
    drop(Sqlite::open(&home.join("state/creel.db"), Rules::KEPT).unwrap());
    make(&home, &file, false);
    let whole = fs::read(&file).unwrap();
    let needle = b"written by an agent";
    let at = whole.windows(needle.len()).position(|window| window == needle).unwrap();
    let mut changed = whole.clone();
    changed[at] = b'W';
    let middle = whole.len() / 2;
    for (bytes, word) in [
        (changed, "home/workspace/notes/day.md is not what the manifest says"),
        (whole[..middle].to_vec(), ""),
        (b"no archive at all".to_vec(), ""),
    ] {
        fs::write(&file, bytes).unwrap();
        let said = read::verify(&file, Progress::stderr(false)).unwrap_err().to_string();
        assert!(said.contains(word) && said.contains("b.tar"), "{said}");
        back(&file, &again).unwrap_err();
        assert_eq!(names(root.path()), ["b.tar", "home"], "nothing half is left");
    }
}

#[test]
fn a_name_that_leads_out_of_the_home_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("b.tar");
    let mut archive = tar::Builder::new(fs::File::create(&file).unwrap());
    let mut header = tar::Header::new_gnu();
    // The library refuses to write such a name, so it is put into the header by hand.
    header.as_gnu_mut().unwrap().name[..17].copy_from_slice(b"home/../../escape");
    header.set_size(4);
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    archive.append(&header, &b"evil"[..]).unwrap();
    archive.finish().unwrap();
    drop(archive);
    let said = back(&file, &root.path().join("again")).unwrap_err().to_string();
    assert!(said.contains("does not lie in the home"), "{said}");
    assert_eq!(names(root.path()), ["b.tar"]);
}
