//! A home of its own for one test, and the supervisor in it.

pub(crate) mod leaks;
mod look;

pub(crate) use look::{Memory, descriptors, is_alive, parent, send, zombies};

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take that has no time of its own.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A home with the test's units in place of the real ones.
pub(crate) struct Home {
    dir: TempDir,
    pub(crate) port: u16,
    /// The program of the supervisor.
    pub(crate) creel: PathBuf,
    /// A command that becomes the supervisor, with the supervisor's own after it.
    pub(crate) prefix: Vec<String>,
    /// The supervisor's number, also when it is gone.
    pub(crate) last_pid: u32,
    supervisor: Option<Child>,
}

impl Home {
    /// A home with this configuration; `PORT` in it becomes a free port.
    pub(crate) fn new(config: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("creel-up-").tempdir().unwrap();
        let libexec = dir.path().join("libexec");
        std::fs::create_dir_all(&libexec).unwrap();
        let worker = test_worker();
        for name in ["creel-gateway", "creel-egress", "creel-agent", "creel-channel"] {
            let target = libexec.join(name);
            if std::fs::hard_link(&worker, &target).is_err() {
                std::fs::copy(&worker, &target).unwrap();
            }
        }
        std::fs::create_dir_all(dir.path().join("home")).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let home = Self { dir, port, creel: creel(), prefix: Vec::new(), last_pid: 0, supervisor: None };
        home.configure(config);
        home
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Puts a copy of `creel` into the home, which is started from then on and can be replaced.
    pub(crate) fn install(&mut self) {
        let copy = self.path("creel");
        std::fs::copy(&self.creel, &copy).unwrap();
        self.creel = copy;
    }

    pub(crate) fn configure(&self, config: &str) {
        std::fs::write(self.path("home/creel.json"), config.replace("PORT", &self.port.to_string())).unwrap();
    }

    pub(crate) fn command(&self) -> Command {
        self.among(&self.prefix, &["up"])
    }

    /// A command of the same program in this home.
    pub(crate) fn cli(&self, args: &[&str]) -> Command {
        self.among(&[], args)
    }

    pub(crate) fn among(&self, prefix: &[String], args: &[&str]) -> Command {
        let words: Vec<PathBuf> = prefix.iter().map(PathBuf::from).chain([self.creel.clone()]).collect();
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(args)
            .env_clear()
            .env("CREEL_HOME", self.path("home"))
            .env("CREEL_RUNTIME_DIR", self.path("run"))
            .env("CREEL_LIBEXEC", self.path("libexec"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Tells a unit to misbehave; the gateway passes it on. Whoever is told may not come back to say that it heard.
    pub(crate) fn order(&self, unit: &str, what: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let order = json!({"method": "order", "params": {"unit": unit, "what": what}});
        writeln!(stream, "{order}").unwrap();
        if unit != "gateway" {
            let mut text = String::new();
            stream.set_read_timeout(Some(SOON)).unwrap();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text.trim(), "true", "{unit} has no link");
        }
    }

    /// Waits until a unit has run for a second: it then gets its first restart without a wait.
    pub(crate) fn settle(&mut self, unit: &str) {
        self.wait_unit(unit, "for a second", |unit| {
            unit["state"] == "running" && unit["uptimeMs"].as_u64() > Some(1000)
        });
    }

    /// Waits for the end of an incarnation of this cause and for all that every row of the fault matrix demands of
    /// it: `status` names it, the journal has it, and no process, zombie or cgroup is left of it.
    pub(crate) fn ended(&mut self, unit: &str, incarnation: u64, cause: &str) -> Value {
        let row = self.wait_unit(unit, &format!("after its end by {cause}"), |row| {
            row["lastExit"]["cause"] == cause
                && (row["incarnation"].as_u64() > Some(incarnation) || row["pid"].is_null())
        });
        self.journalled(unit, incarnation, cause);
        self.nobody_left();
        row
    }

    /// Waits until the journal tells of the end of an incarnation, as `creel events --json` prints it.
    pub(crate) fn journalled(&mut self, unit: &str, incarnation: u64, cause: &str) -> Value {
        let args = ["events", "--json", "--limit", "1000", "--unit", unit];
        self.until(&format!("the end of {unit} {incarnation} by {cause} in the journal"), |home| {
            let output = home.cli(&args).stdout(Stdio::piped()).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let mut events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            events.find(|event| {
                event["kind"] == "ended"
                    && event["incarnation"] == incarnation
                    && event["cause"] == cause
                    && event["monotonicMs"].as_u64() > Some(0)
            })
        })
    }

    /// No zombie, and no process of this home that the supervisor does not know.
    pub(crate) fn nobody_left(&mut self) {
        let supervisor = self.pid();
        self.until("the end of all zombies", |_| (zombies(supervisor) == 0).then_some(()));
        self.until("the end of strangers", |home| home.strangers().is_empty().then_some(()));
        self.until("the end of empty cgroups", |home| {
            look::empty_groups(home.pid()).is_empty().then_some(())
        });
    }

    /// Processes of this home's programs that are no child of the supervisor, such as daemons that escaped.
    pub(crate) fn strangers(&self) -> Vec<u32> {
        let supervisor = self.supervisor.as_ref().map_or(0, Child::id);
        self.processes().into_iter().filter(|pid| parent(*pid) != Some(supervisor)).collect()
    }

    /// Processes whose command line names a program of this home.
    pub(crate) fn processes(&self) -> Vec<u32> {
        look::processes(&self.path("libexec"))
    }

    /// Starts the supervisor and waits for its control socket.
    pub(crate) fn start(&mut self) {
        let mut command = self.command();
        let log = std::fs::File::create(self.path("stderr")).unwrap();
        let child = command.stderr(log).spawn().unwrap();
        self.last_pid = child.id();
        self.supervisor = Some(child);
        self.until("the control socket", |home| {
            let ended = home.supervisor.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", std::fs::read_to_string(home.path("stderr")).unwrap());
            UnixStream::connect(home.path("run/control.sock")).ok()
        });
    }

    /// Starts it and waits until every named unit runs.
    pub(crate) fn up(config: &str, units: &[&str]) -> Self {
        let mut home = Self::new(config);
        home.start();
        for unit in units {
            home.wait_state(unit, "running");
        }
        home
    }

    /// Looks again and again until there is something.
    pub(crate) fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let soon = if programs().is_some() { SOON * 2 } else { SOON };
            assert!(began.elapsed() < soon, "{what} did not come; log:\n{}", self.log("supervisor"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.supervisor.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        let mut child = self.supervisor.take().unwrap();
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < SOON, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A request over the control socket: the result, or the error's sentence. A program that did not confirm takes its own
    /// clients with it: they get no answer.
    pub(crate) fn control(&self, method: &str, params: Value) -> Result<Value, String> {
        let mut stream = UnixStream::connect(self.path("run/control.sock")).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        writeln!(stream, "{request}").unwrap();
        let mut line = String::new();
        if !matches!(BufReader::new(stream).read_line(&mut line), Ok(1..)) {
            return Err("no answer".to_owned());
        }
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        if answer["error"].is_null() {
            Ok(answer["result"].take())
        } else {
            Err(answer["error"]["message"].to_string())
        }
    }

    /// A client of the control socket.
    pub(crate) fn knock(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path("run/control.sock")).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// A request through the test gateway to the supervisor, over the one port.
    pub(crate) fn gateway(&self, method: &str, params: Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        writeln!(stream, "{}", json!({"method": method, "params": params})).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Value {
        self.control("units.status", json!({})).unwrap()
    }

    pub(crate) fn unit(&self, name: &str) -> Option<Value> {
        self.status()["units"].as_array().unwrap().iter().find(|unit| unit["name"] == name).cloned()
    }

    pub(crate) fn unit_pid(&self, name: &str) -> u32 {
        u32::try_from(self.unit(name).unwrap()["pid"].as_u64().unwrap()).unwrap()
    }

    /// Pids by unit.
    pub(crate) fn pids(&self) -> BTreeMap<String, u32> {
        let units = self.status()["units"].as_array().unwrap().clone();
        let pid = |unit: &Value| {
            Some((unit["name"].as_str()?.to_owned(), u32::try_from(unit["pid"].as_u64()?).ok()?))
        };
        units.iter().filter_map(pid).collect()
    }

    pub(crate) fn wait_unit(&mut self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.until(&format!("{name} {what}"), |home| home.unit(name).filter(|unit| is(unit)))
    }

    pub(crate) fn wait_state(&mut self, name: &str, state: &str) -> Value {
        self.wait_unit(name, state, |unit| unit["state"] == state)
    }

    /// What a unit wrote, without the times of its lines.
    pub(crate) fn log(&self, unit: &str) -> String {
        self.log_file(unit).split_inclusive('\n').map(without_time).collect()
    }

    /// The file as it is.
    pub(crate) fn log_file(&self, unit: &str) -> String {
        std::fs::read_to_string(self.path(&format!("home/logs/{unit}.log"))).unwrap_or_default()
    }

    /// What a command of the same program says, and its exit code.
    pub(crate) fn said(&self, args: &[&str]) -> (String, Option<i32>) {
        let output = self.cli(args).stdout(Stdio::piped()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8(text).unwrap(), output.status.code())
    }

    pub(crate) fn wait_log(&mut self, unit: &str, text: &str) {
        self.until(&format!("{text:?} in the log of {unit}"), |home| {
            home.log(unit).contains(text).then_some(())
        });
    }

    /// Lets go of the supervisor without waiting for it.
    pub(crate) fn wait_gone(&mut self, pids: impl IntoIterator<Item = u32>) -> Duration {
        let began = Instant::now();
        for pid in pids {
            self.until(&format!("the end of process {pid}"), |_| (!is_alive(pid)).then_some(()));
        }
        began.elapsed()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(mut child) = self.supervisor.take() {
            let _ended = child.kill();
            let _reaped = child.wait();
        }
        // Only a test that failed has any.
        for pid in self.processes() {
            send(pid, Signal::KILL);
        }
    }
}

/// Says that a test cannot tell anything on this machine, and why: where the suites look, and for `cargo xtask test` in a
/// file that it prints at its end.
pub(crate) fn not_measured(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    // Not by print macros, which the workspace denies; and where nobody can be told there is nobody to tell.
    let _closed = writeln!(std::io::stderr(), "NOT MEASURED HERE: {why}");
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("not-measured");
    let file = std::fs::OpenOptions::new().create(true).append(true).open(target);
    let _read_only = file.and_then(|mut file| writeln!(file, "{test}: {why}"));
}

/// Whether the other end is gone; a time that runs out does not count.
pub(crate) fn sent_away(stream: &mut UnixStream) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    match stream.read(&mut [0; 64]) {
        Ok(read) => read == 0,
        Err(error) => matches!(error.kind(), BrokenPipe | ConnectionReset),
    }
}

/// A line of a log without the moment that it may begin with.
fn without_time(line: &str) -> &str {
    let shaped = |moment: &str| moment.len() == 24 && moment.ends_with('Z') && moment.starts_with("20");
    line.split_once(' ').filter(|(moment, _)| shaped(moment)).map_or(line, |(_, text)| text)
}

/// Where `creel` and `test-worker` are, when that is not where they were built: in a virtual machine.
fn programs() -> Option<PathBuf> {
    std::env::var_os("CREEL_TEST_PROGRAMS").map(PathBuf::from)
}

/// The supervisor's program.
pub(crate) fn creel() -> PathBuf {
    programs().map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_creel")), |folder| folder.join("creel"))
}

/// The program of all units.
pub(crate) fn test_worker() -> PathBuf {
    example("test-worker")
}

/// An example of this package.
pub(crate) fn example(name: &str) -> PathBuf {
    if let Some(programs) = programs() {
        return programs.join(name);
    }
    let own = std::env::current_exe().unwrap();
    let target: &Path = own.parent().and_then(Path::parent).unwrap();
    target.join("examples").join(name)
}
