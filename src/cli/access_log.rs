//! How a line of the access log is written: one JSON object, its fields in the order in which they were given.

use std::fmt::{self, Debug};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Fields that are JSON already.
const JSON: [&str; 2] = ["facts", "state"];

/// Writes events as lines of JSON.
pub(super) struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        writer.write_char('"')?;
        let mut fields = Fields { writer, outcome: Ok(()) };
        event.record(&mut fields);
        fields.outcome?;
        fields.writer.write_str("}\n")
    }
}

struct Fields<'w> {
    writer: Writer<'w>,
    outcome: fmt::Result,
}

impl Fields<'_> {
    /// Names of fields are our own, and need no escapes.
    fn write(&mut self, field: &Field, value: impl fmt::Display) {
        if self.outcome.is_ok() {
            self.outcome = write!(self.writer, ",\"{}\":{value}", field.name());
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match JSON.contains(&field.name()) {
            true => self.write(field, format_args!("{value:?}")),
            false => self.record_str(field, &format!("{value:?}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, serde_json::Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, serde_json::Value::from(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_object_whatever_it_says() {
        let written = Written::default();
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer().event_format(Line).with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let facts = r#"{"at":5,"headers":{"x":"\n"}}"#;
            tracing::info!(
                target: "access",
                path = "/a\n{\"b\":\u{1b}[0m\\",
                status = 200_u16,
                trusted = true,
                absent = None::<u64>,
                seconds = 0.5,
                odd = f64::NAN,
                client = %"192.0.2.1",
                facts = %facts,
            );
        });
        let text = String::from_utf8(written.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let (start, rest) = text.split_once(",\"path\"").unwrap();
        assert!(start.starts_with("{\"timestamp\":\"20") && start.ends_with("Z\""), "{start}");
        assert_eq!(
            rest.trim_end(),
            r#":"/a\n{\"b\":\u001b[0m\\","status":200,"trusted":true,"seconds":0.5,"odd":null,"client":"192.0.2.1","facts":{"at":5,"headers":{"x":"\n"}}}"#
        );
    }
}
