//! `creel backup`: what is to be done is the gateway's program's work, which alone knows the database.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use creel_config::disk::Disk;
use creel_config::load::Loader;
use creel_config::store::StoreKind;
use creel_ipc::backup::{BACKUP, BackupCreate, BackupOrder, BackupReport, BackupRestore};

use super::error::CliError;
use super::program::{self, text};
use super::table::plain;
use super::{Context, OK};

/// Copies of this home in one file, made while it is in use.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Copy the home: database, transcripts, files of agents
    #[command(
        after_help = "Examples:\n  creel backup create\n  creel backup create --to /mnt/disk/creel.tar --with-secrets\n\n\
                            Creel may run meanwhile. Without --with-secrets the configuration, its .env and the gateway's \
                            token are left out; with it whoever has the file can act as you: encrypt it (age, gpg) where \
                            others may get at it. Workspaces outside of the home are not copied."
    )]
    Create {
        /// The file to write [default: creel-backup-TIME.tar here]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Also the configuration, .env and tokens
        #[arg(long)]
        with_secrets: bool,
    },
    /// Look whether a backup is whole: every hash, and the database in it
    #[command(after_help = "Example:\n  creel backup verify creel-backup-20260101-120000.tar")]
    Verify {
        /// The backup
        file: PathBuf,
    },
    /// Make a home of a backup again, in a folder that is empty or not there
    #[command(
        after_help = "Example:\n  creel backup restore creel-backup-20260101-120000.tar --to ~/.creel\n\n\
                            Never let two homes of one backup run at a time: both would speak for you. What waited when \
                            the backup was made may have been said or answered since, so nothing of it happens again by itself: \
                            replies are shown as unknown (`creel outbox`), and messages are set aside (`creel inbox`), \
                            unless --resume has them answered."
    )]
    Restore {
        /// The backup
        file: PathBuf,
        /// The folder [default: the home]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Answer the messages that had no answer yet when the backup was made
        #[arg(long)]
        resume: bool,
    },
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Create { to, with_secrets } => create(context, to, with_secrets),
        Command::Verify { file } => {
            let verify = BackupOrder::Verify { file: text(&file)?, progress: !context.out.is_json() };
            let report = order(context, &verify)?;
            told(context, &report, "is whole")
        }
        Command::Restore { file, to, resume } => {
            let home = to.unwrap_or_else(|| context.paths.home.clone());
            let (file, at) = (text(&file)?, text(&home)?);
            let restore = BackupRestore { file, home: at, resume, progress: !context.out.is_json() };
            let report = order(context, &BackupOrder::Restore(restore))?;
            told(context, &report, &format!("is restored to {}", plain(&home.display().to_string())))?;
            if report.in_doubt > 0 {
                let count = report.in_doubt;
                context.out.note(format_args!(
                    "{count} replies had not been said yet; they are shown as unknown and not said again by themselves."
                ));
            }
            if report.set_aside > 0 {
                let count = report.set_aside;
                context.out.note(format_args!(
                    "Messages that had not been answered yet are set aside: {count}. See `creel inbox`; a restore with \
                     --resume has them answered."
                ));
            }
            if !report.secrets {
                context.out.note("Configuration and tokens are not in it: put your creel.json into the home before `creel up`.");
            }
            Ok(OK)
        }
    }
}

fn create(context: &Context, to: Option<PathBuf>, secrets: bool) -> Result<ExitCode, CliError> {
    let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S");
    let file = to.unwrap_or_else(|| PathBuf::from(format!("creel-backup-{now}.tar")));
    // Also a configuration that is wrong does not keep anybody from saving what there is.
    let read = Loader::new(&Disk, &context.env).within(&context.paths).file(&context.paths.config);
    let config = read.map(|loaded| loaded.config).unwrap_or_default();
    if config.store.kind == StoreKind::Postgres {
        let sentence = "`creel backup create` copies a home whose database is a file, and this one's is in PostgreSQL \
             (store.kind). Save the database with `pg_dump --format=custom --schema=creel`, and copy the home's files beside it.";
        return Err(CliError::Usage(sentence.to_owned()));
    }
    let database = context.paths.database(&config);
    let create = BackupCreate {
        home: text(&context.paths.home)?,
        database: text(&database)?,
        file: text(&file)?,
        secrets,
        progress: !context.out.is_json(),
    };
    let report = order(context, &BackupOrder::Create(create))?;
    told(context, &report, "is made")?;
    if !report.left_out.is_empty() {
        context.out.note(format_args!(
            "Left out as secrets: {}. --with-secrets includes them.",
            report.left_out.join(", ")
        ));
    }
    Ok(OK)
}

fn told(context: &Context, report: &BackupReport, what: &str) -> Result<ExitCode, CliError> {
    context.out.data(report, || {
        let (file, mib) = (plain(&report.file), report.bytes.div_ceil(1 << 20));
        format!("{file} {what}: {} files, {mib} MiB, of {}.", report.files, plain(&report.created_at))
    })?;
    Ok(OK)
}

fn order(context: &Context, order: &BackupOrder) -> Result<BackupReport, CliError> {
    program::ask(context, BACKUP, order, Stdio::null())
}
