//! Processes that outlive their unit where neither a cgroup nor a pid namespace ends them with it, and children that
//! nobody waits for.
//!
//! The supervisor is then the subreaper of everything below it: whoever loses its parent becomes its child and is found.
//! Every process of a unit bears the incarnation's mark in its environment, so that an orphan has a name. A process that
//! is not below the supervisor is never looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use creel_launch::Signal;
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, set_child_subreaper, waitid,
};

use crate::stat::Stat;
use crate::unit::At;

/// The variable that bears the mark.
pub const MARK: &str = "CREEL_INCARNATION";
/// Rounds of a sweep: one that forks faster than it is killed is left to the next one.
const ROUNDS: u32 = 500;
/// Between two rounds: the kernel needs a moment.
const ROUND: Duration = Duration::from_millis(2);
/// Between two looks at children that nobody knows.
pub const LOOK: Duration = Duration::from_millis(300);

/// Looks at a launch under way until it is taken for something that stays.
const PATIENCE: u32 = 20;

/// Makes this process the parent of every orphan below it.
pub fn adopt() {
    if let Err(error) = set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::warn!("Processes that lose their parent go to init, where nobody finds them: {error}.");
    }
}

/// The children of a process.
fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let listed = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    listed
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

fn is_marked(pid: u32, mark: &str) -> bool {
    let wanted = format!("{MARK}={mark}");
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
}

/// The mark of a living process.
pub fn mark_of(pid: u32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let mark = variables.find_map(|variable| variable.strip_prefix(format!("{MARK}=").as_bytes()))?;
    String::from_utf8(mark.to_vec()).ok()
}

/// Everybody below this process who belongs to an incarnation: by its mark, by the session or group of its first process,
/// or by descent from one of these.
fn belonging(mark: &str, leader: u32) -> Vec<Stat> {
    let mut found = Vec::new();
    let mut open: Vec<(u32, bool)> =
        children(std::process::id()).into_iter().map(|pid| (pid, false)).collect();
    let mut seen = BTreeSet::new();
    while let Some((pid, inherited)) = open.pop() {
        let Some(entry) = Stat::of(pid).filter(|_| seen.insert(pid)) else { continue };
        let its = pid != leader
            && (inherited || entry.session == leader || entry.group == leader || is_marked(pid, mark));
        open.extend(children(pid).into_iter().map(|child| (child, its)));
        if its {
            found.push(entry);
        }
    }
    found
}

/// Ends whoever is left of an incarnation whose first process has ended.
pub async fn sweep(mark: &str, leader: u32) {
    for _ in 0..ROUNDS {
        let left = belonging(mark, leader);
        if left.is_empty() {
            return;
        }
        for entry in left {
            if entry.zombie {
                // Its parent may be one of them and not have waited; ours are waited for here.
                reap(entry.pid);
            } else {
                end(&entry);
            }
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// SIGKILL by pidfd, to this very process and to no other that got its number.
fn end(entry: &Stat) {
    let Some(pidfd) = pidfd(entry.pid) else { return };
    if Stat::of(entry.pid).is_some_and(|now| now.started == entry.started) {
        let _ended = pidfd_send_signal(pidfd, Signal::KILL);
    }
}

fn pidfd(pid: u32) -> Option<std::os::fd::OwnedFd> {
    pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()
}

/// Waits for a child that has ended; somebody else's child is not touched by that.
fn reap(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _not_ours = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

/// Children of this process that nobody knows: what it adopted, and what was left of a launcher stage that was killed.
#[derive(Debug, Default)]
pub struct Orphans {
    due: Option<At>,
    seen: BTreeMap<u32, Stranger>,
}

#[derive(Debug)]
struct Stranger {
    started: u64,
    /// How often it was looked at.
    looks: u32,
    told: bool,
}

/// A process that outlives its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escaped {
    /// Its id.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

impl Orphans {
    /// When [`Orphans::look`] is due.
    pub fn due(&self) -> Option<At> {
        self.due
    }

    /// There may be some.
    pub fn expect(&mut self, now: At) {
        self.due.get_or_insert(now + LOOK);
    }

    /// Reaps those that have ended and names those that live. `known`: who is waited for elsewhere. Nobody is judged at
    /// first sight: what is being launched is known a moment later.
    pub fn look(&mut self, known: &BTreeSet<u32>, now: At) -> Vec<Escaped> {
        let (mut escaped, mut still, mut zombies) = (Vec::new(), BTreeMap::new(), false);
        for pid in children(std::process::id()).into_iter().filter(|pid| !known.contains(pid)) {
            let Some(entry) = Stat::of(pid) else { continue };
            let before = self.seen.remove(&pid).filter(|before| before.started == entry.started);
            let mut told = before.as_ref().is_some_and(|before| before.told);
            let looks = before.as_ref().map_or(0, |before| before.looks) + 1;
            match (&before, entry.zombie) {
                (Some(_), true) => {
                    reap(pid);
                    continue;
                }
                (None, true) => zombies = true,
                // What runs our own program is being launched, or is there to stay.
                (Some(_), false) if !told && is_ours(pid) => told = looks >= PATIENCE,
                (Some(_), false) if !told => {
                    told = true;
                    escaped.push(Escaped { pid, name: entry.name });
                }
                _ => {}
            }
            still.insert(pid, Stranger { started: entry.started, looks, told });
        }
        self.seen = still;
        let unjudged = self.seen.values().any(|stranger| !stranger.told);
        self.due = (zombies || unjudged).then_some(now + LOOK);
        escaped
    }
}

/// Tells, by a call of `ended` now and then, that children have ended.
///
/// # Errors
/// What the system said.
pub fn notice(mut ended: impl FnMut() + 'static) -> std::io::Result<()> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, theirs)?;
    let mut ours = tokio::net::UnixStream::from_std(ours)?;
    tokio::task::spawn_local(async move {
        let mut bytes = [0; 64];
        while tokio::io::AsyncReadExt::read(&mut ours, &mut bytes).await.is_ok_and(|count| count > 0) {
            ended();
            tokio::time::sleep(LOOK).await;
        }
    });
    Ok(())
}

/// Whether it runs our own program: a launch under way.
fn is_ours(pid: u32) -> bool {
    let program = |path: String| {
        std::fs::metadata(path).ok().map(|found| {
            use std::os::unix::fs::MetadataExt;
            (found.dev(), found.ino())
        })
    };
    let own = program("/proc/self/exe".to_owned());
    own.is_some() && program(format!("/proc/{pid}/exe")) == own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_nobody_waits_for_is_reaped_at_second_sight() {
        let child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        // Never waited for by its handle.
        drop(child);
        let mut orphans = Orphans::default();
        let mut now = At::ZERO;
        orphans.expect(now);
        // Whoever else this process started is known.
        let known: BTreeSet<u32> =
            children(std::process::id()).into_iter().filter(|other| *other != pid).collect();
        while Stat::of(pid).is_some_and(|entry| !entry.zombie) {
            std::thread::yield_now();
        }
        orphans.look(&known, now);
        assert!(Stat::of(pid).is_some(), "not at first sight");
        now = orphans.due().unwrap();
        orphans.look(&known, now);
        assert_eq!(Stat::of(pid), None);
    }

    fn pid_in(text: &str, name: &str) -> u32 {
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap()
    }

    #[test]
    fn a_sweep_finds_daemons_by_their_mark_and_touches_no_stranger() {
        adopt();
        let mark = format!("agent:test.{}", std::process::id());
        // One that ignores SIGTERM in a session of its own, one that lost its parent, one in the leader's own group.
        let script = "setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & sleep 1000' & (setsid sleep 1000 &) ; \
                      sleep 1000 & setsid env -i sleep 1000 & echo away $!";
        let mut leader = std::process::Command::new("sh")
            .args(["-c", script])
            .env(MARK, &mark)
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut bystander = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = leader.id();
        let mut output = std::io::BufReader::new(leader.stdout.take().unwrap());
        let mut text = String::new();
        std::io::BufRead::read_line(&mut output, &mut text).unwrap();
        let away = pid_in(&text, "away ");
        leader.wait().unwrap();
        // Programs are executed a moment after their process begins.
        while Stat::of(away).is_some_and(|entry| entry.name != "sleep" || entry.session != away) {
            std::thread::yield_now();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(sweep(&mark, pid));
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        assert_eq!(pids.filter(|pid| is_marked(*pid, &mark)).collect::<Vec<u32>>(), Vec::<u32>::new());
        assert_eq!(bystander.try_wait().unwrap(), None, "a stranger was ended");

        // Whoever cleared its environment and left the session is named, and left alone.
        let mut orphans = Orphans::default();
        let known: BTreeSet<u32> =
            children(std::process::id()).into_iter().filter(|child| *child != away).collect();
        assert_eq!(orphans.look(&known, At::ZERO), []);
        let escaped = orphans.look(&known, LOOK);
        assert_eq!(escaped, [Escaped { pid: away, name: "sleep".into() }]);
        assert_eq!(orphans.look(&known, LOOK * 2), [], "named once");
        assert_eq!(orphans.due(), None, "nothing to wait for until a child ends");
        end(&Stat::of(away).unwrap());
        bystander.kill().unwrap();
        bystander.wait().unwrap();
    }
}
