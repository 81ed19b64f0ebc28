//! Where the database is, and how the way to it is kept private.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::dialer::Dialer;
use crate::store::{Kept, StoreError};

/// Where the database is. Over the network there is no way without TLS and a checked name.
#[derive(Clone)]
pub(crate) struct Reach {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    dialer: Option<Dialer>,
}

impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reach").field(&self.name()).finish()
    }
}

impl Reach {
    /// A way that trusts these authorities (PEM), or else those of the system. Of several hosts the one that takes writes
    /// is used.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when the authorities cannot be read.
    pub(crate) fn new(mut config: Config, authorities: Option<&[u8]>) -> Kept<Self> {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite).application_name("creel");
        let nearby = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let tls = if nearby {
            config.ssl_mode(SslMode::Disable);
            None
        } else {
            config.ssl_mode(SslMode::Require);
            let trust = authorities.map_or_else(trusting_the_system, trusting_only);
            let trust = trust.map_err(|reason| StoreError::Unusable {
                path: name(&config),
                reason: format!("nobody can vouch for its server: {reason}"),
                remedy: "Name a file with the certificate of its authority in PEM.".to_owned(),
            })?;
            Some(MakeRustlsConnect::new(trust))
        };
        Ok(Self { config, tls, dialer: None })
    }

    /// The same database, by connections that the supervisor makes.
    pub(crate) fn through(self, dialer: Dialer) -> Self {
        Self { dialer: Some(dialer), ..self }
    }

    pub(super) fn dialer(&self) -> Option<&Dialer> {
        self.dialer.as_ref()
    }

    /// The names of its servers, which their certificates must have; nothing for one that is at a unix socket.
    pub(super) fn servers(&self) -> impl Iterator<Item = Option<&str>> {
        self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => Some(name.as_str()),
            Host::Unix(_) => None,
        })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn tls(&self) -> Option<&MakeRustlsConnect> {
        self.tls.as_ref()
    }

    /// What people call the database.
    pub(in crate::store) fn name(&self) -> String {
        name(&self.config)
    }
}

fn name(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    format!("{} at {}", config.get_dbname().unwrap_or("(its default)"), hosts.join(", "))
}

fn trusting_the_system() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(Arc::clone(&provider)).map_err(|error| error.to_string())?;
    let begun = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let begun = begun.map_err(|error| error.to_string())?;
    Ok(begun.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

fn trusting_only(authorities: &[u8]) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in the file".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let begun = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(begun.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}
