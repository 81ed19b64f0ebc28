//! The home: whose it is, who may read it, and whether it can be used.

use super::check::Check;
use super::facts::{Entry, Facts};

/// What is wrong with an entry that only this user may look into.
fn open_to_others(entry: &Entry, uid: u32, forbidden: u32) -> Option<String> {
    let (mode, owner) = entry.found?;
    let path = entry.path.display();
    if owner != uid && uid != 0 {
        return Some(format!("{path} belongs to uid {owner}, not to this user ({uid})"));
    }
    (mode & forbidden != 0).then(|| format!("{path} has mode {mode:03o}"))
}

pub(super) fn home(facts: &Facts) -> Check {
    const NAME: &str = "home";
    let Some(home) = facts.folders.first() else { return Check::ok(NAME, "There is no home to look at.") };
    if home.found.is_none() {
        let sentence = format!("{} is not there yet.", home.path.display());
        return Check::warn(NAME, sentence, "The first `creel up` makes it.");
    }
    let wrong: Vec<String> =
        facts.folders.iter().filter_map(|entry| open_to_others(entry, facts.uid, 0o022)).collect();
    match wrong.is_empty() {
        true => Check::ok(
            NAME,
            format!("{} and its folders are this user's alone to write.", home.path.display()),
        ),
        false => Check::fail(
            NAME,
            format!("Somebody else could change what Creel does: {}.", wrong.join("; ")),
            "chown the folders to the user that Creel runs as, and chmod go-w them.",
        ),
    }
}

pub(super) fn secrets(facts: &Facts) -> Check {
    const NAME: &str = "secrets";
    // Nobody else gets into a closed home.
    let closed = facts.folders.first().and_then(|home| home.found).is_some_and(|(mode, _)| mode & 0o077 == 0);
    let forbidden = if closed { 0 } else { 0o077 };
    let wrong =
        facts.secrets.iter().filter_map(|entry| Some((entry, open_to_others(entry, facts.uid, forbidden)?)));
    let (certain, possible): (Vec<_>, Vec<_>) = wrong.partition(|(entry, _)| entry.path != facts.config.0);
    let told = |wrong: Vec<(&Entry, String)>| {
        wrong.into_iter().map(|(_, sentence)| sentence).collect::<Vec<_>>().join("; ")
    };
    if !certain.is_empty() {
        let sentence = format!("Files that hold secrets can be read by others: {}.", told(certain));
        return Check::fail(
            NAME,
            sentence,
            "chmod 600 them, and change the secrets if others use this machine.",
        );
    }
    if !possible.is_empty() {
        let sentence =
            format!("The configuration can be read by others, and may hold secrets: {}.", told(possible));
        return Check::warn(NAME, sentence, "chmod 600 it, or keep secrets in the environment (${VAR}).");
    }
    Check::ok(NAME, "Files that hold secrets are for this user alone.")
}

pub(super) fn configuration(facts: &Facts) -> Check {
    const NAME: &str = "configuration";
    let (file, outcome) = &facts.config;
    match outcome {
        Ok(()) => Check::ok(NAME, format!("{} is right.", file.display())),
        Err(error) => {
            Check::fail(NAME, error.replace('\n', " "), "Mend the file; `creel config validate` looks again.")
        }
    }
}

pub(super) fn programs(facts: &Facts) -> Check {
    const NAME: &str = "programs";
    if facts.missing.is_empty() {
        return Check::ok(
            NAME,
            "Gateway, egress, agent and channel programs are where this one looks for them.",
        );
    }
    let missing: Vec<String> = facts.missing.iter().map(|path| path.display().to_string()).collect();
    Check::fail(
        NAME,
        format!("Programs are missing or cannot be executed: {}.", missing.join(", ")),
        "Install Creel again, all programs of one version, or set CREEL_LIBEXEC to their folder.",
    )
}

pub(super) fn versions(facts: &Facts) -> Check {
    const NAME: &str = "versions";
    let remedy = "Install all programs of one release, or set CREEL_LIBEXEC to the folder of those that belong together.";
    let other = |(path, told): &(std::path::PathBuf, Option<String>)| match told {
        Some(version) if version != facts.version => {
            Some(format!("{} is of Creel {version}", path.display()))
        }
        _ => None,
    };
    let silent = |(path, told): &(std::path::PathBuf, Option<String>)| match told {
        None => Some(format!("{} does not tell its version", path.display())),
        Some(_) => None,
    };
    let others: Vec<String> = facts.versions.iter().filter_map(other).collect();
    let silent: Vec<String> = facts.versions.iter().filter_map(silent).collect();
    let sentence =
        |found: &[String]| format!("This program is of Creel {}, and {}.", facts.version, found.join(", "));
    match (others.is_empty(), silent.is_empty()) {
        (true, true) => Check::ok(NAME, format!("All programs are of Creel {}.", facts.version)),
        // Whether they work together is not known: they may be of this release all the same.
        (true, false) => Check::warn(NAME, sentence(&silent), remedy),
        (false, _) => Check::fail(NAME, sentence(&[others, silent].concat()), remedy),
    }
}

pub(super) fn logs(facts: &Facts) -> Check {
    const NAME: &str = "logs";
    let (folder, outcome) = &facts.logs;
    match outcome {
        Ok(()) => Check::ok(NAME, format!("{} can be written.", folder.display())),
        Err(error) => Check::fail(
            NAME,
            format!(
                "{} cannot be written ({error}): logs are lost, and only the last lines are kept in memory.",
                folder.display()
            ),
            "Make room, or make the folder writable for the user that Creel runs as.",
        ),
    }
}
