//! How each supervisor is configured and started.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use creel_kit::binaries;
use serde_json::json;

use super::rig::{Kind, Plan};

/// The command that starts `kind` in the foreground. Everything it needs lies below the plan's folder.
pub(super) fn command(kind: Kind, plan: &Plan) -> Result<Command> {
    let bare = match kind {
        Kind::Floor => floor(plan)?,
        Kind::S6 => s6(plan)?,
        Kind::Runit => runit(plan)?,
        Kind::Supervisord => supervisord(plan)?,
        Kind::CreelOff => creel(plan, "off")?,
        Kind::CreelFull => creel(plan, "all")?,
    };
    // What measures may be killed; what is measured must not go on then. Its pid stays the same.
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--pdeathsig", if kind.is_creel() { "KILL" } else { "TERM" }]);
    command.arg(bare.get_program()).args(bare.get_args());
    if kind.is_creel() {
        command.env_clear();
    }
    command.envs(bare.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let said = std::fs::File::create(plan.folder.join("said"))?;
    command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).process_group(0);
    command.current_dir(&plan.folder);
    Ok(command)
}

/// The child program beside this one.
pub(super) fn example(name: &str) -> Result<String> {
    let own = std::env::current_exe()?;
    let path = own.parent().context("this program lies in no folder")?.join("examples").join(name);
    anyhow::ensure!(
        path.is_file(),
        "{} is missing; `cargo xtask bench supervise` builds it.",
        path.display()
    );
    Ok(path.to_string_lossy().into_owned())
}

fn child(plan: &Plan, name: &str) -> Result<String> {
    Ok(format!("{} {} {name}", example("supervised")?, plan.folder.join("records").display()))
}

fn script(path: &Path, text: &str) -> Result<()> {
    std::fs::create_dir_all(path.parent().context("a script lies in no folder")?)?;
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

fn floor(plan: &Plan) -> Result<Command> {
    let mut text = String::new();
    for job in &plan.jobs {
        let log = if job.logged { plan.log(&job.name).display().to_string() } else { "-".to_owned() };
        writeln!(text, "{log}\t{}", child(plan, &job.name)?.replace(' ', "\t"))?;
    }
    let file = plan.folder.join("plan");
    std::fs::write(&file, text)?;
    let mut command = Command::new(example("tokio-floor")?);
    command.arg(file);
    Ok(command)
}

fn s6(plan: &Plan) -> Result<Command> {
    let scan = plan.folder.join("scan");
    for job in &plan.jobs {
        let run = scan.join(&job.name).join("run");
        // s6 replaces at once only what said that it was ready.
        let child = child(plan, &job.name)?;
        script(&run, &format!("#!/bin/sh\nexec 2>&1\necho >&3\nexec {child} 3>&-\n"))?;
        std::fs::write(run.with_file_name("notification-fd"), "3\n")?;
        if job.logged {
            let logs = plan.log(&job.name);
            let logs = logs.parent().context("a log lies in no folder")?.display();
            let text = format!("#!/bin/sh\nmkdir -p {logs}\nexec s6-log n5 s268435455 {logs}\n");
            script(&scan.join(&job.name).join("log/run"), &text)?;
        }
    }
    let mut command = Command::new("s6-svscan");
    command.args(["-c", "500"]).arg(scan);
    Ok(command)
}

fn runit(plan: &Plan) -> Result<Command> {
    let scan = plan.folder.join("scan");
    for job in &plan.jobs {
        let run = scan.join(&job.name).join("run");
        script(&run, &format!("#!/bin/sh\nexec 2>&1\nexec {}\n", child(plan, &job.name)?))?;
        if job.logged {
            let logs = plan.log(&job.name);
            let logs = logs.parent().context("a log lies in no folder")?;
            std::fs::create_dir_all(logs)?;
            std::fs::write(logs.join("config"), "s2000000000\nn5\n")?;
            let text = format!("#!/bin/sh\nexec svlogd {}\n", logs.display());
            script(&scan.join(&job.name).join("log/run"), &text)?;
        }
    }
    let mut command = Command::new("runsvdir");
    command.arg("-P").arg(scan);
    Ok(command)
}

fn supervisord(plan: &Plan) -> Result<Command> {
    let folder = plan.folder.display();
    let mut text = format!(
        "[supervisord]\nnodaemon=true\nlogfile={folder}/supervisord.log\npidfile={folder}/pid\nuser=root\nminfds=4096\n"
    );
    for job in &plan.jobs {
        let log = if job.logged { plan.log(&job.name).display().to_string() } else { "NONE".to_owned() };
        writeln!(
            text,
            "[program:{}]\ncommand={}\nautorestart=true\nstartsecs=0\nstartretries=100000\nredirect_stderr=true\n\
             stdout_logfile={log}\nstdout_logfile_maxbytes=0",
            job.name,
            child(plan, &job.name)?
        )?;
    }
    let file = plan.folder.join("supervisord.conf");
    std::fs::write(&file, text)?;
    let mut command = Command::new("supervisord");
    command.arg("-c").arg(file);
    Ok(command)
}

/// The real thing: gateway, egress, handshake, watchdog. Each child is an agent whose program is ours.
fn creel(plan: &Plan, mode: &str) -> Result<Command> {
    let real = binaries::folder()?;
    let programs = plan.folder.join("libexec");
    std::fs::create_dir_all(&programs)?;
    for name in ["creel-gateway", "creel-egress", "creel-channel"] {
        std::os::unix::fs::symlink(real.join(name), programs.join(name))?;
    }
    std::fs::copy(example("supervised")?, programs.join("creel-agent"))?;
    let home = plan.folder.join("home");
    std::fs::create_dir_all(&home)?;
    let agents: Vec<_> = plan.jobs.iter().map(|job| json!({"id": job.name})).collect();
    let config = json!({
        "gateway": {"port": creel_kit::home::free_port()?},
        "agents": {"list": agents},
        "sandbox": {"mode": mode},
        // As with the peers, a child that ran for a second is replaced at once, whatever came before; one that falls sooner
        // waits longer and longer. The log holds all of a flood.
        "supervisor": {
            "backoff": {"resetSeconds": 1},
            "brake": {"crashes": 1000, "crashesPerHour": 1000},
        },
        "logging": {"level": "warn", "maxFileBytes": "1g"},
    });
    std::fs::write(home.join("creel.json"), serde_json::to_string(&config)?)?;
    let mut command = creel_command(plan)?;
    command.arg("up");
    Ok(command)
}

/// The command line in the home of a plan.
pub(super) fn creel_command(plan: &Plan) -> Result<Command> {
    let mut command = Command::new(binaries::folder()?.join("creel"));
    command.env_clear().env("CREEL_HOME", plan.folder.join("home")).env("HOME", &plan.folder);
    command.env("CREEL_RUNTIME_DIR", plan.folder.join("run"));
    command.env("CREEL_LIBEXEC", plan.folder.join("libexec")).env("PATH", "/usr/bin:/bin");
    Ok(command)
}
