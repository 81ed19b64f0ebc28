//! Whether Creel runs, by whom it is started, and whether it can be reached.

use super::check::Check;
use super::facts::{Door, Facts, Port};

pub(super) fn supervisor(facts: &Facts) -> Check {
    const NAME: &str = "supervisor";
    match &facts.running {
        None => Check::warn(
            NAME,
            "Creel is not running.",
            "Start it with `creel up`, or with `creel service start`.",
        ),
        Some(running) if running.version != facts.version => Check::warn(
            NAME,
            format!("Creel {} is running, and this program is {}.", running.version, facts.version),
            "Restart Creel, so that it runs what is installed.",
        ),
        Some(running) if !running.down.is_empty() => Check::fail(
            NAME,
            format!("Creel is running, and these units are not up: {}.", running.down.join(", ")),
            "`creel status` says why, `creel logs UNIT` what they wrote.",
        ),
        Some(running) => Check::ok(NAME, format!("Creel {} is running with all its units.", running.version)),
    }
}

pub(super) fn service(facts: &Facts) -> Check {
    const NAME: &str = "service";
    match facts.services.first() {
        None => Check::warn(
            NAME,
            "No service manager knows Creel: it does not come back when the machine is started anew.",
            "`creel service install` makes it one (as root: for the whole machine).",
        ),
        Some((file, false)) => Check::warn(
            NAME,
            format!("{} is there, and is not started with the machine.", file.display()),
            "systemctl enable creel (with --user for a service of your own).",
        ),
        Some((file, true)) => Check::ok(NAME, format!("{} is started with the machine.", file.display())),
    }
}

pub(super) fn socket(facts: &Facts) -> Check {
    const NAME: &str = "control socket";
    let path = facts.socket.display();
    match facts.door {
        Door::Answers => Check::ok(NAME, format!("{path} answers.")),
        Door::Absent => Check::ok(NAME, format!("{path} is not there, as nothing runs.")),
        // The next supervisor replaces it: the kernel's lock, not the file, says who is alive.
        Door::Stale => Check::ok(
            NAME,
            format!("{path} was left by a supervisor that is gone; the next one replaces it."),
        ),
        Door::Forbidden => Check::fail(
            NAME,
            format!("{path} may not be used by this user."),
            "Run this command as the user that Creel runs as.",
        ),
    }
}

pub(super) fn port(facts: &Facts) -> Check {
    const NAME: &str = "port";
    let port = facts.port;
    let taken_by = |uid: &Option<u32>| uid.map(|uid| format!(" by uid {uid}")).unwrap_or_default();
    match (&facts.holder, &facts.running) {
        (Port::Taken { .. }, Some(_)) => {
            Check::ok(NAME, format!("Port {port} is in use, and Creel is running."))
        }
        (Port::Taken { uid }, None) => Check::fail(
            NAME,
            format!("Port {port} is held{} although Creel is not running.", taken_by(uid)),
            format!("`ss -tlnp sport = :{port}` names the program; end it, or set another gateway.port."),
        ),
        (Port::Free, Some(_)) => Check::fail(
            NAME,
            format!("Creel is running, and nobody listens on port {port}."),
            "Compare gateway.port with the port that `creel logs gateway` names; `creel reload` applies the file.",
        ),
        (Port::Free, None) => Check::ok(NAME, format!("Port {port} is free.")),
    }
}

pub(super) fn database(facts: &Facts) -> Check {
    const NAME: &str = "database";
    let (there, gone): (Vec<_>, Vec<_>) = facts.databases.iter().partition(|(_, reached)| reached.is_ok());
    let missing = |(place, reached): &&(String, Result<(), String>)| {
        let error = reached.as_ref().err().map_or("", String::as_str);
        format!("The database server at {place} is not reached: {error}.")
    };
    let missing = gone.iter().map(missing).collect::<Vec<_>>().join(" ");
    let places = there.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>().join(" and at ");
    match (there.is_empty(), gone.is_empty()) {
        (true, true) => Check::ok(NAME, "It is a file in the home."),
        (false, true) => Check::ok(NAME, format!("A server takes connections at {places}.")),
        (false, false) => Check::warn(
            NAME,
            format!("{missing} A server takes connections at {places}."),
            "Start it again, or correct store.postgres. While one server is away nobody can take over from the other.",
        ),
        (true, false) => Check::fail(
            NAME,
            missing,
            "Start the server, or correct store.postgres.host and store.postgres.port. Meanwhile nothing is received.",
        ),
    }
}
