//! What a client's certificate says of its holder. A listener has verified it: nothing here may be asked about one that
//! nobody verified.

use crate::clock::Timestamp;
use crate::document::{Diagnostics, Position, Required, Spanned};
use std::fmt;

/// A name in a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CertificateName {
    /// A DNS name among the alternative names, in lower case.
    Dns(String),
    /// A URI among the alternative names.
    Uri(String),
    /// The common name of the subject.
    CommonName(String),
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateName::Dns(name) => write!(f, "dns: {name}"),
            CertificateName::Uri(name) => write!(f, "uri: {name}"),
            CertificateName::CommonName(name) => write!(f, "common_name: {name}"),
        }
    }
}

/// A verified certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCertificate {
    /// All names that clients may be known by.
    pub names: Vec<CertificateName>,
    /// From when on it is not valid any more: a connection may last for longer.
    pub expires: Timestamp,
}

crate::settings! {
    /// The name by which a client's certificate is known, exactly one. A listener's `client_certificates` say whose
    /// certificates are believed.
    pub struct CertificateNameSettings {
        /// A DNS name among its alternative names.
        dns: Option<Spanned<Required>> = None,
        /// A URI among its alternative names, such as `spiffe://example.org/ci`.
        uri: Option<Spanned<Required>> = None,
        /// The common name of its subject.
        common_name: Option<Spanned<Required>> = None,
    }
}

impl CertificateNameSettings {
    /// The name. What is wrong with it goes to `diagnostics`; `position` is that of the whole.
    pub fn name(&self, position: Position, diagnostics: &mut Diagnostics) -> Option<CertificateName> {
        let name = match (&self.dns, &self.uri, &self.common_name) {
            (Some(dns), None, None)
                if dns.value.0.contains(|c: char| !(c.is_ascii_alphanumeric() || "-._".contains(c))) =>
            {
                let message = format!(
                    "`{}` is no DNS name such as `ci.example.org`: it must be one that is written out",
                    dns.value.0
                );
                diagnostics.error(dns.position, message);
                return None;
            }
            (Some(dns), None, None) => CertificateName::Dns(dns.value.0.to_ascii_lowercase()),
            (None, Some(uri), None) if !uri.value.0.contains(':') => {
                let message = format!("`{}` is no URI such as `spiffe://example.org/ci`", uri.value.0);
                diagnostics.error(uri.position, message);
                return None;
            }
            (None, Some(uri), None) => CertificateName::Uri(uri.value.0.clone()),
            (None, None, Some(name)) => CertificateName::CommonName(name.value.0.clone()),
            _ => {
                diagnostics.error(
                    position,
                    "expected one of `dns`, `uri` and `common_name`: what the certificate is known by",
                );
                return None;
            }
        };
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::read;

    #[test]
    fn a_certificate_is_known_by_one_name() {
        let cases = [
            ("{dns: CI.example.org}", Ok(CertificateName::Dns("ci.example.org".into()))),
            ("{uri: 'spiffe://example.org/CI'}", Ok(CertificateName::Uri("spiffe://example.org/CI".into()))),
            ("{common_name: A robot}", Ok(CertificateName::CommonName("A robot".into()))),
            ("{}", Err("expected one of `dns`, `uri` and `common_name`")),
            ("{dns: a.example.org, common_name: a}", Err("expected one of `dns`, `uri` and `common_name`")),
            ("{dns: '*.example.org'}", Err("`*.example.org` is no DNS name such as `ci.example.org`")),
            ("{uri: example}", Err("`example` is no URI such as `spiffe://example.org/ci`")),
        ];
        for (text, expected) in cases {
            let mut diagnostics = Diagnostics::default();
            let settings: CertificateNameSettings = read(text, &mut diagnostics).unwrap();
            let name = settings.name(Position::default(), &mut diagnostics);
            match expected {
                Ok(expected) => assert_eq!(name, Some(expected), "{text}"),
                Err(message) => assert!(name.is_none() && diagnostics.to_string().contains(message), "{diagnostics}"),
            }
        }
    }
}
