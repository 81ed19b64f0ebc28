//! `creel store`: where the state is kept. The work is the gateway's program's, which alone knows databases.

use std::process::ExitCode;

use creel_config::disk::Disk;
use creel_config::edit::{self, Edit};
use creel_config::load::Loader;
use creel_ipc::migration::{STORE_MIGRATE, StoreMigrate, StoreMigrated};
use serde_json::{Value, json};

use super::error::CliError;
use super::program;
use super::table::{columns, plain};
use super::{Context, OK};
use crate::place::{Audience, make_folders, take_locks};

/// Where the state is kept.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Copy the whole state to the other store, and compare every row
    #[command(
        after_help = "Examples:\n  creel store migrate --to postgres            copy; nothing uses the copy yet\n  \
                            creel store migrate --to postgres --switch   copy, and set store.kind\n  \
                            creel store migrate --to sqlite --json\n\n\
                            Both places are in the configuration: store.path, and store.postgres (host, database, user …). \
                            Creel must be stopped, on every host that shares the database. The target must be empty; when \
                            it already holds exactly this state, that is said. Killed at any moment it leaves nothing \
                            behind that could be taken for a whole copy: run it again. The store that was read stays as it \
                            was. Files that came with messages (state/blobs) stay where they are."
    )]
    Migrate {
        /// Where to
        #[arg(long, value_name = "STORE")]
        to: To,
        /// Also set store.kind in the configuration, once everything is copied and verified
        #[arg(long)]
        switch: bool,
    },
}

/// The store that is filled.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum To {
    /// A database of a PostgreSQL server
    Postgres,
    /// A file
    Sqlite,
}

impl To {
    fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Migrate { to, switch } => migrate(context, to, switch),
    }
}

fn migrate(context: &Context, to: To, switch: bool) -> Result<ExitCode, CliError> {
    make_folders(&context.paths, Audience::from_env(&context.env))
        .map_err(|error| CliError::Run(error.to_string()))?;
    let locks = take_locks(&context.paths).map_err(|error| CliError::Run(error.to_string()))?;
    let [_, of_the_home] = &locks;
    let order = StoreMigrate {
        home: program::text(&context.paths.home)?,
        config_file: program::text(&context.paths.config)?,
        state_dir: program::text(&context.paths.state())?,
        to: to.word().to_owned(),
        progress: !context.out.is_json(),
    };
    // The program keeps the lock, too: whoever kills this command alone does not let a supervisor in beside it.
    let lock = of_the_home.file().try_clone_to_owned()?;
    let moved: StoreMigrated = program::ask(context, STORE_MIGRATE, &order, lock.into())?;
    if switch {
        let loader = Loader::new(&Disk, &context.env).within(&context.paths);
        let kind = Edit::Set(Value::String(to.word().to_owned()));
        edit::edit_file(&loader, &context.paths.config, "store.kind", &kind, false)?;
    }
    let mut data = serde_json::to_value(&moved).map_err(std::io::Error::from)?;
    data["switched"] = json!(switch);
    context.out.data(&data, || told(&moved))?;
    if switch {
        context.out.note(format_args!("store.kind is \"{}\" now, for the next `creel up`.", to.word()));
    } else {
        context.out.note(format_args!(
            "Nothing uses the copy yet. Before anything new happens: creel config set store.kind {}",
            to.word()
        ));
    }
    Ok(OK)
}

fn told(moved: &StoreMigrated) -> String {
    let mut rows = vec![["TABLE", "ROWS", "SHA-256"].map(str::to_owned).to_vec()];
    for table in &moved.tables {
        let short: String = table.sha256.chars().take(16).collect();
        rows.push(vec![plain(&table.name), table.rows.to_string(), short]);
    }
    let (from, to) = (plain(&moved.from), plain(&moved.to));
    let seconds = moved.took_ms.div_ceil(1_000);
    let what = if moved.already {
        format!(
            "{to} already holds everything that is in {from}: {} rows, compared in {seconds} s.",
            moved.rows
        )
    } else {
        format!("{} rows of {from} are in {to} now, copied and compared in {seconds} s.", moved.rows)
    };
    let replaced = if moved.replaced == 0 {
        String::new()
    } else {
        format!("\n{} texts have a NUL, in whose place U+FFFD stands in PostgreSQL.", moved.replaced)
    };
    format!("{}\n\n{what}{replaced}", columns(&rows).trim_end())
}

#[cfg(test)]
mod tests {
    use creel_ipc::migration::MigratedTable;

    use super::*;

    #[test]
    fn tables_are_rows() {
        let table = |name: &str, rows| MigratedTable {
            name: name.into(),
            rows,
            sha256: "0123456789abcdef".repeat(4),
        };
        let mut moved = StoreMigrated {
            from: "/home/me/.creel/state/creel.db".into(),
            to: "creel at /var/run/postgresql".into(),
            already: false,
            tables: vec![table("session", 12), table("inbox", 10_301)],
            rows: 10_313,
            replaced: 1,
            took_ms: 1_200,
        };
        insta::assert_snapshot!(told(&moved), @"
        TABLE    ROWS   SHA-256
        session  12     0123456789abcdef
        inbox    10301  0123456789abcdef

        10313 rows of /home/me/.creel/state/creel.db are in creel at /var/run/postgresql now, copied and compared in 2 s.
        1 texts have a NUL, in whose place U+FFFD stands in PostgreSQL.
        ");
        (moved.already, moved.replaced) = (true, 0);
        assert_eq!(
            told(&moved).lines().last(),
            Some(
                "creel at /var/run/postgresql already holds everything that is in /home/me/.creel/state/creel.db: 10313 rows, compared in 2 s."
            )
        );
    }
}
