//! Why a command failed, in sentences that say what to do.

use creel_config::edit::EditError;
use creel_config::load::LoadError;
use creel_config::overrides::BadVariable;
use creel_config::paths::NoHome;
use creel_ipc::RpcError;
use creel_ipc::client::ErrorShape;
use creel_ipc::exit::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// An environment variable cannot be used.
    #[error(transparent)]
    Variable(#[from] BadVariable),
    /// There is no home.
    #[error(transparent)]
    Home(#[from] NoHome),
    /// The configuration is wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The configuration cannot be changed like this.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Something about the service failed.
    #[error(transparent)]
    Service(#[from] crate::service::ServiceError),
    /// No supervisor answers.
    #[error("Creel is not running: {path} does not answer ({error}). Start it with `creel up`.")]
    NotRunning {
        /// The control socket.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The machine's service lets in members of its group.
    #[error(
        "This machine's Creel shows itself to root and to members of the group creel, and you are neither. Put sudo before \
         the command, or join the group and log in again: sudo usermod -aG creel \"$USER\""
    )]
    NoMember,
    /// Somebody else's supervisor.
    #[error(
        "The Creel at {path} belongs to another user, who alone may ask it; run this as that user or as root."
    )]
    Anothers {
        /// The control socket.
        path: String,
    },
    /// No gateway answers.
    #[error("The gateway at {address} does not answer: {error}. `creel status` shows why.")]
    NoGateway {
        /// Where it was looked for.
        address: String,
        /// What went wrong.
        error: String,
    },
    /// The gateway's token is not known.
    #[error(
        "The gateway's token cannot be read from {path}: {error}. It is written when Creel starts; or set CREEL_GATEWAY_TOKEN."
    )]
    NoToken {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The connection ended in the middle.
    #[error("The connection to the {peer} ended before it answered: {error}.")]
    Broken {
        /// `supervisor` or `gateway`.
        peer: &'static str,
        /// What went wrong.
        error: String,
    },
    /// The supervisor said no.
    #[error("{}", .0.message)]
    Supervisor(RpcError),
    /// The gateway said no.
    #[error("{} ({})", .0.message, .0.code)]
    Gateway(Box<ErrorShape>),
    /// What was typed makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The run did not end well.
    #[error("{0}")]
    Run(String),
    /// Output cannot be written.
    #[error("The output cannot be written: {0}.")]
    Output(#[from] std::io::Error),
}

impl CliError {
    /// Whether no supervisor is there to answer.
    pub(crate) fn is_not_running(&self) -> bool {
        matches!(self, Self::NotRunning { .. })
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Load(_) | Self::Edit(_) => ExitCode::Config,
            Self::Usage(_) | Self::Variable(_) | Self::Home(_) => ExitCode::Usage,
            _ => ExitCode::Failure,
        }
    }
}
