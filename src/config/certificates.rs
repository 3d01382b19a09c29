//! Certificates and keys: the gateway's own, and those of authorities that it believes.

use super::load::{Files, read_file};
use crate::document::{Diagnostics, Spanned};
use crate::listener::{
    Certificate, CertificateSettings, ClientAuthorities, ClientCertificateSettings, Fault, TlsSettings,
    check_revocation_list,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

/// Reads the certificates of a listener, with their paths as written. Mistakes go to `diagnostics`.
pub(super) fn read_certificates(
    tls: &TlsSettings,
    directory: &Path,
    files: &mut Files,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, Certificate)> {
    let mut all = Vec::new();
    for CertificateSettings { certificate, key } in &tls.certificates.0 {
        let mut read = |named: &Spanned<PathBuf>| {
            let text = read_file(&directory.join(&named.value), files);
            text.map_err(|message| diagnostics.error(named.position, message)).ok()
        };
        let (Some(chain), Some(secret)) = (read(certificate), read(key)) else { continue };
        let fault = |named: &Spanned<PathBuf>, message: &str| format!("`{}`: {message}", named.value.display());
        match Certificate::read(chain.as_bytes(), secret.as_bytes()) {
            Ok(read) => all.push((certificate.value.display().to_string(), read)),
            Err(Fault::Certificate(message)) => diagnostics.error(certificate.position, fault(certificate, &message)),
            Err(Fault::Key(message)) => diagnostics.error(key.position, fault(key, &message)),
        }
    }
    all
}

/// Reads whose certificates of clients a listener believes. Mistakes go to `diagnostics`.
pub(super) fn read_client_authorities(
    settings: &ClientCertificateSettings,
    directory: &Path,
    files: &mut Files,
    diagnostics: &mut Diagnostics,
) -> Option<ClientAuthorities> {
    let authorities = &settings.authorities;
    let mut fail = |named: &Spanned<PathBuf>, message: String| diagnostics.error(named.position, message);
    let pem = read_authorities(&directory.join(&authorities.value), files);
    let pem = pem.map_err(|message| fail(authorities, message)).ok();
    let lists = settings.revocation_lists.iter().map(|list| {
        let pem = read_file(&directory.join(&list.value), files).map(String::into_bytes);
        let named = |why| format!("`{}`: {why}", list.value.display());
        let read = pem.and_then(|pem| check_revocation_list(&pem).map(|()| pem).map_err(named));
        read.map_err(|message| fail(list, message)).ok()
    });
    // All mistakes are told at once.
    let lists: Vec<_> = lists.collect();
    let (pem, lists) = (pem?, lists.into_iter().collect::<Option<Vec<_>>>()?);
    ClientAuthorities::read(&pem, &lists, settings.require)
        .map_err(|why| fail(authorities, format!("`{}`: {why}", authorities.value.display())))
        .ok()
}

/// Reads certificates of authorities, as PEM.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn read_authorities(path: &Path, files: &mut Files) -> Result<Vec<u8>, String> {
    let pem = read_file(path, files)?.into_bytes();
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let good = certificate.is_ok_and(|der| x509_parser::parse_x509_certificate(&der).is_ok());
        if !good {
            return Err(format!("`{}` holds something that is not a PEM certificate", path.display()));
        }
        count += 1;
    }
    if count == 0 { Err(format!("`{}` holds no PEM certificate", path.display())) } else { Ok(pem) }
}
