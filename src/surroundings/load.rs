//! The machine's load, as the kernel counts it.
//!
//! Read in the background now and then: no request opens a file.

#![allow(clippy::disallowed_methods, reason = "rank 4: reads /proc and waits")]

use crate::facts::Fact;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::time::Duration;

/// The kernel itself samples every 5 s (`LOAD_FREQ` in include/linux/sched/loadavg.h).
const INTERVAL: Duration = Duration::from_secs(5);
const FILE: &str = "/proc/loadavg";

/// The load averages that were read last.
#[derive(Debug, Default)]
pub(super) struct Load(ArcSwapOption<[f64; 3]>);

impl Load {
    /// The averages over 1, 5 and 15 minutes. Unknown before the first reading and where there is no `/proc/loadavg`.
    pub(super) fn get(&self) -> Fact<[f64; 3]> {
        self.0.load().as_deref().map_or(Fact::Unknown, |averages| Fact::Present(*averages))
    }

    /// Keeps reading for ever.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            let text = tokio::fs::read_to_string(FILE).await.unwrap_or_default();
            self.0.store(parse(&text).map(Arc::new));
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Reads the first three numbers of a line such as `0.42 1.05 0.98 2/731 12345` (proc_loadavg(5)).
fn parse(line: &str) -> Option<[f64; 3]> {
    let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().ok().filter(|load| *load >= 0.0));
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_averages_or_nothing() {
        for (line, expected) in [
            ("0.42 1.05 12.98 2/731 12345\n", Some([0.42, 1.05, 12.98])),
            ("1 2 3", Some([1.0, 2.0, 3.0])),
            ("", None),
            ("0.42 1.05", None),
            ("0.42 x 0.98 2/731 1", None),
            ("0.42 -1 0.98 2/731 1", None),
            ("0.42 NaN 0.98 2/731 1", None),
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    #[test]
    fn the_load_is_unknown_until_it_is_read() {
        assert_eq!(Load::default().get(), Fact::Unknown);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_kernels_averages_are_found() {
        let load = Arc::new(Load::default());
        let watching = tokio::spawn(load.clone().watch());
        for _ in 0..500 {
            if load.get() != Fact::Unknown {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        watching.abort();
        assert!(matches!(load.get(), Fact::Present(_)));
    }
}
