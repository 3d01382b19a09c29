//! The S3 server of the demo: one folder per bucket, served on loopback.
//!
//! It is a real server in what a gateway can see of it: s3s verifies the signature of every
//! request, and what is read and written are files. Tests use it as their origin too.

pub use super::connections::Received;

use super::addressing::Addressing;
use super::connections::{Seen, accept};
use super::files::is_storable;
use super::objects::Objects;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running S3 server. It ends with its last owner: dropping it closes every connection.
pub struct Store {
    /// Where it listens; the port is a real one even when port 0 was asked for.
    pub address: SocketAddr,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

/// What a [`Store`] is to be, before it starts.
#[derive(Clone)]
pub struct Settings {
    root: PathBuf,
    credentials: Option<(String, String)>,
    domain: Option<String>,
}

impl Settings {
    /// Buckets are the folders of `root`; until told otherwise, anyone may read their objects.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), credentials: None, domain: None }
    }

    /// Only requests signed with this key are answered; every operation is open to them.
    pub fn credentials(mut self, access: &str, secret: &str) -> Self {
        self.credentials = Some((access.to_owned(), secret.to_owned()));
        self
    }

    /// Also answers virtual-hosted-style requests, for `BUCKET.domain` (the port is ignored).
    /// Other host names stay path-style.
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_ascii_lowercase());
        self
    }

    /// Begins to serve, on the runtime that this is called from.
    pub async fn start(self, listen: SocketAddr) -> io::Result<Store> {
        let service = self.service()?;
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let accepting = tokio::spawn(accept(listener, service, Arc::clone(&seen)));
        Ok(Store { address, seen, accepting })
    }

    fn service(self) -> io::Result<S3Service> {
        let files = s3s_fs::FileSystem::new(&self.root)
            .map_err(|error| io::Error::other(format!("{}: {error:?}", self.root.display())))?;
        let addressing = Addressing { domain: self.domain };
        let anonymous = self.credentials.is_none();
        let mut builder = S3ServiceBuilder::new(files);
        // An access policy is only asked when there is an authenticator, so that a store without
        // credentials has one too: it knows no key, hence refuses whatever is signed.
        builder.set_auth(match self.credentials {
            Some((access, secret)) => SimpleAuth::from_single(access, secret),
            None => SimpleAuth::new(),
        });
        builder.set_access(Policy);
        if addressing.domain.is_some() {
            builder.set_host(addressing.clone());
        }
        builder.set_route(Objects { root: self.root, addressing, anonymous });
        Ok(builder.build())
    }
}

impl Store {
    /// Serves the folders of `root` on `listen`: to requests signed with `credentials`
    /// (access key, secret key), or reads of objects to anyone when there are none.
    pub async fn start(listen: SocketAddr, root: &Path, credentials: Option<(&str, &str)>) -> io::Result<Self> {
        let settings = Settings::new(root);
        let settings = match credentials {
            Some((access, secret)) => settings.credentials(access, secret),
            None => settings,
        };
        settings.start(listen).await
    }

    /// `http://ADDRESS`, for a gateway's configuration.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests have been answered so far, refused ones included.
    pub fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::Relaxed)
    }

    /// How many connections have been accepted so far.
    pub fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// The latest requests, oldest first.
    pub fn recent(&self) -> Vec<Received> {
        self.seen.recent()
    }

    /// Stops, and returns once the port is free and no connection is left.
    pub async fn shutdown(mut self) {
        self.accepting.abort();
        // Cancelled is how it is meant to end.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Who may do what beyond reading an object (which [`Objects`] decides): signed requests anything,
/// except with keys that no file can stand for.
struct Policy;

#[async_trait::async_trait]
impl S3Access for Policy {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        match context.s3_path().get_object_key() {
            Some(key) if !is_storable(key) => {
                Err(s3_error!(InvalidArgument, "This store keeps no object of that name"))
            }
            _ => Ok(()),
        }
    }
}
