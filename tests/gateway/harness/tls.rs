//! A TLS client that shows what it is told to, and the authority that signs it.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// An authority of this name.
pub fn authority(name: &str) -> Authority {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// Signs a certificate for one purpose, changed by `change`.
pub fn certify(
    by: &Authority,
    number: u64,
    purpose: ExtendedKeyUsagePurpose,
    change: impl FnOnce(&mut CertificateParams),
) -> Pair {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.serial_number = Some(SerialNumber::from(number));
    parameters.extended_key_usages = vec![purpose];
    change(&mut parameters);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, by).unwrap().pem();
    Pair { certificate, key: key.serialize_pem() }
}

/// A client that trusts `by` and shows `pair`, where there is one. It goes on with its sessions.
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    pub fn new(by: &Authority, pair: Option<&Pair>, protocols: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(by.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match pair {
            None => config.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).map(Result::unwrap).collect();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsClient(Arc::new(config))
    }

    /// Connects from `address`, and sends `first` before TLS begins.
    pub async fn connect(&self, server: SocketAddr, address: &str, first: &[u8]) -> io::Result<TlsStream<TcpStream>> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(format!("{address}:0").parse().unwrap())?;
        let mut stream = socket.connect(server).await?;
        stream.write_all(first).await?;
        TlsConnector::from(self.0.clone()).connect(ServerName::try_from("logs.test").unwrap(), stream).await
    }

    /// Asks for `target` by HTTP/1.1 and says with which status that was answered, 0 if it was not, and whether an earlier
    /// session went on.
    pub async fn get(
        &self,
        server: SocketAddr,
        address: &str,
        first: &[u8],
        target: &str,
        headers: &str,
    ) -> (u16, bool) {
        let Ok(mut stream) = self.connect(server, address, first).await else { return (0, false) };
        let resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        let request = format!("GET {target} HTTP/1.1\r\nHost: logs.test\r\n{headers}Connection: close\r\n\r\n");
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        (answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap()), resumed)
    }
}
