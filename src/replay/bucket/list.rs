//! Which logs are there.
//!
//! S3 names logs `PREFIX` + `YYYY-mm-DD-HH-MM-SS-HASH`, and in the partitioned layout puts folders for account, region,
//! bucket, year, month and day in front. Names sort by time, so what is older than needed is never listed.
//! Source: "Log object key format" of the S3 user guide.

use super::{Bucket, BucketError, LITERAL, text};
use crate::clock::Timestamp;
use crate::replay::source::delivered;
use percent_encoding::utf8_percent_encode;
use std::borrow::Cow;

/// A page of 1,000 keys of 1,024 bytes each, every byte encoded, with all that is said about them.
const LARGEST_PAGE: usize = 8 << 20;
/// More folders than any layout has, so that a bucket of something else ends, too.
const MOST_FOLDERS: usize = 100_000;

/// A log in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogObject {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// What tells its content from another one's under the same key: the ETag and when it was written.
    pub version: String,
}

#[derive(Debug, serde::Deserialize)]
struct Page {
    #[serde(rename = "Contents", default)]
    contents: Vec<Content>,
    #[serde(rename = "CommonPrefixes", default)]
    folders: Vec<Folder>,
    #[serde(rename = "NextContinuationToken")]
    next: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
struct Content {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "ETag", default)]
    etag: String,
    #[serde(rename = "LastModified", default)]
    modified: String,
}

#[derive(Debug, serde::Deserialize)]
struct Folder {
    #[serde(rename = "Prefix")]
    prefix: String,
}

impl Bucket {
    /// All logs below the address that may hold records from `since` on, in the order in which they were delivered,
    /// whichever bucket they are about. A log is named after the day of its records, or after the later time of its
    /// delivery.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub async fn find(&self, since: Option<Timestamp>) -> Result<Vec<LogObject>, BucketError> {
        let day = since.map(|since| since.to_string()[..10].to_owned());
        let mut logs = Vec::new();
        let mut folders = vec![self.address.prefix.clone()];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            seen += 1;
            if seen > MOST_FOLDERS {
                let message = format!("more than {MOST_FOLDERS} folders: name a longer prefix");
                return Err(BucketError::Failed(self.named(&self.address.prefix), message));
            }
            self.folder(&folder, day.as_deref(), &mut logs, &mut folders).await?;
        }
        logs.sort_by_cached_key(|log| (delivered(name(&log.key)).map(str::to_owned), log.key.clone()));
        Ok(logs)
    }

    /// Lists one folder: logs into `logs`, folders that may hold some into `folders`.
    async fn folder(
        &self,
        folder: &str,
        day: Option<&str>,
        logs: &mut Vec<LogObject>,
        folders: &mut Vec<String>,
    ) -> Result<(), BucketError> {
        let encoded = |text: &str| utf8_percent_encode(text, LITERAL).to_string();
        let base = match day {
            Some(_) => format!("delimiter=%2F&list-type=2&prefix={}", encoded(folder)),
            None => format!("list-type=2&prefix={}", encoded(folder)),
        };
        let mut from = String::new();
        loop {
            let query = format!("{base}{from}");
            let answer = self.good(self.send("", &query, None).await?, folder).await?;
            let failed = |message| BucketError::Failed(self.named(folder), message);
            let page = text(answer, LARGEST_PAGE).await.map_err(failed)?;
            let page: Page = quick_xml::de::from_str(&page).map_err(|error| failed(format!("no list: {error}")))?;
            // Where logs that are new enough begin, if all of the page are older.
            let mut begin = None;
            for content in page.contents {
                let old = day.zip(delivered(name(&content.key))).filter(|(day, at)| at < day);
                begin = old.and_then(|(day, at)| Some(format!("{}{day}", content.key.split_once(at)?.0)));
                if begin.is_none() && content.size > 0 && !is_hidden(&content.key) {
                    let version = format!("{} {}", content.etag, content.modified);
                    logs.push(LogObject { key: content.key, bytes: content.size, version });
                }
            }
            folders.extend(page.folders.into_iter().map(|found| found.prefix).filter(|found| may_hold(found, day)));
            let Some(next) = page.next else { return Ok(()) };
            from = match begin {
                Some(begin) => format!("&start-after={}", encoded(&begin)),
                None => format!("&continuation-token={}", encoded(&next)),
            };
        }
    }
}

/// The last part of a key.
pub(super) fn name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

fn is_hidden(key: &str) -> bool {
    name(key).is_empty() || name(key).starts_with('.')
}

/// Whether a folder may hold logs of `day` or later: `.../2026/11/` may not hold any of December.
fn may_hold(folder: &str, day: Option<&str>) -> bool {
    let Some(day) = day else { return true };
    let parts: Vec<&str> = folder.trim_end_matches('/').split('/').collect();
    // The bucket of an account may have a folder of four digits: S3 is of this century.
    let is_year =
        |part: &str| part.len() == 4 && part.starts_with("20") && part.bytes().all(|byte| byte.is_ascii_digit());
    let is = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    let date: Cow<'_, str> = match parts[..] {
        [.., year, month, date] if is_year(year) && is(month, 2) && is(date, 2) => {
            format!("{year}-{month}-{date}").into()
        }
        [.., year, month] if is_year(year) && is(month, 2) => format!("{year}-{month}").into(),
        [.., year] if is_year(year) => year.into(),
        _ => return true,
    };
    *date >= day[..date.len().min(day.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_old_days_are_passed_over() {
        let cases = [
            ("logs/", true),
            ("1111/", true),
            ("111122223333/us-east-1/b/2025/", false),
            ("111122223333/us-east-1/b/2026/", true),
            ("b/2026/10/", false),
            ("b/2026/11/", true),
            ("b/2026/12/", true),
            ("b/2026/11/06/", false),
            ("b/2026/11/07/", true),
            ("b/2027/01/01/", true),
        ];
        for (folder, expected) in cases {
            assert_eq!(may_hold(folder, Some("2026-11-07")), expected, "{folder}");
            assert!(may_hold(folder, None));
        }
    }
}
