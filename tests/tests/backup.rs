//! A home that is full and in use goes into a backup, and comes back elsewhere.
//!
//! `CREEL_BACKUP_MIB=1024 cargo test -p creel-tests backup -- --nocapture` is the same with a home of years, and says what
//! it took. The programs: `CREEL_BIN_DIR`.

use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use creel_kit::ws::Client;
use creel_kit::{TestHome, process};
use serde_json::json;

use crate::with;

/// How large the home is, in MiB, unless `CREEL_BACKUP_MIB` says otherwise.
const MIB: usize = 12;
/// Bytes of a session's file, and of a message in it.
const FILE: usize = 2 << 20;
const MESSAGE: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(500);

fn mib() -> usize {
    std::env::var("CREEL_BACKUP_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(MIB)
}

/// Text about a ferry, and another one for each number.
fn text(number: usize, bytes: usize) -> String {
    static WORDS: LazyLock<String> = LazyLock::new(|| {
        let mut state = 1_u64;
        let mut words = String::new();
        while words.len() < 2 << 20 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            words.push_str(&format!(" w{}", (state >> 33) % 200_000));
        }
        words
    });
    let from = number * 7_919 % (1 << 20);
    format!("m{number} ferry {}", &WORDS[from..from + bytes])
}

/// A session file of Pi.
fn session(number: usize) -> String {
    let header = json!({"type": "session", "version": 3, "id": format!("s-{number}"), "timestamp": "2026-11-21T08:00:00.000Z", "cwd": "/"});
    let mut file = format!("{header}\n");
    let mut parent = serde_json::Value::Null;
    for n in 0.. {
        let id = format!("e{n}");
        let message = json!({"role": "user", "content": text(number * 10_000 + n, MESSAGE)});
        let record = json!({"type": "message", "id": id, "parentId": parent, "timestamp": "2026-11-21T08:00:01.000Z", "message": message});
        file.push_str(&format!("{record}\n"));
        parent = id.into();
        if file.len() > FILE {
            break;
        }
    }
    file
}

/// Half of it conversations, in the database twice (as entries and as the file's lines); half of it files of an agent.
async fn fill(home: &TestHome, mib: usize) -> Result<()> {
    let folder = home.scratch().join("sessions");
    std::fs::create_dir(&folder)?;
    let sessions = ((mib << 20) / (4 * FILE)).max(1);
    for number in 0..sessions {
        let path = folder.join(format!("{number}.jsonl"));
        std::fs::write(&path, session(number))?;
        let path = path.to_string_lossy().into_owned();
        home.cli_within(&["sessions", "import", &path], PATIENCE).await?.success()?;
        std::fs::remove_file(&path)?;
    }
    let workspace = home.path().join("workspace/years");
    std::fs::create_dir_all(&workspace)?;
    for number in 0..mib / 2 {
        std::fs::write(workspace.join(format!("{number}.txt")), text(number, 1 << 20))?;
    }
    Ok(())
}

/// Bytes of what is in a folder. What goes meanwhile, as a home in use has it, counts nothing.
fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let bytes = entries.filter_map(|entry| {
        let meta = entry.metadata().ok()?;
        Some(if meta.is_dir() { size(&entry.path()) } else { meta.len() })
    });
    bytes.sum()
}

/// Runs `creel` to its end, and says what it said, how long it took and the most memory that one of its processes had.
#[expect(clippy::print_stderr, reason = "what it took is what the larger run is for")]
async fn measured(home: &TestHome, args: &[&str]) -> Result<(String, Duration, u64)> {
    let over = AtomicBool::new(false);
    let watch = async {
        let mut most = 0;
        while !over.load(Ordering::Relaxed) {
            let ours =
                process::tree(std::process::id()).into_iter().filter(|stat| stat.name == "creel-gateway");
            let backups = ours.filter(|stat| {
                let line = std::fs::read(format!("/proc/{}/cmdline", stat.process.pid)).unwrap_or_default();
                line.split(|byte| *byte == 0).nth(1) == Some(b"backup".as_slice())
            });
            let peaks = backups.filter_map(|stat| process::memory(stat.process.pid, "VmHWM"));
            most = peaks.fold(most, u64::max);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        most
    };
    let began = Instant::now();
    let ran = async {
        let ran = home.cli_within(args, PATIENCE).await;
        over.store(true, Ordering::Relaxed);
        (ran, began.elapsed())
    };
    let ((ran, took), most) = tokio::join!(ran, watch);
    let ran = ran?;
    ran.success()?;
    let said = format!("{}{}", ran.stdout, ran.stderr);
    eprintln!("creel {}: {:.1} s, {} MiB at most\n{said}", args.join(" "), took.as_secs_f64(), most >> 20);
    Ok((said, took, most))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_home_in_use_is_copied_checked_and_lives_on_elsewhere() -> Result<()> {
    let (home, mib) = (TestHome::new()?, mib());
    let file = home.scratch().join("b.tar").to_string_lossy().into_owned();
    let answered = AtomicU32::new(0);
    with(home.start().await?, async |creel| {
        fill(&home, mib).await?;
        let bytes = size(&home.path());
        ensure!(bytes as usize > (mib * 8 / 10) << 20, "the home has {} MiB", bytes >> 20);
        let done = AtomicBool::new(false);
        let mut client = Client::connect(creel).await?;
        // It works all the time: at least once before the end, and once in between.
        let work = async {
            while !done.load(Ordering::Relaxed) {
                let end = client.ask("main", "how are you meanwhile").await?;
                ensure!(end.state == "final", "{}", end.payload);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let copied = async {
            let made = measured(&home, &["backup", "create", "--to", &file]).await;
            done.store(true, Ordering::Relaxed);
            made
        };
        let (worked, copied) = tokio::join!(work, copied);
        worked?;
        let (said, ..) = copied?;
        ensure!(mib < 200 || said.contains("database: "), "nothing was said of how far it is: {said}");
        eprintln!("{} MiB in the home, {} answers meanwhile", bytes >> 20, answered.load(Ordering::Relaxed));
        Ok(())
    })
    .await?;
    ensure!(answered.load(Ordering::Relaxed) > 0, "nobody was answered while it was copied");

    let (_, _, most) = measured(&home, &["backup", "verify", &file]).await?;
    ensure!(most < 128 << 20, "{} MiB of memory", most >> 20);
    let again = home.scratch().join("again");
    let to = again.to_string_lossy().into_owned();
    measured(&home, &["backup", "restore", &file, "--to", &to]).await?;

    // Elsewhere is where the next Creel of this test looks for its home.
    let config = home.config()?;
    std::fs::remove_dir_all(home.path())?;
    std::fs::rename(&again, home.path())?;
    home.write_config(&config)?;
    let began = Instant::now();
    with(home.start().await?, async |creel| {
        eprintln!("the restored home is ready after {:.1} s", began.elapsed().as_secs_f64());
        let mut client = Client::connect(creel).await?;
        let end = client.ask("main", "hello again").await?;
        ensure!(end.state == "final", "{}", end.payload);
        let found = creel.cli(&["sessions", "search", "ferry", "m1", "--json"]).await?;
        let found = found.json()?;
        ensure!(found["results"][0]["sessionId"] == "s-0", "{found}");
        let kept = std::fs::read_to_string(home.path().join("workspace/years/0.txt"))?;
        ensure!(kept == text(0, 1 << 20), "a file of the agent is another one");
        let inbox = creel.cli(&["inbox", "--json"]).await?.json()?;
        let waiting = inbox["rows"].as_array().context("no rows")?.len();
        ensure!(waiting <= 1, "only what was being answered can be set aside: {inbox}");
        Ok(())
    })
    .await
}
