//! `creel cluster`: several hosts on one database.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::error::CliError;
use super::socket::Socket;
use super::table::{columns, duration, plain};
use super::{Context, OK};

/// Several hosts on one database.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show the hosts and who has which account and turn
    #[command(
        after_help = "Examples:\n  creel cluster status\n  creel cluster status --json | jq '.leases[] | select(.leftMs < 0)'\n\n\
                            A host is up when it was heard of within a lease (cluster.leaseSeconds); its role is known only to \
                            itself. With store.kind: \"sqlite\" there is one host, which is alone."
    )]
    Status,
}

pub(crate) fn run(context: &Context, command: &Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Status => {
            let answer = Socket::connect(context)?.call("cluster.status", &json!({}))?;
            context.out.data(&answer, || told(&answer))?;
        }
    }
    Ok(OK)
}

fn told(answer: &Value) -> String {
    if answer["shared"] != true {
        return "This host is alone: its state is in a file (store.kind).".to_owned();
    }
    let text = |row: &Value, key: &str| plain(row[key].as_str().unwrap_or("-"));
    let all = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
    let mut hosts = vec![["HOST", "ROLE", "STATE", "ACCOUNTS", "TURNS"].map(str::to_owned).to_vec()];
    for row in all("hosts") {
        let own = if row["own"] == true { " (this one)" } else { "" };
        let state = if row["up"] == true { "up" } else { "not heard of" };
        hosts.push(vec![
            format!("{}{own}", text(&row, "name")),
            text(&row, "role"),
            state.to_owned(),
            row["accounts"].to_string(),
            row["turns"].to_string(),
        ]);
    }
    let mut leases = vec![["LEASE", "HOST", "EPOCH", "LEFT"].map(str::to_owned).to_vec()];
    for row in all("leases") {
        let left = row["leftMs"].as_u64().map_or_else(|| "over".to_owned(), duration);
        leases.push(vec![text(&row, "key"), text(&row, "host"), row["epoch"].to_string(), left]);
    }
    let leases = if leases.len() == 1 { "Nothing is held.".to_owned() } else { columns(&leases) };
    format!("{}\n\n{leases}", columns(&hosts).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_leases_are_rows() {
        assert_eq!(
            told(&json!({"shared": false})),
            "This host is alone: its state is in a file (store.kind)."
        );
        let answer = json!({
            "shared": true,
            "hosts": [
                {"name": "alpha", "own": true, "role": "primary", "up": true, "accounts": 0, "turns": 0},
                {"name": "beta", "own": false, "role": null, "up": false, "accounts": 1, "turns": 0},
            ],
            "leases": [
                {"kind": "account", "key": "telegram:default", "host": "beta", "epoch": 7, "leftMs": -20},
                {"kind": "lane", "key": "agent:main:main", "host": "alpha", "epoch": 2, "leftMs": 9000},
            ],
        });
        insta::assert_snapshot!(told(&answer), @"
        HOST              ROLE     STATE         ACCOUNTS  TURNS
        alpha (this one)  primary  up            0         0
        beta              -        not heard of  1         0

        LEASE             HOST   EPOCH  LEFT
        telegram:default  beta   7      over
        agent:main:main   alpha  2      9 s
        ");
    }
}
