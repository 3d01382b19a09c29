//! Price tables that are built in. Each says where it was read and when; prices change, and a deployment's own file
//! overrides them key by key.

use super::{Day, Gigabyte, Location, Price, Prices, Requests, Tier};
use crate::document::{Decode, Diagnostics, Node, Schemas, choose, words};
use serde_json::Value;

/// A table that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Amazon S3 in us-east-1.
    AwsUsEast1,
    /// Amazon S3 in eu-central-1.
    AwsEuCentral1,
    /// Linode (Akamai) Object Storage.
    Linode,
    /// Amazon CloudFront, pay as you go, North America.
    CloudFront,
}

const TIB: u64 = 1 << 40;

/// 1 September 2026, the day after AWS published the price lists that were read.
const AWS_READ: Day = Day(20_697);
/// 5 September 2026.
pub(super) const CLOUDFRONT_READ: Day = Day(20_701);
/// 1 July 2024. Linode does not date its price: an early day, so that whoever looks for old prices finds it.
const LINODE_KNOWN: Day = Day(19_905);

const S3: &str = "https://aws.amazon.com/s3/pricing/, AWS price list AWSDataTransfer and AmazonS3";

fn tiers(steps: &[(u64, u64)], last: u64) -> Vec<Tier> {
    let ends = steps.iter().map(|(tib, nanos)| Tier { up_to: Some(tib * TIB), per_gb: Price(*nanos) });
    ends.chain([Tier { up_to: None, per_gb: Price(last) }]).collect()
}

impl Preset {
    /// Every table with its word.
    pub const WORDS: [(&'static str, Preset); 4] = [
        ("aws-us-east-1", Preset::AwsUsEast1),
        ("aws-eu-central-1", Preset::AwsEuCentral1),
        ("linode", Preset::Linode),
        ("cloudfront", Preset::CloudFront),
    ];

    /// The word that configuration files use.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].0
    }

    /// The table.
    pub fn prices(self) -> Prices {
        match self {
            Preset::AwsUsEast1 => {
                self.s3("us-east-1", Requests { get: Price(400_000), list: Price(5_000_000), free: 0 })
            }
            Preset::AwsEuCentral1 => {
                self.s3("eu-central-1", Requests { get: Price(430_000), list: Price(5_400_000), free: 0 })
            }
            // One TB is added to the account's pool, which Linodes draw on as well. The price is that of most regions;
            // Jakarta and Sao Paulo cost more, and who was with Linode long ago may know 0.01 and 0.02.
            Preset::Linode => Prices {
                account: "linode".into(),
                gigabyte: Gigabyte::Decimal,
                free: 1_000_000_000_000,
                egress: tiers(&[], 5_000_000),
                requests: Requests { get: Price::FREE, list: Price::FREE, free: 0 },
                other_region: Price(5_000_000),
                location: Location::Outside,
                source: "https://api.linode.com/v4/network-transfer/prices".into(),
                effective: LINODE_KNOWN,
                ..self.s3("", Requests { get: Price::FREE, list: Price::FREE, free: 0 })
            },
            // What S3 sends to CloudFront is free; viewers pay no regional prices there.
            Preset::CloudFront => Prices {
                account: "cloudfront".into(),
                free: TIB,
                egress: tiers(
                    &[
                        (10, 85_000_000),
                        (50, 80_000_000),
                        (150, 60_000_000),
                        (500, 40_000_000),
                        (1024, 30_000_000),
                        (5120, 25_000_000),
                    ],
                    20_000_000,
                ),
                requests: Requests { get: Price(1_000_000), list: Price(1_000_000), free: 10_000_000 },
                same_region: Price(85_000_000),
                other_region: Price(85_000_000),
                location: Location::Outside,
                source: "https://aws.amazon.com/cloudfront/pricing/, pay as you go".into(),
                effective: CLOUDFRONT_READ,
                ..self.s3("", Requests { get: Price::FREE, list: Price::FREE, free: 0 })
            },
        }
    }

    /// S3 in a region whose bytes cost what they do in us-east-1. The free allowance is one for all regions and
    /// services of an account together, so whatever else the account sends draws on it: a deployment that knows so sets
    /// `free: 0 GB`.
    /// Whether tiers begin to count with the free bytes or after them, AWS does not say; $4 a month at most hang on it.
    fn s3(self, region: &str, requests: Requests) -> Prices {
        Prices {
            table: self.word().into(),
            account: "aws".into(),
            gigabyte: Gigabyte::Binary,
            free: 100 << 30,
            egress: tiers(&[(10, 90_000_000), (50, 85_000_000), (150, 70_000_000)], 50_000_000),
            requests,
            same_region: Price::FREE,
            other_region: Price(20_000_000),
            free_networks: Vec::new(),
            region_networks: Vec::new(),
            location: Location::Aws(region.into()),
            source: S3.into(),
            effective: AWS_READ,
        }
    }
}

impl Decode for Preset {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        choose(node, "preset", &Self::WORDS, diagnostics)
    }

    fn schema(_: &mut Schemas) -> Value {
        words(&Self::WORDS)
    }

    fn written(&self) -> Option<Value> {
        Some(self.word().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_says_whence_and_when() {
        for (word, preset) in Preset::WORDS {
            let prices = preset.prices();
            assert_eq!((preset.word(), prices.table.as_str()), (word, word));
            assert!(prices.source.starts_with("https://"), "{word}");
            assert!(prices.egress.windows(2).all(|pair| pair[0].up_to < pair[1].up_to || pair[1].up_to.is_none()));
            assert_eq!(prices.egress.last().unwrap().up_to, None);
        }
        assert_eq!(Preset::AwsUsEast1.prices().effective.to_string(), "2026-09-01");
        assert_eq!(Preset::CloudFront.prices().effective.to_string(), "2026-09-05");
        assert_eq!(Preset::Linode.prices().effective.to_string(), "2024-07-01");
    }
}
