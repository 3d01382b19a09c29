//! Certificates of clients: whose are believed, and what a verified one says. It does not decide who the holder is.

use crate::clock::Timestamp;
use crate::document::Spanned;
use crate::identity::{CertificateName, ShownCertificate};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;

/// Of one certificate so many names are looked at.
const MOST_NAMES: usize = 64;

crate::settings! {
    /// Certificates that clients show, by which `clients` are known. Files are read again when they change.
    pub struct ClientCertificateSettings {
        /// A PEM file with the certificates of authorities that are believed. They should sign for your clients alone.
        authorities: Spanned<PathBuf>,
        /// Whether who shows none is turned away. A certificate that cannot be verified always is.
        require: bool = false,
        /// PEM files with lists of certificates that are not valid any more (CRLs), signed by these authorities.
        revocation_lists: Vec<Spanned<PathBuf>> = Vec::new(),
    }
}

/// Whose certificates of clients are believed.
#[derive(Debug, Clone)]
pub struct ClientAuthorities {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// Of all that it was made of.
    pub(super) digest: [u8; 32],
}

impl ClientAuthorities {
    /// Believes the certificates that `authorities` have signed, but for those in `revoked`. All are PEM. A certificate of
    /// which no list speaks is not revoked; a list that should have been replaced counts on.
    ///
    /// # Errors
    /// What is wrong, without the name of the file.
    pub fn read(authorities: &[u8], revoked: &[Vec<u8>], require: bool) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authorities) {
            let added = certificate.map_err(|_| ()).and_then(|der| roots.add(der).map_err(|_| ()));
            added.map_err(|()| "it holds something that is no certificate of an authority".to_owned())?;
        }
        let lists: Vec<_> = revoked.iter().flat_map(|pem| CertificateRevocationListDer::pem_slice_iter(pem)).collect();
        let lists = lists.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider())).with_crls(lists);
        builder = builder.allow_unknown_revocation_status();
        if !require {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| error.to_string())?;
        let mut digest = Sha256::new_with_prefix([u8::from(require)]);
        for part in std::iter::once(authorities).chain(revoked.iter().map(Vec::as_slice)) {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Ok(ClientAuthorities { verifier, digest: digest.finalize().into() })
    }
}

/// Whether these are lists of revoked certificates, as PEM.
///
/// # Errors
/// When there is none, or something else.
pub fn check_revocation_list(pem: &[u8]) -> Result<(), &'static str> {
    let mut count = 0;
    for list in CertificateRevocationListDer::pem_slice_iter(pem) {
        let good = list.is_ok_and(|der| x509_parser::parse_x509_crl(&der).is_ok());
        count += usize::from(good);
        if !good {
            return Err("it holds something that is no PEM list of revoked certificates");
        }
    }
    if count == 0 { Err("it holds no PEM list of revoked certificates (`X509 CRL`)") } else { Ok(()) }
}

/// What a verified certificate says.
pub(super) fn shown(certificate: &CertificateDer<'_>) -> Option<ShownCertificate> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let expires = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
    let alternative = parsed.subject_alternative_name().ok().flatten();
    let alternative = alternative.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(CertificateName::Dns(name.to_ascii_lowercase())),
        GeneralName::URI(uri) => Some(CertificateName::Uri((*uri).to_owned())),
        _ => None,
    });
    let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let common = common.map(|name| CertificateName::CommonName(name.to_owned()));
    let names = common.chain(alternative).take(MOST_NAMES).collect();
    Some(ShownCertificate { names, expires: Timestamp(expires.saturating_mul(1000)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
        KeyIdMethod, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
    };

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
    }

    fn list(authority: &CertifiedIssuer<'static, KeyPair>) -> String {
        let parameters = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2036, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        parameters.signed_by(authority).unwrap().pem().unwrap()
    }

    #[test]
    fn a_certificate_tells_its_names_and_its_end() {
        let mut parameters = CertificateParams::new(vec!["CI.example.org".to_owned()]).unwrap();
        parameters.subject_alt_names.push(SanType::URI("spiffe://example.org/ci".try_into().unwrap()));
        parameters.distinguished_name.push(DnType::CommonName, "robot");
        parameters.not_after = date_time_ymd(2030, 1, 1);
        let certificate = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let shown = shown(certificate.der()).unwrap();
        for name in [
            CertificateName::Dns("ci.example.org".into()),
            CertificateName::Uri("spiffe://example.org/ci".into()),
            CertificateName::CommonName("robot".into()),
        ] {
            assert!(shown.names.contains(&name), "{name}: {shown:?}");
        }
        assert_eq!(shown.expires, "2030-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(super::shown(&CertificateDer::from(vec![0x30, 0])), None);
    }

    #[test]
    fn names_are_bounded() {
        let names: Vec<String> = (0..1000).map(|number| format!("{number}.example.org")).collect();
        let certificate = CertificateParams::new(names).unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(shown(certificate.der()).unwrap().names.len(), MOST_NAMES);
    }

    #[test]
    fn other_authorities_are_told_apart() {
        let (first, second) = (authority(), authority());
        let of = |pem: &str, lists: &[Vec<u8>], require| {
            ClientAuthorities::read(pem.as_bytes(), lists, require).unwrap().digest
        };
        let list = list(&first).into_bytes();
        let all = [
            of(&first.pem(), &[], false),
            of(&first.pem(), &[], true),
            of(&second.pem(), &[], false),
            of(&first.pem(), &[list], false),
        ];
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
        assert_eq!(all[0], of(&first.pem(), &[], false));
    }

    #[test]
    fn what_is_no_authority_or_list_is_refused() {
        let authority = authority();
        assert!(ClientAuthorities::read(b"", &[], false).is_err(), "nobody could be believed");
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(ClientAuthorities::read(broken, &[], false).is_err());
        assert_eq!(check_revocation_list(list(&authority).as_bytes()), Ok(()));
        assert!(check_revocation_list(authority.pem().as_bytes()).is_err());
        assert!(check_revocation_list(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n").is_err());
    }
}
