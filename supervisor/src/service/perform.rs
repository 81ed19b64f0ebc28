//! Doing the steps, and asking the service manager. This is the command line's work, never the supervisor's.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::ServiceError;
use super::plan::Step;

/// Does the steps in order and hands every sentence for the operator to `say`.
///
/// # Errors
/// The first step that fails; those before it are done.
pub fn perform(steps: &[Step], mut say: impl FnMut(&str)) -> Result<(), ServiceError> {
    for step in steps {
        match step {
            Step::Write { path, text } => write(path, text)?,
            Step::Remove { path } => remove(path)?,
            Step::Run { argv, may_fail } => match output(argv) {
                Err(ServiceError::Failed { .. }) if *may_fail => {}
                outcome => drop(outcome?),
            },
            Step::Say { sentence } => say(sentence),
        }
    }
    Ok(())
}

/// Runs a program and returns what it prints.
///
/// # Errors
/// When it cannot be started or says no.
pub fn output(argv: &[String]) -> Result<String, ServiceError> {
    let shown = || argv.join(" ");
    let mut words = argv.iter();
    let outcome =
        Command::new(words.next().map_or("", String::as_str)).args(words).stdin(Stdio::null()).output();
    let outcome = outcome.map_err(|error| ServiceError::Command { command: shown(), error })?;
    if outcome.status.success() {
        return Ok(String::from_utf8_lossy(&outcome.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&outcome.stderr).trim().to_owned();
    Err(ServiceError::Failed { command: shown(), status: outcome.status.to_string(), said })
}

fn write(path: &Path, text: &str) -> Result<(), ServiceError> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |error| ServiceError::File { path: path.to_owned(), done: "written", error };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // Readable for all, as the texts of services are: they hold no secret.
    creel_config::disk::replace(path, text)
        .and_then(|()| std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)))
        .map_err(failed)
}

fn remove(path: &Path) -> Result<(), ServiceError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ServiceError::File { path: path.to_owned(), done: "removed", error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(argv: &[&str], may_fail: bool) -> Step {
        Step::Run { argv: argv.iter().map(|word| (*word).to_owned()).collect(), may_fail }
    }

    #[test]
    fn steps_are_done_in_order_and_the_first_failure_ends_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/creel.service");
        let mut said = Vec::new();
        let steps = [
            Step::Write { path: path.clone(), text: "one\n".to_owned() },
            run(&["false"], true),
            Step::Say { sentence: "half way".to_owned() },
            run(&["sh", "-c", "echo broken >&2; exit 3"], false),
            Step::Remove { path: path.clone() },
        ];
        let error = perform(&steps, |sentence| said.push(sentence.to_owned())).unwrap_err().to_string();
        assert!(error.contains("broken") && error.contains('3'), "{error}");
        assert_eq!(said, ["half way"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
        perform(&steps[4..], |_| {}).unwrap();
        perform(&steps[4..], |_| {}).unwrap();
        assert!(!path.exists());
    }
}
