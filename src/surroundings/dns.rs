//! Asking DNS, as far as policy needs it.

use async_trait::async_trait;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// A name server that is silent for so long is asked again, or another one is. A whole look-up, of several questions, has
/// 5 s.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What a name server answered: the records, none where there are none, and for how long that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The records of the type that was asked for.
    pub records: Vec<T>,
    /// The shortest time to live of these; meaningless where there are none.
    pub ttl: Duration,
}

/// Nobody answered, or a name server said that it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered;

/// Who is asked. Names are fully qualified, with or without the last dot.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// The names that a reverse name such as `1.2.0.192.in-addr.arpa` points to.
    async fn pointers(&self, name: &str) -> Result<Answer<String>, Unanswered>;

    /// The addresses of `name`, of one family.
    async fn addresses(&self, name: &str, family: Family) -> Result<Answer<IpAddr>, Unanswered>;
}

/// Which addresses of a name are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A records.
    Ipv4,
    /// AAAA records.
    Ipv6,
}

impl Family {
    /// The family of `address`.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }
}

/// The octets (IPv4) or nibbles (IPv6) of an address from the last to the first, with a dot behind each: what stands
/// before `in-addr.arpa` (RFC 1035 3.5), `ip6.arpa` (RFC 3596 2.5) and the zone of a block list (RFC 5782 2.1, 2.4).
pub(super) fn reversed(address: IpAddr) -> String {
    let mut text = String::with_capacity(64);
    // Writing to a string does not fail.
    let _ = match address {
        IpAddr::V4(address) => address.octets().iter().rev().try_for_each(|octet| write!(text, "{octet}.")),
        IpAddr::V6(address) => {
            (0..32).try_for_each(|nibble| write!(text, "{:x}.", address.to_bits() >> (4 * nibble) & 0xf))
        }
    };
    text
}

fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<TokioResolver, NetError> {
    let options = builder.options_mut();
    // What the hosts file says about this machine's neighbours proves nothing about clients.
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = options.timeout.min(PATIENCE);
    builder.build()
}

/// The name servers that the system is configured to use.
pub struct SystemResolver(Option<TokioResolver>);

impl SystemResolver {
    /// Reads the system's resolver configuration. Where it cannot be read, nothing is ever answered.
    pub fn new() -> Self {
        let resolver = TokioResolver::builder_tokio().and_then(build);
        if let Err(error) = &resolver {
            tracing::warn!(%error, "the system's resolver configuration cannot be read: no client is looked up in DNS");
        }
        SystemResolver(resolver.ok())
    }

    async fn ask<T>(
        &self,
        name: &str,
        record: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, Unanswered> {
        let resolver = self.0.as_ref().ok_or(Unanswered)?;
        // With its last dot a name is asked for as it is; without, the search list would be tried.
        let name = format!("{}.", name.trim_end_matches('.'));
        let found = match resolver.lookup(name, record).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => {
                return Ok(Answer { records: Vec::new(), ttl: Duration::ZERO });
            }
            Err(_) => return Err(Unanswered),
        };
        // Aliases on the way are answers, too, and bound how long all of it holds.
        let ttl = found.answers().iter().map(|record| record.ttl).min().unwrap_or_default();
        let records = found.answers().iter().filter_map(|record| pick(&record.data)).collect();
        Ok(Answer { records, ttl: Duration::from_secs(ttl.into()) })
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn pointers(&self, name: &str) -> Result<Answer<String>, Unanswered> {
        let pick = |data: &RData| match data {
            RData::PTR(name) => Some(name.to_ascii()),
            _ => None,
        };
        self.ask(name, RecordType::PTR, pick).await
    }

    async fn addresses(&self, name: &str, family: Family) -> Result<Answer<IpAddr>, Unanswered> {
        let record = match family {
            Family::Ipv4 => RecordType::A,
            Family::Ipv6 => RecordType::AAAA,
        };
        self.ask(name, record, RData::ip_addr).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::config::{NameServerConfig, ResolverConfig};
    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, PTR};
    use hickory_resolver::proto::rr::{Name, Record};
    use std::net::SocketAddr;
    use tokio::net::UdpSocket;

    #[test]
    fn addresses_are_reversed_as_the_rfcs_show() {
        // The examples of RFC 5782, sections 2.1 and 2.4.
        assert_eq!(reversed("192.0.2.99".parse().unwrap()), "99.2.0.192.");
        assert_eq!(
            reversed("2001:db8:1:2:3:4:567:89ab".parse().unwrap()),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2."
        );
    }

    fn asking(server: SocketAddr) -> SystemResolver {
        let mut settings = NameServerConfig::udp(server.ip());
        settings.connections[0].port = server.port();
        let config = ResolverConfig::from_name_servers(vec![settings]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        SystemResolver(Some(build(builder).unwrap()))
    }

    /// Answers over UDP: a pointer, a listing, no such name, or that it cannot.
    async fn serve(socket: UdpSocket) {
        let mut buffer = [0; 1500];
        loop {
            let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let question = Message::from_vec(&buffer[..length]).unwrap();
            let query = question.queries[0].clone();
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            answer.add_query(query.clone());
            let data = match query.name().to_ascii().as_str() {
                "1.2.0.192.in-addr.arpa." => Some(RData::PTR(PTR(Name::from_ascii("Crawl.Example.ORG.").unwrap()))),
                "1.2.0.192.zone.example.org." => Some(RData::A(A::new(127, 0, 0, 2))),
                _ => None,
            };
            let is_broken = query.name().to_ascii().starts_with("broken.");
            answer.metadata.response_code = match (&data, is_broken) {
                (Some(_), _) => ResponseCode::NoError,
                (None, true) => ResponseCode::ServFail,
                (None, false) => ResponseCode::NXDomain,
            };
            answer.add_answers(data.map(|data| Record::from_rdata(query.name().clone(), 300, data)));
            socket.send_to(&answer.to_vec().unwrap(), peer).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_name_server_is_understood() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let resolver = asking(socket.local_addr().unwrap());
        tokio::spawn(serve(socket));
        let ttl = Duration::from_secs(300);
        let names = Answer { records: vec!["Crawl.Example.ORG.".to_owned()], ttl };
        assert_eq!(resolver.pointers("1.2.0.192.in-addr.arpa").await, Ok(names));
        let listed = Answer { records: vec!["127.0.0.2".parse().unwrap()], ttl };
        assert_eq!(resolver.addresses("1.2.0.192.zone.example.org.", Family::Ipv4).await, Ok(listed));
        let nothing = Answer { records: Vec::new(), ttl: Duration::ZERO };
        assert_eq!(resolver.addresses("2.2.0.192.zone.example.org", Family::Ipv4).await, Ok(nothing));
        assert_eq!(resolver.addresses("broken.example.org", Family::Ipv6).await, Err(Unanswered));
        assert_eq!(resolver.addresses(&"x".repeat(300), Family::Ipv4).await, Err(Unanswered));
    }
}
