//! TLS: certificates by the name that a client asks for, replaced while connections go on.

use super::client_certificates::{ClientAuthorities, ClientCertificateSettings};
use crate::document::{Decode, Diagnostics, Node, NonEmpty, Schemas, Spanned, choose, words};
use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use x509_parser::extensions::GeneralName;

crate::settings! {
    /// TLS on a listener.
    pub struct TlsSettings {
        /// Certificates. A client gets the one for the name that it asks for, or else the first.
        certificates: NonEmpty<CertificateSettings>,
        /// Whether clients are asked for certificates. They are not where absent.
        client_certificates: Option<ClientCertificateSettings> = None,
        /// The oldest version that is spoken: `1.2` or `1.3`.
        min_version: TlsVersion = TlsVersion::Tls12,
        /// Whether HTTP/2 is spoken with clients that know it.
        http2: bool = true,
        /// For how long browsers are told to come by TLS only (Strict-Transport-Security). They are not told where absent.
        hsts: Option<Duration> = None,
    }
}

crate::settings! {
    /// A certificate and its key. They are read again when they change.
    pub struct CertificateSettings {
        /// A PEM file with the certificate, and then those that lead to its authority.
        certificate: Spanned<PathBuf>,
        /// A PEM file with the key.
        key: Spanned<PathBuf>,
    }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246, with authenticated ciphers and ephemeral keys only.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsVersion {
    const WORDS: [(&'static str, TlsVersion); 2] = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];

    fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        const ALL: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            TlsVersion::Tls12 => &ALL,
            TlsVersion::Tls13 => &ALL[..1],
        }
    }
}

impl Decode for TlsVersion {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "version of TLS", &TlsVersion::WORDS, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&TlsVersion::WORDS)
    }

    fn written(&self) -> Option<Value> {
        Some(TlsVersion::WORDS[*self as usize].0.into())
    }
}

/// A certificate that has been read, with its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    /// When it is not valid any more: seconds since 1970.
    pub expires: i64,
}

impl Certificate {
    /// Reads a certificate with those that lead to its authority, and its key. Both are PEM.
    ///
    /// # Errors
    /// What is wrong with them, to be said of `certificate` or of `key`.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Self, Fault> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|error| Fault::Certificate(format!("it is not PEM: {error}")))?;
        let first = chain.first().ok_or_else(|| Fault::Certificate("it holds no PEM certificate".into()))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(first)
            .map_err(|_| Fault::Certificate("its first certificate cannot be read".into()))?;
        let expires = parsed.validity().not_after.timestamp();
        let names = parsed.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let names = names.collect();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Fault::Key("it holds no PEM key".into()))?;
        let key = CertifiedKey::from_der(chain, key, &default_provider())
            .map_err(|_| Fault::Key("it is not the key of the certificate, or of a kind that is not known".into()))?;
        Ok(Certificate { key: Arc::new(key), names, expires })
    }
}

/// What is wrong with a certificate or its key.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// Of the certificate.
    Certificate(String),
    /// Of the key.
    Key(String),
}

/// The certificates of a listener.
#[derive(Default)]
pub struct Certificates {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Of two for one name the earlier counts.
    pub fn new(certificates: &[Certificate]) -> Self {
        let mut by_name = HashMap::new();
        for certificate in certificates {
            for name in &certificate.names {
                by_name.entry(name.clone()).or_insert_with(|| certificate.key.clone());
            }
        }
        Certificates { by_name, first: certificates.first().map(|first| first.key.clone()) }
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let wildcard = || name.split_once('.').and_then(|(_, parent)| self.by_name.get(&format!("*.{parent}")));
        self.by_name.get(&name).or_else(wildcard)
    }
}

/// What handshakes read, and a reload replaces.
#[derive(Default)]
pub struct CertificateCell {
    own: ArcSwap<Certificates>,
    clients: ArcSwapOption<ClientAuthorities>,
}

impl CertificateCell {
    /// Uses other certificates, and believes others of clients, from the next handshake on.
    pub fn set(&self, own: Certificates, clients: Option<ClientAuthorities>) {
        self.own.store(Arc::new(own));
        let digest = |clients: &ClientAuthorities| clients.digest;
        // Where they are the same, sessions go on.
        if self.clients.load().as_deref().map(digest) != clients.as_ref().map(digest) {
            self.clients.store(clients.map(Arc::new));
        }
    }
}

impl fmt::Debug for CertificateCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateCell")
    }
}

impl ResolvesServerCert for CertificateCell {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = self.own.load();
        hello.server_name().and_then(|name| certificates.find(name)).or(certificates.first.as_ref()).cloned()
    }
}

/// How a listener shakes hands.
pub(super) struct Handshakes {
    settings: TlsSettings,
    cell: Arc<CertificateCell>,
    /// What they are done with, and which authorities it was made for.
    made: ArcSwap<(Option<Arc<ClientAuthorities>>, Arc<ServerConfig>)>,
}

impl Handshakes {
    /// Shakes hands as `settings` say, with what `cell` holds.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new(settings: &TlsSettings, cell: Arc<CertificateCell>) -> Result<Self, rustls::Error> {
        let clients = cell.clients.load_full();
        let config = server_config(settings, &cell, clients.as_deref())?;
        Ok(Handshakes { settings: settings.clone(), cell, made: ArcSwap::from_pointee((clients, Arc::new(config))) })
    }

    /// For the next handshake. Whom other authorities vouched for cannot go on with a session: nobody would look at the
    /// certificate again.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn acceptor(&self) -> Result<TlsAcceptor, rustls::Error> {
        let (made, clients) = (self.made.load(), self.cell.clients.load_full());
        if clients.as_ref().map(Arc::as_ptr) == made.0.as_ref().map(Arc::as_ptr) {
            return Ok(TlsAcceptor::from(made.1.clone()));
        }
        let config = Arc::new(server_config(&self.settings, &self.cell, clients.as_deref())?);
        self.made.store(Arc::new((clients, config.clone())));
        Ok(TlsAcceptor::from(config))
    }
}

fn server_config(
    settings: &TlsSettings,
    cell: &Arc<CertificateCell>,
    clients: Option<&ClientAuthorities>,
) -> Result<ServerConfig, rustls::Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(settings.min_version.and_later())?;
    let config = match clients {
        Some(clients) => config.with_client_cert_verifier(clients.verifier.clone()),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_cert_resolver(cell.clone());
    let http2 = settings.http2.then(|| H2.to_vec());
    config.alpn_protocols = http2.into_iter().chain([b"http/1.1".to_vec()]).collect();
    // Tickets need no memory here.
    config.ticketer = Ticketer::new()?;
    Ok(config)
}

/// HTTP/2 as TLS names it.
pub(super) const H2: &[u8] = b"h2";

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};

    fn made(names: &[&str]) -> (Vec<u8>, Vec<u8>) {
        let Made { cert, signing_key } =
            generate_simple_self_signed(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        (cert.pem().into_bytes(), signing_key.serialize_pem().into_bytes())
    }

    #[test]
    fn a_name_finds_its_certificate() {
        let read = |names: &[&str]| {
            let (certificate, key) = made(names);
            Certificate::read(&certificate, &key).unwrap()
        };
        let [first, second] =
            [read(&["logs.example.org", "*.ci.example.org"]), read(&["Images.example.org", "logs.example.org"])];
        let all = Certificates::new(&[first.clone(), second.clone()]);
        for (name, expected) in [
            ("logs.example.org", Some(&first)),
            ("LOGS.example.org", Some(&first)),
            ("images.example.org", Some(&second)),
            ("a.ci.example.org", Some(&first)),
            ("a.b.ci.example.org", None),
            ("ci.example.org", None),
            ("other.example.org", None),
        ] {
            let found = all.find(name).map(Arc::as_ptr);
            assert_eq!(found, expected.map(|certificate| Arc::as_ptr(&certificate.key)), "{name}");
        }
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let (certificate, key) = made(&["logs.example.org"]);
        let (_, other) = made(&["logs.example.org"]);
        let fault = |certificate: &[u8], key: &[u8]| match Certificate::read(certificate, key).unwrap_err() {
            Fault::Certificate(_) => "certificate",
            Fault::Key(_) => "key",
        };
        assert!(Certificate::read(&certificate, &key).is_ok());
        assert_eq!(fault(&certificate, &other), "key");
        assert_eq!(fault(&certificate, b""), "key");
        assert_eq!(fault(&certificate, &certificate), "key");
        assert_eq!(fault(&key, &key), "certificate");
        assert_eq!(fault(b"", &key), "certificate");
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(fault(broken.as_bytes(), &key), "certificate");
    }
}
