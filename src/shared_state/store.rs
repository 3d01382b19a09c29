//! One connection to one server: opened, tried, and asked, always for a bounded time.

use super::pending::Key;
use super::script::{command, key, millis, total};
use super::settings::{SharedStateSettings, StoreUrl};
use crate::clock::Timestamp;
use crate::exchange::{Change, Spending, Total};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, TlsCertificates, Value, cmd,
};
use std::time::Duration;

/// Why the state is not shared; a closed set of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No server could be connected to.
    Unreachable,
    /// No answer came in time.
    Timeout,
    /// The connection was lost.
    Lost,
    /// The server wants another password or gives fewer rights.
    Denied,
    /// The server has no memory left.
    Full,
    /// The server is a replica.
    ReadOnly,
    /// Anything else.
    Error,
}

impl Failure {
    /// All of them.
    pub const ALL: [Failure; 7] = [
        Failure::Unreachable,
        Failure::Timeout,
        Failure::Lost,
        Failure::Denied,
        Failure::Full,
        Failure::ReadOnly,
        Failure::Error,
    ];

    /// The word in metrics and messages.
    pub fn word(self) -> &'static str {
        match self {
            Failure::Unreachable => "unreachable",
            Failure::Timeout => "timeout",
            Failure::Lost => "lost",
            Failure::Denied => "denied",
            Failure::Full => "full",
            Failure::ReadOnly => "readonly",
            Failure::Error => "error",
        }
    }
}

/// A failure with its story.
#[derive(Debug)]
pub struct Trouble {
    /// What it is.
    pub failure: Failure,
    /// For people. Never what the server said beyond its error code: some repeat what they were sent, even passwords.
    pub detail: String,
    /// Whether the command has surely not been executed.
    pub untouched: bool,
}

impl Trouble {
    fn timeout(patience: Duration) -> Self {
        Trouble { failure: Failure::Timeout, detail: format!("no answer within {patience:?}"), untouched: false }
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        let Some(code) = error.code() else {
            let failure = match error.kind() {
                ErrorKind::AuthenticationFailed => Failure::Denied,
                ErrorKind::Io => Failure::Lost,
                _ => Failure::Error,
            };
            let detail = if failure == Failure::Denied {
                "the server refuses the user or the password".into()
            } else {
                error.to_string()
            };
            return Trouble { failure, detail, untouched: failure == Failure::Denied };
        };
        // Up to version 6 an error within a script has the code ERR, and the true one in its text.
        let is = |word: &str| code == word || error.detail().is_some_and(|text| text.contains(&format!("-{word} ")));
        let known = [
            ("OOM", Failure::Full),
            ("READONLY", Failure::ReadOnly),
            ("NOAUTH", Failure::Denied),
            ("WRONGPASS", Failure::Denied),
            ("MISCONF", Failure::Error),
            ("NOREPLICAS", Failure::Error),
            ("LOADING", Failure::Error),
            ("MASTERDOWN", Failure::Error),
            ("BUSY", Failure::Error),
        ];
        match known.into_iter().find(|(word, _)| is(word)) {
            // These are found before a script writes for the first time.
            Some((word, failure)) => Trouble { failure, detail: format!("error {word}"), untouched: true },
            None => {
                let failure = if is("NOPERM") { Failure::Denied } else { Failure::Error };
                Trouble { failure, detail: format!("error {code}"), untouched: false }
            }
        }
    }
}

/// An open connection to a server that takes writes.
pub struct Connection {
    /// Where to.
    pub url: StoreUrl,
    inner: MultiplexedConnection,
    prefix: String,
    patience: Duration,
}

impl Connection {
    /// Connects to the first server that takes writes.
    ///
    /// # Errors
    /// When none does.
    pub async fn open(settings: &SharedStateSettings, authorities: Option<&[u8]>) -> Result<Self, Trouble> {
        let mut trouble = Trouble { failure: Failure::Unreachable, detail: String::new(), untouched: true };
        let mut details = Vec::new();
        for url in &settings.url.0 {
            let opening = tokio::time::timeout(settings.timeout.0, open(url, settings, authorities)).await;
            match opening.unwrap_or_else(|_| Err(Trouble::timeout(settings.timeout.0))) {
                Ok(connection) => return Ok(connection),
                Err(found) => {
                    trouble.failure = if found.failure == Failure::Lost { Failure::Unreachable } else { found.failure };
                    details.push(format!("`{url}`: {}", found.detail));
                }
            }
        }
        trouble.detail = details.join("; ");
        Err(trouble)
    }

    /// What keys begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Sends one command, and waits for its answer for a bounded time.
    ///
    /// # Errors
    /// When none comes, or another one than is expected.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Trouble> {
        let mut connection = self.inner.clone();
        let asking = tokio::time::timeout(self.patience, command.query_async(&mut connection)).await;
        Ok(asking.map_err(|_| Trouble::timeout(self.patience))??)
    }

    /// Writes something, to see whether that can be done.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn probe(&self) -> Result<(), Trouble> {
        self.ask(cmd("SET").arg(key(&self.prefix, "probe", 0, 0)).arg(1).arg("PX").arg(60_000)).await
    }

    /// Exchanges changes, as many as [`batch_of`](super::script::batch_of) says.
    ///
    /// # Errors
    /// When the server cannot be asked, or answers something else.
    pub async fn exchange(&self, batch: &[(Key, Change)], now: Timestamp) -> Result<Vec<(Key, Total)>, Trouble> {
        let changes = batch.iter().map(|((_, id), change)| (id, change));
        let answers: Vec<Value> = self.ask(&command(&self.prefix, changes, now)).await?;
        let totals =
            batch.iter().zip(answers).filter_map(|((key, change), answer)| Some((*key, total(change, answer)?)));
        let totals: Vec<_> = totals.collect();
        let detail = || "an answer to something else: does another version share the prefix?".into();
        let complete = totals.len() == batch.len();
        complete.then_some(totals).ok_or_else(|| Trouble {
            failure: Failure::Error,
            detail: detail(),
            untouched: false,
        })
    }

    /// Spends `id` for `life`, by one atomic command.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn spend(&self, id: [u8; 16], life: Duration) -> Result<Spending, Trouble> {
        let mut command = cmd("SET");
        command.arg(key(&self.prefix, "spent", 0, u128::from_be_bytes(id))).arg(1);
        command.arg("NX").arg("PX").arg(millis(life));
        let set: Option<String> = self.ask(&command).await?;
        Ok(if set.is_some() { Spending::First } else { Spending::Again })
    }
}

async fn open(
    url: &StoreUrl,
    settings: &SharedStateSettings,
    authorities: Option<&[u8]>,
) -> Result<Connection, Trouble> {
    let mut login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
    if let Some(path) = &settings.password_file {
        let password = tokio::fs::read_to_string(path).await.map_err(|error| Trouble {
            failure: Failure::Denied,
            detail: format!("cannot read `{}`: {error}", path.display()),
            untouched: true,
        })?;
        login = login.set_password(password.trim());
    }
    if let Some(username) = &settings.username {
        login = login.set_username(&username.value);
    }
    let address = match url {
        StoreUrl::Unix(path) => ConnectionAddr::Unix(path.clone()),
        StoreUrl::Tcp { host, port, tls, database } => {
            login = login.set_db(*database);
            match tls {
                false => ConnectionAddr::Tcp(host.clone(), *port),
                true => ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None },
            }
        }
    };
    let tcp = TcpSettings::default().set_nodelay(true);
    let info = address.into_connection_info()?.set_tcp_settings(tcp).set_redis_settings(login);
    let client = match (url, authorities) {
        (StoreUrl::Tcp { tls: true, .. }, Some(pem)) => {
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem.to_owned()) })?
        }
        _ => Client::open(info)?,
    };
    // Timeouts are ours, so that they bound everything.
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let inner = client.get_multiplexed_async_connection_with_config(&config).await?;
    let (prefix, patience) = (settings.prefix.0.clone(), settings.timeout.0);
    let connection = Connection { url: url.clone(), inner, prefix, patience };
    connection.probe().await?;
    Ok(connection)
}
