//! Which reads of a bucket are the gateway's own: its own books have them already, with the clients that they were for.

use super::record::Record;
use crate::clock::Timestamp;
use crate::facts::Fact;
use crate::network::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The User-Agent that the gateway sends to origins begins so.
const AGENT: &str = "windscreen/";
/// Requesters that are told by name.
const MOST_REQUESTERS: usize = 16;

/// By what the gateway is known in logs of buckets.
///
/// Its User-Agent alone proves nothing: anybody may send it. So a read that was signed must bear one of the requester's
/// names, where they are known, and one that was not signed must come from one of the addresses. Where no names are known,
/// any requester with that User-Agent is taken for the gateway: whoever reads the report is told who that was.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// Requesters as logs name them: `arn:aws:iam::111122223333:user/gateway`. The sessions of a role are behind its name:
    /// `arn:aws:sts::111122223333:assumed-role/gateway`.
    pub requesters: Vec<String>,
    /// Addresses that reads come from that are not signed.
    pub addresses: Vec<IpNet>,
}

impl Own {
    /// Whether the gateway asked for `record`, from `address`.
    pub fn asked(&self, record: &Record<'_>, address: IpAddr) -> bool {
        if !record.user_agent.as_str().present().is_some_and(|agent| agent.starts_with(AGENT)) {
            return false;
        }
        match record.requester {
            Fact::Present(_) if self.requesters.is_empty() => true,
            Fact::Present(requester) => self.requesters.iter().any(|own| {
                requester.strip_prefix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }),
            _ => self.addresses.iter().any(|block| block.contains(&address)),
        }
    }
}

/// The gateway's own reads in a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnReads {
    /// When the first and the last of them were.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Who asked, and how often, of those that are known by their User-Agent alone.
    pub requesters: BTreeMap<String, u64>,
}

impl OwnReads {
    /// Notes one of them.
    pub(super) fn note(&mut self, record: &Record<'_>, own: &Own) {
        self.widen(record.time, record.time);
        let Fact::Present(requester) = record.requester else { return };
        if !own.requesters.is_empty() {
            return;
        }
        if let Some(count) = self.requesters.get_mut(requester) {
            *count += 1;
        } else if self.requesters.len() < MOST_REQUESTERS {
            self.requesters.insert(requester.to_owned(), 1);
        }
    }

    /// Adds those of another log.
    pub(super) fn merge(&mut self, other: OwnReads) {
        if let Some((first, last)) = other.span {
            self.widen(first, last);
        }
        for (requester, count) in other.requesters {
            *self.requesters.entry(requester).or_default() += count;
        }
    }

    fn widen(&mut self, first: Timestamp, last: Timestamp) {
        let span = self.span.get_or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn nobody_else_is_taken_for_the_gateway() {
        let user = "arn:aws:iam::111122223333:user/gateway";
        let session = "arn:aws:sts::111122223333:assumed-role/gateway/i-0123";
        let names = ["arn:aws:sts::111122223333:assumed-role/gateway".into(), user.into()];
        let known = Own { requesters: names.into(), addresses: vec!["192.0.2.0/28".parse().unwrap()] };
        let unknown = Own::default();
        let ours = "windscreen/1.2.3";
        // requester, User-Agent, address, whether it is the gateway: where it has a name, where it has none
        let cases = [
            (Some(user), ours, "203.0.113.1", true, true),
            (Some(session), ours, "203.0.113.1", true, true),
            (Some("arn:aws:iam::111122223333:user/gateway2"), ours, "192.0.2.1", false, true),
            (Some("arn:aws:iam::444455556666:user/gateway"), ours, "192.0.2.1", false, true),
            (Some(user), "aws-sdk", "192.0.2.1", false, false),
            (None, ours, "192.0.2.1", true, false),
            (None, ours, "192.0.2.17", false, false),
            (None, "curl/8", "192.0.2.1", false, false),
        ];
        for (requester, agent, address, named, unnamed) in cases {
            let record = Record {
                requester: requester.into(),
                user_agent: Fact::Present(Cow::Borrowed(agent)),
                ..Record::new(Timestamp(0), Cow::Borrowed("GET"), Cow::Borrowed("/x"))
            };
            let address = address.parse().unwrap();
            let found = (known.asked(&record, address), unknown.asked(&record, address));
            assert_eq!(found, (named, unnamed), "{requester:?} {agent} {address}");
        }
    }

    #[test]
    fn requesters_without_a_name_are_told() {
        let mut reads = OwnReads::default();
        for (second, requester) in [(5, "a"), (3, "a"), (9, "b")] {
            let at = Timestamp(second * 1000);
            let record = Record {
                requester: Fact::Present(requester),
                ..Record::new(at, Cow::Borrowed("GET"), Cow::Borrowed("/x"))
            };
            let mut other = OwnReads::default();
            other.note(&record, &Own::default());
            reads.merge(other);
            reads.note(&record, &Own { requesters: vec![requester.into()], addresses: Vec::new() });
        }
        assert_eq!(reads.span, Some((Timestamp(3000), Timestamp(9000))));
        assert_eq!(reads.requesters, BTreeMap::from([("a".into(), 2), ("b".into(), 1)]));
    }
}
