//! The command line: `creel …`.
//!
//! One file for each noun. Commands that only read files answer without any process running; those that need the
//! supervisor use the control socket; those that need the gateway use its WebSocket, as every client does.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use creel_config::{Env, Overrides, Paths};

use crate::upgrade::arrival;

mod backup;
mod cluster;
mod completions;
mod config;
mod control;
mod doctor;
mod egress;
mod error;
mod events;
mod gateway;
mod inbox;
mod instance;
mod logs;
mod message;
mod ollama;
mod outbox;
mod output;
mod pairing;
mod program;
mod quarantine;
mod sandbox;
mod screen;
mod service;
mod session;
mod sessions;
mod socket;
mod status;
mod status_text;
mod store;
mod table;
mod token;
mod top;
mod units;
mod up;
mod upgrade;
mod words;

#[cfg(test)]
mod tests;

use error::CliError;
use output::{ColourWhen, Output};

/// A home for AI agents that cannot take each other down.
#[derive(Debug, Parser)]
#[command(
    name = "creel",
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  creel up                               start everything in the foreground\n  \
                  creel status                           every process, and how it is confined\n  \
                  creel agent --message \"What time is it?\"\n  \
                  creel pairing approve telegram ABCD2345"
)]
pub struct Cli {
    /// The home folder [default: $CREEL_HOME, else ~/.creel]
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// The configuration file [default: creel.json in the home]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The gateway's port [default: gateway.port, else 18789]
    #[arg(long, global = true, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,
    /// When text has colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value = "auto",
        hide_possible_values = true
    )]
    color: ColourWhen,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start Creel and stay in the foreground until SIGTERM or Ctrl-C
    Up(up::Args),
    /// Stop Creel in order, or one unit
    Stop(units::Stop),
    /// Start one unit that was stopped or set aside
    Start(units::Start),
    /// Show every process: state, restarts, last end, memory and measured isolation
    Status(status::Args),
    /// Show what every unit uses, live
    Top(top::Args),
    /// Show the log of one unit, or of all
    Logs(logs::Args),
    /// Show what happened: starts, ends and their causes, restarts, reloads
    Events(events::Args),
    /// Look for what is wrong with this installation, and say what to do
    Doctor(doctor::Args),
    /// Restart one unit and lift its quarantine
    Restart(units::Restart),
    /// Read the configuration again and apply what changed
    Reload,
    /// Put another version in the place of the running one; everything runs on
    Upgrade(upgrade::Args),
    /// Send one message to an agent and print its reply
    Agent(session::Agent),
    /// Say something on a channel
    #[command(subcommand)]
    Message(message::Command),
    /// Let people who asked for it write to you
    #[command(subcommand)]
    Pairing(pairing::Command),
    /// List sessions, search in them, give them settings of their own, forget them, and bring them from and into files
    ///
    /// States: created (nothing was answered yet), active (its agent answers, or would), paused (its agent fell in the
    /// middle of a turn), resuming (the turn is taken up again).
    Sessions(sessions::Args),
    /// Show the hosts that share a database
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Show messages that were set aside, and have them answered after all
    Inbox(inbox::Args),
    /// Show what goes out on channels, and decide about what did not
    #[command(subcommand)]
    Outbox(outbox::Command),
    /// Read, check and change the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Call the gateway directly
    #[command(subcommand)]
    Gateway(gateway::Command),
    /// Copy the home into one file while it is in use, check and restore such copies
    #[command(subcommand)]
    Backup(backup::Command),
    /// Move the state between a file and a PostgreSQL server
    #[command(subcommand)]
    Store(store::Command),
    /// Run Creel as a service of this machine or of yourself
    #[command(subcommand)]
    Service(service::Command),
    /// See and try what units reach outside
    #[command(subcommand)]
    Egress(egress::Command),
    /// Run commands in the tool sandbox, and test it
    #[command(subcommand)]
    Sandbox(sandbox::Command),
    /// Print the address of the web page, with the token that opens it
    Token(token::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// What every command needs to find its way.
struct Context {
    env: Env,
    overrides: Overrides,
    paths: Paths,
    out: Output,
}

/// Runs the command of this process's arguments and returns the exit code.
pub fn main() -> std::process::ExitCode {
    if let Err(error) = arrival::arrive() {
        arrival::fall_back(&error.to_string());
        Output::new(false, ColourWhen::Auto).error(&CliError::Run(error.to_string()));
        return creel_ipc::exit::ExitCode::Failure.into();
    }
    let code = command();
    // Whatever made a successor end before it has shown that it can: its predecessor goes on.
    arrival::fall_back("it ended at once");
    code
}

fn parse() -> Result<Cli, clap::Error> {
    match sandbox::Command::plain_run(std::env::args_os().skip(1)) {
        Some(command) => Ok(Cli {
            home: None,
            config: None,
            port: None,
            json: false,
            color: ColourWhen::Auto,
            command: Command::Sandbox(command),
        }),
        None => Cli::try_parse(),
    }
}

fn command() -> std::process::ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` are errors to clap, too; they go to stdout and end well.
            let code = if error.use_stderr() {
                creel_ipc::exit::ExitCode::Usage
            } else {
                creel_ipc::exit::ExitCode::Ok
            };
            // Nobody is left to tell that the terminal is gone.
            let _gone = error.print();
            return code.into();
        }
    };
    let out = Output::new(cli.json, cli.color);
    match run(cli, &out) {
        Ok(code) => code,
        Err(error) => {
            out.error(&error);
            error.exit_code().into()
        }
    }
}

fn run(cli: Cli, out: &Output) -> Result<std::process::ExitCode, CliError> {
    let env = arrival::without_words(creel_config::disk::environment());
    let flags = Overrides { home: cli.home, config: cli.config, port: cli.port, ..Overrides::default() };
    let overrides = flags.over(Overrides::from_env(&env)?);
    let own = Paths::find(&overrides, &env)?;
    let paths = match cli.command {
        // What starts an instance starts this user's own.
        Command::Up(_) | Command::Service(_) => own,
        _ => instance::choose(own, &overrides, &instance::Disk),
    };
    let context = Context { env, overrides, paths, out: out.clone() };
    match cli.command {
        Command::Up(args) => Ok(up::run(&context, &args)),
        Command::Stop(args) => units::stop(&context, &args),
        Command::Start(args) => units::start(&context, &args),
        Command::Status(args) => status::run(&context, &args),
        Command::Top(args) => top::run(&context, &args),
        Command::Logs(args) => logs::run(&context, &args),
        Command::Events(args) => events::run(&context, &args),
        Command::Doctor(args) => doctor::run(&context, &args),
        Command::Restart(args) => units::restart(&context, &args),
        Command::Reload => units::reload(&context),
        Command::Upgrade(args) => upgrade::run(&context, &args),
        Command::Agent(args) => session::agent(&context, args),
        Command::Message(command) => message::run(&context, command),
        Command::Pairing(command) => pairing::run(&context, command),
        Command::Sessions(args) => sessions::run(&context, args),
        Command::Cluster(command) => cluster::run(&context, &command),
        Command::Inbox(args) => inbox::run(&context, &args),
        Command::Outbox(command) => outbox::run(&context, command),
        Command::Config(command) => config::run(&context, command),
        Command::Gateway(command) => gateway::run(&context, command),
        Command::Backup(command) => backup::run(&context, command),
        Command::Store(command) => store::run(&context, command),
        Command::Service(command) => service::run(&context, command),
        Command::Egress(command) => egress::run(&context, command),
        Command::Sandbox(command) => sandbox::run(&context, command),
        Command::Token(args) => token::run(&context, &args),
        Command::Completions(args) => completions::run(&context, &args),
    }
}

/// Everything went well.
const OK: std::process::ExitCode = std::process::ExitCode::SUCCESS;
