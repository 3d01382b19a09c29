//! Where an address is, by databases in the MaxMind DB format.
//!
//! A file is read whole when it is opened and never touched again: who replaces it opens it anew. Looking up allocates
//! nothing.

#![allow(clippy::disallowed_methods, reason = "rank 4: reads the databases")]

use crate::facts::Fact;
use maxminddb::{PathElement, Reader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A database of the right type has what is wanted in one of so many records.
const SAMPLE: usize = 1000;

/// Where records keep a country. `country` is where the address is used; for some, as anycast, only the country that it
/// is registered in is known. GeoLite2, GeoIP2 (Country, City, Enterprise) and DB-IP share these names.
const COUNTRY: [&[PathElement<'static>]; 2] = [
    &[PathElement::Key("country"), PathElement::Key("iso_code")],
    &[PathElement::Key("registered_country"), PathElement::Key("iso_code")],
];
const ASN: &[PathElement<'static>] = &[PathElement::Key("autonomous_system_number")];

crate::settings! {
    /// The `geoip` section of `gateway.yaml`: databases in the MaxMind DB format (`.mmdb`).
    pub struct GeoIpSettings {
        /// A database of countries or cities, such as GeoLite2-Country or DB-IP's.
        country: Option<PathBuf> = None,
        /// A database of autonomous systems, such as GeoLite2-ASN.
        asn: Option<PathBuf> = None,
    }
}

/// The databases that are configured; by default none.
#[derive(Debug, Clone, Default)]
pub struct Geo {
    country: Option<Arc<Reader<Vec<u8>>>>,
    asn: Option<Arc<Reader<Vec<u8>>>>,
}

impl Geo {
    /// Reads the databases that `settings` name.
    ///
    /// # Errors
    /// With one sentence for the operator when a file cannot be read, is no such database, or holds something else than
    /// is wanted.
    pub fn open(settings: &GeoIpSettings) -> Result<Self, String> {
        Ok(Geo {
            country: settings.country.as_deref().map(open_country).transpose()?.map(Arc::new),
            asn: settings.asn.as_deref().map(open_asn).transpose()?.map(Arc::new),
        })
    }

    /// The country of `address`: unknown without a database, absent where the database has none.
    pub fn country(&self, address: IpAddr) -> Fact<[u8; 2]> {
        let Some(reader) = &self.country else { return Fact::Unknown };
        country(reader, address).unwrap_or(Fact::Unknown)
    }

    /// The autonomous system of `address`: unknown without a database, absent where the database has none.
    pub fn asn(&self, address: IpAddr) -> Fact<u32> {
        let Some(reader) = &self.asn else { return Fact::Unknown };
        // A database of IPv4 alone knows nothing of IPv6, and a broken one nothing at all.
        let found = reader.lookup(address).and_then(|found| found.decode_path::<u32>(ASN));
        found.map_or(Fact::Unknown, Fact::from)
    }
}

fn country(reader: &Reader<Vec<u8>>, address: IpAddr) -> Result<Fact<[u8; 2]>, maxminddb::MaxMindDbError> {
    let found = reader.lookup(address)?;
    for path in COUNTRY {
        if let Some(code) = found.decode_path::<&str>(path)?.and_then(code) {
            return Ok(Fact::Present(code));
        }
    }
    Ok(Fact::Absent)
}

/// Two letters of ISO 3166-1, in upper case.
fn code(text: &str) -> Option<[u8; 2]> {
    let code: [u8; 2] = text.as_bytes().try_into().ok()?;
    code.iter().all(u8::is_ascii_alphabetic).then(|| code.map(|letter| letter.to_ascii_uppercase()))
}

fn open_country(path: &Path) -> Result<Reader<Vec<u8>>, String> {
    open(path, "countries", "a country or city database such as `GeoLite2-Country.mmdb`", |found| {
        COUNTRY.iter().any(|path| matches!(found.decode_path::<&str>(path), Ok(Some(_))))
    })
}

fn open_asn(path: &Path) -> Result<Reader<Vec<u8>>, String> {
    open(path, "autonomous systems", "an ASN database such as `GeoLite2-ASN.mmdb`", |found| {
        matches!(found.decode_path::<u32>(ASN), Ok(Some(_)))
    })
}

/// Reads a database and makes sure that it holds what is wanted. Its contents tell, not its type: vendors name types as
/// they like.
fn open(
    path: &Path,
    holds: &str,
    wanted: &str,
    is_wanted: impl Fn(&maxminddb::LookupResult<'_, Vec<u8>>) -> bool,
) -> Result<Reader<Vec<u8>>, String> {
    let file = path.display();
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read `{file}`: {error}"))?;
    let reader = Reader::from_source(bytes)
        .map_err(|error| format!("`{file}` is not a database in the MaxMind DB format (.mmdb): {error}"))?;
    let networks = reader.networks(Default::default()).map_err(|error| format!("cannot search `{file}`: {error}"))?;
    let holds_it = networks.take(SAMPLE).flatten().any(|found| is_wanted(&found));
    if holds_it {
        return Ok(reader);
    }
    let kind = &reader.metadata().database_type;
    Err(format!("`{file}`, a database of type `{kind}`, holds no {holds}: give {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::super::mmdb::{self, Value};
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn file(directory: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn geo(country: Option<PathBuf>, asn: Option<PathBuf>) -> Result<Geo, String> {
        Geo::open(&GeoIpSettings { country, asn })
    }

    #[test]
    fn addresses_are_placed_by_the_smallest_block_around_them() {
        let directory = TempDir::new().unwrap();
        let blocks = [("192.0.0.0/16", "BR"), ("192.0.2.0/24", "CN"), ("2001:db8::/32", "de")];
        let countries = file(&directory, "country.mmdb", &mmdb::countries(&blocks));
        let blocks = [("192.0.2.0/24", 64_500), ("2001:db8:7::/48", 4_200_000_000)];
        let networks = file(&directory, "asn.mmdb", &mmdb::networks(&blocks));
        let geo = geo(Some(countries), Some(networks)).unwrap();
        for (address, country, asn) in [
            ("192.0.2.1", Fact::Present(*b"CN"), Fact::Present(64_500)),
            ("192.0.3.1", Fact::Present(*b"BR"), Fact::Absent),
            ("2001:db8:7::1", Fact::Present(*b"DE"), Fact::Present(4_200_000_000)),
            ("198.51.100.1", Fact::Absent, Fact::Absent),
            ("2001:db9::1", Fact::Absent, Fact::Absent),
        ] {
            assert_eq!((geo.country(ip(address)), geo.asn(ip(address))), (country, asn), "{address}");
        }
    }

    #[test]
    fn the_country_of_registration_stands_in() {
        let registered = |key, code| (key, Value::Map(vec![("iso_code", Value::Text(code))]));
        let directory = TempDir::new().unwrap();
        let records = [
            ("192.0.2.0/25", Value::Map(vec![registered("registered_country", "US")])),
            ("192.0.2.128/25", Value::Map(vec![registered("registered_country", "US"), registered("country", "FR")])),
            ("198.51.100.0/24", Value::Map(vec![registered("continent", "EU")])),
            ("203.0.113.0/24", Value::Map(vec![registered("country", "Narnia")])),
        ];
        let path = file(&directory, "country.mmdb", &mmdb::database("DBIP-Country-Lite", &records));
        let geo = geo(Some(path), None).unwrap();
        for (address, expected) in [
            ("192.0.2.1", Fact::Present(*b"US")),
            ("192.0.2.200", Fact::Present(*b"FR")),
            ("198.51.100.1", Fact::Absent),
            ("203.0.113.1", Fact::Absent),
        ] {
            assert_eq!(geo.country(ip(address)), expected, "{address}");
        }
    }

    #[test]
    fn without_a_database_nothing_is_known() {
        let geo = geo(None, None).unwrap();
        assert_eq!((geo.country(ip("192.0.2.1")), geo.asn(ip("192.0.2.1"))), (Fact::Unknown, Fact::Unknown));
    }

    #[test]
    fn a_wrong_file_is_refused_with_what_to_do() {
        let directory = TempDir::new().unwrap();
        let networks = file(&directory, "asn.mmdb", &mmdb::networks(&[("192.0.2.0/24", 64_500)]));
        let countries = file(&directory, "country.mmdb", &mmdb::countries(&[("192.0.2.0/24", "BR")]));
        let text = file(&directory, "text.mmdb", b"hello");
        let mut broken = mmdb::countries(&[("192.0.2.0/24", "BR")]);
        broken.drain(..300);
        let broken = file(&directory, "broken.mmdb", &broken);
        for (settings, words) in [
            ((Some(directory.path().join("none.mmdb")), None), ["cannot read `", "none.mmdb`: No such file"]),
            ((Some(text), None), ["text.mmdb` is not a database in the MaxMind DB format", "could not find"]),
            ((Some(broken), None), ["broken.mmdb`", "search tree"]),
            ((Some(networks), None), ["of type `GeoLite2-ASN`, holds no countries", "give a country or city database"]),
            (
                (None, Some(countries)),
                ["of type `GeoLite2-Country`, holds no autonomous systems", "give an ASN database"],
            ),
        ] {
            let error = geo(settings.0, settings.1).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }
}
