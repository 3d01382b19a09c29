//! `gateway.yaml` as written.

use super::bucket_logs::BucketLogSettings;
use super::robots::RobotsSettings;
use crate::challenge::PageSettings;
use crate::clock::Moment;
use crate::cost::{Location, PricesSettings};
use crate::credentials::CredentialsSource;
use crate::document::{
    Decode, Diagnostics, Kind, Node, NonEmpty, Position, Required, Schemas, Spanned, Version, choose, decode_names,
    names, words,
};
use crate::feeds::FeedsSettings;
use crate::identity::{CertificateNameSettings, OidcSettings, TokenHash};
use crate::keeper::KeeperSettings;
use crate::ledger::LedgerSettings;
use crate::listener::{ConnectionSettings, ListenerSettings};
use crate::origin::{Changing, OriginSettings};
use crate::proxy::AccessLogSettings;
use crate::register::RegisterSettings;
use crate::shared_state::SharedStateSettings;
use crate::surroundings::GeoIpSettings;
use crate::verdict::Mode;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

crate::settings! {
    /// The whole file.
    pub struct GatewayFile {
        /// The version of the format: 1.
        version: Version,
        /// Sockets that clients connect to.
        listeners: NonEmpty<ListenerSettings>,
        /// What connections of clients may take.
        connections: ConnectionSettings = ConnectionSettings::default(),
        /// How the gateway stops.
        drain: DrainSettings = DrainSettings::default(),
        /// The listener for metrics and health. None where absent.
        admin: Option<AdminSettings> = None,
        /// What the access log says.
        access_log: AccessLogSettings = AccessLogSettings::default(),
        /// Which policy; the built-in one in observe mode where absent.
        policy: PolicyReference = PolicyReference { file: None, networks: None, mode: None },
        /// What requests to origins are signed with, by name.
        credentials: BTreeMap<String, CredentialsSource> = BTreeMap::new(),
        /// Clients whose signatures are accepted. Everybody else is anonymous, or refused where it signs.
        clients: Vec<Spanned<ClientSettings>> = Vec::new(),
        /// What clients address.
        sites: Spanned<Named<SiteSettings>>,
        /// Where the gateway stands: `outside` of AWS, or in a region such as `aws:us-east-1`. Reports then tell what it
        /// adds to the bill.
        location: Option<Location> = None,
        /// What origins charge, for reports; as S3 in us-east-1 where absent.
        prices: Spanned<PricesSettings> = Spanned { position: Position::default(), value: PricesSettings::default() },
        /// Databases in MaxMind's format, for `country` and `asn` in policies.
        geoip: Option<Spanned<GeoIpSettings>> = None,
        /// How feeds of addresses are kept fresh.
        feeds: FeedsSettings = FeedsSettings::default(),
        /// Keys that sign challenges and passes; random at start where absent.
        pass_keys: Option<PassKeysSettings> = None,
        /// What the challenge page says besides, and how it looks.
        page: PageSettings = PageSettings::default(),
        /// What `/robots.txt` says at every host: `built-in` asks AI crawlers to stay away, `origin` leaves it to the site
        /// that serves the root of the host, all else is a file.
        robots: Spanned<RobotsSettings> = Spanned { position: Position::default(), value: RobotsSettings::BuiltIn },
        /// Where what was counted is kept over a restart. Everybody has a full budget after one where absent.
        counters: Option<Spanned<KeeperSettings>> = None,
        /// Where what operators decide while the gateway runs is kept over a restart. It ends with the process where absent,
        /// unless other replicas know of it by the shared state.
        decisions: Option<Spanned<RegisterSettings>> = None,
        /// Where it is kept who took how much, hour by hour. Only the last day is known, and only until the process ends,
        /// where absent.
        ledger: Option<Spanned<LedgerSettings>> = None,
        /// Access logs of the buckets, for what reached them around the gateway: `windscreen report` reads them beside the
        /// ledger, and leaves the gateway's own reads out. Nobody looks where absent.
        evidence: Vec<Spanned<BucketLogSettings>> = Vec::new(),
        /// A store through which replicas share what they count; each counts alone where absent.
        shared_state: Option<Spanned<SharedStateSettings>> = None,
    }
}

crate::settings! {
    /// The admin listener.
    pub struct AdminSettings {
        /// Where to listen. Never expose it to the public.
        address: SocketAddr,
        /// Host names by which it may be addressed, besides IP addresses and `localhost`.
        hosts: Vec<String> = Vec::new(),
        /// Operators who may decide here while the gateway runs, as by `windscreen block`. Nobody where absent.
        tokens: Vec<OperatorSettings> = Vec::new(),
        /// The file that standard output, the access log, is written to: the dashboard tries policies on its end. They
        /// cannot be tried where absent. Relative to the gateway file.
        access_log: Option<PathBuf> = None,
    }
}

crate::settings! {
    /// An operator who may decide while the gateway runs.
    pub struct OperatorSettings {
        /// The name by which logs and lists say who decided.
        name: Spanned<String>,
        /// The hash of the operator's token, as `windscreen token new --operator` prints it.
        token: Spanned<TokenHash>,
        /// A day or a moment from which on it is not accepted any more.
        expires: Option<Moment> = None,
    }
}

crate::settings! {
    /// How the gateway stops when it is told to (SIGTERM). SIGINT stops it at once.
    pub struct DrainSettings {
        /// How long it says that it is not ready before it stops to accept connections: what is in front of it needs some
        /// time to notice. No time where absent.
        delay: Option<Duration> = None,
        /// How long transfers may go on after that.
        limit: Duration = DRAIN_LIMIT,
    }
}

/// A large image on a slow line takes its time.
const DRAIN_LIMIT: Duration = Duration::from_secs(3600);

impl Default for DrainSettings {
    fn default() -> Self {
        DrainSettings { delay: None, limit: DRAIN_LIMIT }
    }
}

crate::settings! {
    /// Which policy, and what this deployment changes in it.
    pub struct PolicyReference {
        /// The policy file; the built-in one where absent.
        file: Option<Spanned<PathBuf>> = None,
        /// A file that overrides the policy's networks by name.
        networks: Option<Spanned<PathBuf>> = None,
        /// Overrides the policy's mode.
        mode: Option<Mode> = None,
    }
}

crate::settings! {
    /// Where the signing keys are.
    pub struct PassKeysSettings {
        /// A directory with one key per file, as `windscreen keygen` prints them. The last one by name signs, all
        /// verify.
        dir: Spanned<PathBuf>,
    }
}

crate::settings! {
    /// A client that can prove itself.
    pub struct ClientSettings {
        /// Its name in policies, limits, metrics and the access log. Two generations of a key are two clients.
        name: Spanned<String>,
        /// A file with the access key that it signs with, in one line: `ACCESS SECRET [TOKEN]`.
        key_file: Option<Spanned<PathBuf>> = None,
        /// The hash of the bearer token that it sends, as `windscreen token new` prints it.
        token: Option<Spanned<TokenHash>> = None,
        /// What the tokens must say that an issuer such as GitHub Actions signs for it.
        oidc: Option<Spanned<OidcSettings>> = None,
        /// The name in the certificate that it shows to a listener with `client_certificates`.
        certificate: Option<Spanned<CertificateNameSettings>> = None,
        /// The sites that it may ask.
        sites: NonEmpty<Spanned<String>>,
        /// How paths begin, below the site, that it may ask for: `/ci/` is all in that folder, `/fedora-` all names that
        /// begin so. Any path where absent.
        paths: Vec<Spanned<String>> = Vec::new(),
        /// A day or a moment from which on it is accepted.
        not_before: Option<Moment> = None,
        /// A day or a moment from which on it is not accepted any more. A day begins at midnight UTC.
        expires: Option<Spanned<Moment>> = None,
        /// The region that signatures must be for, where not `any`. Any region where absent.
        region: Option<Required> = None,
        /// Whether the key is published: then its holders have the identity `public-key`, which proves nothing.
        public: bool = false,
    }
}

crate::settings! {
    /// One site.
    pub struct SiteSettings {
        /// Host names, without ports.
        hosts: Vec<Spanned<String>> = Vec::new(),
        /// A path prefix such as `/logs`. Without hosts and prefix the site takes every host.
        prefix: Option<Spanned<String>> = None,
        /// Globs of the paths whose objects change after they were written, such as `/**/log.chunks`. What origins said
        /// of them is forgotten sooner. All objects may change where this is absent.
        mutable: Option<Changing> = None,
        /// How often an object that the first origin served is compared with what the others have of it, for
        /// `windscreen origins`. Never where absent.
        compare: Option<Duration> = None,
        /// Who may list its objects: `none`, or `signed`: those of `clients` that have proved who they are, by a key that is
        /// not public or by a token. They see what they could have.
        list: List = List::Nobody,
        /// Where the objects are: in order, the next one on a miss. None where other proxies answer, and ask at a
        /// listener with `check`.
        origins: Origins,
    }
}

/// The origins of a site, and where it stands that there are none.
#[derive(Debug, Clone)]
pub struct Origins(pub Vec<OriginSettings>, pub Option<Position>);

impl Decode for Origins {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let none = matches!(&node.kind, Kind::List(items) if items.is_empty()).then_some(node.position);
        Vec::decode(node, diagnostics).map(|origins| Origins(origins, none))
    }

    fn schema(schemas: &mut Schemas) -> Value {
        Vec::<OriginSettings>::schema(schemas)
    }
}

/// Who may list the objects of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Nobody.
    Nobody,
    /// Clients that sign with a key of their own.
    Signed,
}

impl List {
    /// The words of the gateway file.
    pub const WORDS: [(&'static str, List); 2] = [("none", List::Nobody), ("signed", List::Signed)];
}

impl Decode for List {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "word", &List::WORDS, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&List::WORDS)
    }

    fn written(&self) -> Option<Value> {
        Some(List::WORDS[*self as usize].0.into())
    }
}

impl SiteSettings {
    /// Its host names as requests are compared with them: lower case, without a last dot.
    pub fn host_names(&self) -> impl Iterator<Item = String> {
        self.hosts.iter().map(|host| host.value.trim_end_matches('.').to_ascii_lowercase())
    }
}

/// The schema of a gateway file.
pub fn gateway_schema() -> Value {
    let mut schemas = Schemas::default();
    GatewayFile::schema(&mut schemas);
    schemas.document("The gateway file of windscreen", "GatewayFile")
}

/// Named entries in the order of the file.
#[derive(Debug, Clone)]
pub struct Named<T>(pub Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

impl<T: Decode> Decode for Named<T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        decode_names(node, diagnostics, |_, node, diagnostics| T::decode(node, diagnostics)).map(Named)
    }

    fn schema(schemas: &mut Schemas) -> Value {
        names(T::schema(schemas))
    }
}
