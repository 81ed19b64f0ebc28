//! The last steps, in the process that becomes the unit's program: limits, credentials, Landlock, report, seccomp, exec.

use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access as Check, CWD, accessat};
use seccompiler::BpfProgram;

use super::ruleset::{Ports, Rules};
use super::{credentials, limits, sys};
use crate::error::{At as _, LaunchError, Stage};
use crate::isolation::Isolation;
use crate::note::{self, Note};
use crate::spec::{LaunchSpec, Level, Net, Role};

/// Everything the last steps need, prepared before they begin.
pub(crate) struct Last<'a> {
    pub(crate) spec: &'a LaunchSpec,
    pub(crate) socket: &'a OwnedFd,
    pub(crate) listener: Option<(OwnedFd, u16)>,
    pub(crate) rules: Rules,
    pub(crate) ports: Ports,
    /// `None` where the operator wants no sandbox.
    pub(crate) filter: Option<BpfProgram>,
    pub(crate) namespaces: Vec<String>,
    pub(crate) gaps: Vec<String>,
    /// The folders of the spec's layers.
    pub(crate) layers: Vec<OwnedFd>,
    /// `TMPDIR` where there is no private `/tmp`.
    pub(crate) scratch: Option<PathBuf>,
}

impl Last<'_> {
    /// Returns only when the unit cannot run.
    pub(crate) fn run(mut self) -> Result<std::convert::Infallible, LaunchError> {
        let spec = self.spec;
        let confined = spec.level != Level::L0;
        let program = self.program()?;
        let (argv, env) = (self.argv()?, self.env()?);
        rustix::process::chdir(&spec.cwd).at(Stage::View, || {
            format!(
                "The working directory {} does not exist for the unit; add it to `fs`",
                spec.cwd.display()
            )
        })?;
        sys::default_signals();
        limits::apply(&spec.limits)?;
        if confined {
            credentials::drop_all(!self.namespaces.is_empty())?;
        }
        sys::close_from(3, true).at(Stage::Credentials, || "Inherited files cannot be closed")?;
        let landlock_abi = if confined { self.rules.apply(&self.ports)? } else { 0 };
        self.report(landlock_abi)?;
        if let Some(filter) = &self.filter {
            seccompiler::apply_filter(filter).map_err(|e| {
                LaunchError::new(Stage::Seccomp, format!("The kernel refused the seccomp program: {e}."))
            })?;
        }
        let Err(errno) = nix::unistd::execve(&program, &argv, &env);
        Err(LaunchError::io(
            Stage::Exec,
            &errno.into(),
            format!("The program {} cannot be executed inside the unit", program.to_string_lossy()),
        ))
    }

    fn report(&mut self, landlock_abi: u32) -> Result<(), LaunchError> {
        let (no_new_privs, caps_empty) = credentials::measured();
        let isolation = Isolation {
            level: self.spec.level,
            namespaces: std::mem::take(&mut self.namespaces),
            landlock_abi,
            seccomp_programs: u32::from(self.filter.is_some()),
            no_new_privs,
            caps_empty,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            gaps: std::mem::take(&mut self.gaps),
        };
        if self.spec.level != Level::L0 && !(no_new_privs && isolation.effective_caps_are_gone()) {
            return Err(LaunchError::new(
                Stage::Credentials,
                "The unit would keep privileges; it is not started.",
            ));
        }
        let listener = self.listener.take();
        let port = listener.as_ref().map(|(_, port)| *port);
        let listening = listener.iter().map(|(fd, _)| fd);
        let fds: Vec<_> = listening.chain(&self.layers).map(|fd| fd.as_fd()).collect();
        note::send(self.socket, &Note::Ready { isolation, port }, &fds)
            .at(Stage::Policy, || "The supervisor does not take the unit's report")
    }

    /// The program as the unit sees it; a bare name is searched in the unit's own PATH.
    fn program(&self) -> Result<CString, LaunchError> {
        let name = self
            .spec
            .argv
            .first()
            .filter(|n| !n.is_empty())
            .ok_or_else(|| LaunchError::new(Stage::Spec, "The unit has no program: argv is empty."))?;
        let found = if name.contains('/') { self.at_path(name)? } else { self.in_path(name)? };
        text(found.to_string_lossy().into_owned())
    }

    fn at_path(&self, name: &str) -> Result<PathBuf, LaunchError> {
        let path = self.spec.cwd.join(name);
        accessat(CWD, &path, Check::EXEC_OK, rustix::fs::AtFlags::empty()).at(Stage::Exec, || {
            format!(
                "The program {name} cannot be executed inside the unit; check that it is installed, executable for others, \
                 and below a system folder or a view of the unit"
            )
        })?;
        Ok(path)
    }

    fn in_path(&self, name: &str) -> Result<PathBuf, LaunchError> {
        let path = self.spec.env.get("PATH").map_or("/usr/bin:/bin", String::as_str);
        let mut places = path.split(':').filter(|p| p.starts_with('/')).map(|p| Path::new(p).join(name));
        places
            .find(|p| p.is_file() && accessat(CWD, p, Check::EXEC_OK, rustix::fs::AtFlags::empty()).is_ok())
            .ok_or_else(|| LaunchError {
                stage: Stage::Exec,
                errno: Some(libc::ENOENT),
                sentence: format!(
                    "The program {name} is not in the unit's PATH ({path}). Install it or name its path."
                ),
            })
    }

    fn argv(&self) -> Result<Vec<CString>, LaunchError> {
        self.spec.argv.iter().cloned().map(text).collect()
    }

    fn env(&self) -> Result<Vec<CString>, LaunchError> {
        let spec = self.spec;
        let mut env = spec.env.clone();
        if let (Net::Listener, Some((_, port))) = (spec.net, &self.listener) {
            // Small letters for the programs of others: curl takes http_proxy in no other form.
            let others: &[&str] = match spec.role {
                Role::Tool | Role::Plugin | Role::Helper => {
                    &["https_proxy", "http_proxy", "ALL_PROXY", "all_proxy"]
                }
                _ => &[],
            };
            for name in ["HTTPS_PROXY", "HTTP_PROXY"].iter().chain(others) {
                env.insert((*name).to_owned(), format!("http://127.0.0.1:{port}"));
            }
        }
        if let Some(scratch) = &self.scratch {
            let scratch = scratch.to_string_lossy().into_owned();
            if env.get("HOME").is_some_and(|home| home == "/tmp") {
                env.insert("HOME".to_owned(), scratch.clone());
            }
            env.insert("TMPDIR".to_owned(), scratch);
        }
        env.into_iter().map(|(name, value)| text(format!("{name}={value}"))).collect()
    }
}

fn text(text: String) -> Result<CString, LaunchError> {
    CString::new(text).map_err(|e| {
        let shown = String::from_utf8_lossy(&e.into_vec()).escape_debug().take(80).collect::<String>();
        LaunchError::new(Stage::Spec, format!("An argument or variable holds a NUL character: \"{shown}\"."))
    })
}
