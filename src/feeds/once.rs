//! Feeds that are fetched once, for who has no gateway that keeps them fresh.

use super::fetch::{Answer, Validators, fetch};
use super::{FeedsSettings, LARGEST, disk};
use crate::network::{Feed, parse};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What came of a feed that could not be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRenewed {
    /// What the feed is called.
    pub name: String,
    /// Why.
    pub error: String,
    /// Where its content may be put by hand.
    pub place: PathBuf,
    /// Whether there is an older copy.
    pub has_copy: bool,
}

/// Renews the copies in `directory` of those `feeds` of which there is none, or one that a gateway would renew at `now`.
/// `begin` hears the name of each feed that is fetched. Returns those for which that failed.
pub async fn renew(feeds: &[Feed], directory: &Path, now: SystemTime, mut begin: impl FnMut(&str)) -> Vec<NotRenewed> {
    let settings = FeedsSettings::default();
    let mut sources: BTreeMap<&str, Vec<&Feed>> = BTreeMap::new();
    for feed in feeds {
        sources.entry(&feed.url).or_default().push(feed);
    }
    let mut failed = Vec::new();
    for (url, feeds) in sources {
        let Some(first) = feeds.first() else { continue };
        let since = disk::cached(directory, first).map(|(_, since)| since);
        let age = since.map(|since| now.duration_since(since).unwrap_or_default());
        if age.is_some_and(|age| age < settings.refresh) {
            continue;
        }
        begin(first.name());
        let content = tokio::time::timeout(settings.timeout, content(url)).await;
        let content = content.unwrap_or_else(|_| Err(format!("it took longer than {:?}", settings.timeout)));
        let stored = content.and_then(|bytes| {
            feeds.iter().try_for_each(|feed| parse(feed, &bytes).map(drop))?;
            disk::store(directory, first, &bytes)
                .map_err(|error| format!("cannot write to `{}`: {error}", directory.display()))
        });
        if let Err(error) = stored {
            let place = directory.join(first.id());
            failed.push(NotRenewed { name: first.name().to_owned(), error, place, has_copy: since.is_some() });
        }
    }
    failed
}

async fn content(url: &str) -> Result<Vec<u8>, String> {
    if let Some(path) = url.strip_prefix("file://") {
        return disk::read(Path::new(&*percent_decode_str(path).decode_utf8_lossy()), LARGEST);
    }
    match fetch(url, &Validators::new(), LARGEST).await? {
        Answer::Content(bytes, _) => Ok(bytes.into()),
        Answer::Unchanged => Err("the server answered 304, which nobody asked for".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Format;
    use std::time::Duration;

    #[tokio::test]
    async fn copies_are_renewed_where_they_are_missing_or_old() {
        let (published, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let feed = |name: &str| Feed {
            url: format!("file://{}", published.path().join(name).display()),
            format: Format::List,
        };
        let (good, bad, gone) = (feed("good"), feed("bad"), feed("gone"));
        std::fs::write(published.path().join("good"), "192.0.2.0/24\n").unwrap();
        std::fs::write(published.path().join("bad"), "<html>").unwrap();
        let feeds = [good.clone(), bad.clone(), gone.clone()];
        let renewed = async |now| {
            let mut begun = Vec::new();
            let failed = renew(&feeds, copies.path(), now, |name| begun.push(name.to_owned())).await;
            (begun.len(), failed)
        };
        let now = SystemTime::now();
        let (begun, failed) = renewed(now).await;
        assert_eq!((begun, failed.len()), (3, 2));
        assert!(failed.iter().all(|failed| !failed.has_copy && failed.place.starts_with(copies.path())));
        assert_eq!(disk::cached(copies.path(), &good).unwrap().0, b"192.0.2.0/24\n");
        // What cannot be read is no copy.
        assert!(disk::cached(copies.path(), &bad).is_none());
        assert_eq!(renewed(now + Duration::from_secs(3600)).await.0, 2, "one is still good");

        std::fs::remove_file(published.path().join("good")).unwrap();
        let (_, failed) = renewed(now + Duration::from_secs(86_400)).await;
        assert_eq!(failed.iter().filter(|failed| failed.has_copy).count(), 1, "the old copy stays");
        assert!(disk::cached(copies.path(), &good).is_some());
    }
}
