//! Credentials for origins: found, kept fresh in the background, never shown.

#![allow(clippy::disallowed_methods, reason = "rank 4: reads credential files and the wall clock")]

use crate::document::{Decode, Diagnostics, MapReader, MapSchema, Node, Schemas, text};
use crate::metrics::Metrics;
use crate::origin::CredentialsCell;
use aws_config::BehaviorVersion;
use aws_config::SdkConfig;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// How often key files are read again. Kubernetes swaps them by a symlink, which no watch on the file would see.
const FILE_INTERVAL: Duration = Duration::from_secs(10);
/// Credentials from the chain are refreshed this long before they expire.
const EARLY: Duration = Duration::from_secs(300);
/// How often the chain is asked again when its credentials do not expire, and the most that a refresh waits.
const CHAIN_INTERVAL: Duration = Duration::from_secs(3600);
/// After a failure.
const RETRY: Duration = Duration::from_secs(10);
/// At start the first credentials are waited for so long; the instance metadata service may take its time.
const FIRST: Duration = Duration::from_secs(10);

/// Where credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialsSource {
    /// The standard AWS chain: environment, profile, web identity, container, instance metadata.
    Chain,
    /// A named profile of the shared AWS configuration.
    Profile(String),
    /// Two files with one line each.
    Files {
        /// The access key.
        access_key: PathBuf,
        /// The secret key.
        secret_key: PathBuf,
    },
    /// One file with one line: `ACCESS SECRET [TOKEN]`.
    KeyFile(PathBuf),
}

impl CredentialsSource {
    /// The same, where relative paths begin in `directory`.
    #[must_use]
    pub fn beside(self, directory: &Path) -> Self {
        match self {
            Self::Files { access_key, secret_key } => {
                Self::Files { access_key: directory.join(access_key), secret_key: directory.join(secret_key) }
            }
            Self::KeyFile(path) => Self::KeyFile(directory.join(path)),
            Self::Chain | Self::Profile(_) => self,
        }
    }
}

impl Decode for CredentialsSource {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(node, diagnostics)?;
        let access_key: Option<PathBuf> = map.optional("access_key_file", diagnostics, || None);
        let secret_key: Option<PathBuf> = map.optional("secret_key_file", diagnostics, || None);
        let key_file: Option<PathBuf> = map.optional("key_file", diagnostics, || None);
        let profile: Option<String> = map.optional("profile", diagnostics, || None);
        map.finish(diagnostics);
        match (access_key, secret_key, key_file, profile) {
            (Some(access_key), Some(secret_key), None, None) => Some(Self::Files { access_key, secret_key }),
            (None, None, Some(file), None) => Some(Self::KeyFile(file)),
            (None, None, None, Some(profile)) => Some(Self::Profile(profile)),
            _ => {
                let message = "expected `access_key_file` and `secret_key_file`, or `key_file`, or `profile`";
                diagnostics.error(node.position, message);
                None
            }
        }
    }

    fn schema(schemas: &mut Schemas) -> Value {
        schemas.define("CredentialsSource", |schemas| {
            let mut map = MapSchema::new(&["Two files, one file, or a profile of the AWS configuration."]);
            let keys = [
                ("access_key_file", "A file with the access key. It is read again every 10 s."),
                ("secret_key_file", "A file with the secret key."),
                ("key_file", "A file with one line: `ACCESS SECRET [TOKEN]`."),
                ("profile", "A profile of `~/.aws/config`."),
            ];
            for (key, doc) in keys {
                map.optional(key, &[doc], text(), None, schemas);
            }
            let mut schema = map.finish();
            let ways = [&["access_key_file", "secret_key_file"][..], &["key_file"], &["profile"]];
            schema["anyOf"] = ways.iter().map(|keys| json!({ "required": keys })).collect();
            schema
        })
    }
}

/// Why credentials could not be loaded. Never holds what was read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file could not be read.
    #[error("cannot read `{0}`: {1}")]
    File(PathBuf, std::io::Error),
    /// A file has another form.
    #[error("`{0}` does not hold {1}")]
    Form(PathBuf, &'static str),
    /// The AWS chain has none.
    #[error("the AWS credentials chain found none: {0}")]
    Chain(String),
}

async fn read(path: &Path) -> Result<String, CredentialsError> {
    let text = tokio::fs::read_to_string(path).await;
    text.map(|text| text.trim().to_owned()).map_err(|error| CredentialsError::File(path.to_owned(), error))
}

/// A source that can be asked again and again.
enum Loader {
    Files { access_key: PathBuf, secret_key: PathBuf },
    KeyFile(PathBuf),
    Aws(Box<SdkConfig>),
}

impl Loader {
    async fn new(source: &CredentialsSource) -> Self {
        let profile = match source {
            CredentialsSource::Files { access_key, secret_key } => {
                return Loader::Files { access_key: access_key.clone(), secret_key: secret_key.clone() };
            }
            CredentialsSource::KeyFile(path) => return Loader::KeyFile(path.clone()),
            CredentialsSource::Profile(profile) => Some(profile),
            CredentialsSource::Chain => None,
        };
        let client =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(client.clone());
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        // The region only matters to token services; origins have regions of their own.
        let mut config = loader.load().await;
        if let Some(profile) = profile {
            // Of this profile alone: the chain would look into the environment first.
            let own = ProviderConfig::default().with_region(config.region().cloned()).with_http_client(client);
            let provider = ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&own).build();
            let provider = SharedCredentialsProvider::new(provider);
            config = config.into_builder().credentials_provider(provider).build();
        }
        Loader::Aws(Box::new(config))
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let (access, secret, token) = match self {
            Loader::Files { access_key, secret_key } => (read(access_key).await?, read(secret_key).await?, None),
            Loader::KeyFile(path) => {
                let line = read(path).await?;
                let words: Vec<&str> = line.split_whitespace().collect();
                match words[..] {
                    [access, secret] => (access.to_owned(), secret.to_owned(), None),
                    [access, secret, token] => (access.to_owned(), secret.to_owned(), Some(token.to_owned())),
                    _ => return Err(CredentialsError::Form(path.clone(), "one line `ACCESS SECRET [TOKEN]`")),
                }
            }
            Loader::Aws(config) => {
                let provider = config
                    .credentials_provider()
                    .ok_or_else(|| CredentialsError::Chain("it is not configured".into()))?;
                let loaded = provider.provide_credentials().await;
                return loaded.map_err(|error| CredentialsError::Chain(error.to_string()));
            }
        };
        if access.is_empty() || secret.is_empty() || access.contains(char::is_whitespace) {
            let path = match self {
                Loader::Files { access_key, .. } => access_key.clone(),
                _ => PathBuf::new(),
            };
            return Err(CredentialsError::Form(path, "one key on one line"));
        }
        Ok(Credentials::new(access, secret, token, None, "windscreen"))
    }

    /// How long `credentials` may be used before the next look.
    fn next_look(&self, credentials: &Credentials) -> Duration {
        match (self, credentials.expiry()) {
            (Loader::Files { .. } | Loader::KeyFile(_), _) => FILE_INTERVAL,
            (Loader::Aws(_), None) => CHAIN_INTERVAL,
            (Loader::Aws(_), Some(expiry)) => {
                let left = expiry.duration_since(SystemTime::now()).unwrap_or_default();
                left.saturating_sub(EARLY).clamp(RETRY, CHAIN_INTERVAL)
            }
        }
    }
}

/// Loads once into `cell` and says when to look again. A failure keeps the last credentials, is counted and warned about.
async fn refresh(name: &str, loader: &Loader, cell: &CredentialsCell, metrics: &Metrics) -> Duration {
    let count = |result| metrics.credentials_refreshes.with_label_values(&[name, result]).inc();
    match loader.load().await {
        Ok(credentials) => {
            count("ok");
            let expires = credentials.expiry().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let expires = expires.and_then(|at| i64::try_from(at.as_secs()).ok()).unwrap_or(0);
            metrics.credentials_expire.with_label_values(&[name]).set(expires);
            let next = loader.next_look(&credentials);
            cell.store(Some(Arc::new(credentials.into())));
            next
        }
        Err(error) => {
            count("error");
            tracing::warn!(credentials = name, %error, "credentials could not be loaded; the last ones stay in use");
            RETRY
        }
    }
}

/// Loads credentials once, to see whether that can be done.
///
/// # Errors
/// When there are none, or not in the form that is expected.
pub async fn load(source: &CredentialsSource) -> Result<Credentials, CredentialsError> {
    Loader::new(source).await.load().await
}

/// Loads credentials into `cell`, waiting a little for the first ones, and goes on refreshing them until `stop`.
pub async fn start(
    name: String,
    source: CredentialsSource,
    cell: CredentialsCell,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let (ready, first) = tokio::sync::oneshot::channel();
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        let loader = Loader::new(&source).await;
        let mut ready = Some(ready);
        loop {
            let wait = refresh(&name, &loader, &cell, &metrics).await;
            ready.take().map(|ready| ready.send(()));
            tokio::time::sleep(wait).await;
        }
    }));
    let _ = tokio::time::timeout(FIRST, first).await;
}
