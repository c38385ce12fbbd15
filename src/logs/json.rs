//! XI: the format of a line, which is one JSON object.

use std::{fmt::Debug, io::Write, sync::OnceLock};

use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::stdout::Stdout;
use super::{instance, process, release};

/// What most lines have room in, so that they are not moved while they grow.
const LINE: usize = 768;
const SPAN: usize = 256;
const FIELDS: usize = 12;

/// A line that does not pass through tracing.
pub(super) fn line(level: &str, message: &str, field: &'static str, value: impl Serialize) -> Vec<u8> {
    let mut fields = Fields::line(level);
    fields.add("message", message);
    fields.add(field, value);
    fields.whole(module_path!())
}

/// Writes each event as a line, with the fields of the spans that it is in.
pub(super) struct Json;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Json {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::with_capacity(SPAN);
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::line(metadata.level().as_str());
        event.record(&mut fields);
        if !fields.has("message") {
            fields.add("message", metadata.name());
        }
        // An inner span comes first: what it names the same as an outer one counts.
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.join(outer);
            }
        }
        let _ = Stdout.write_all(&fields.whole(metadata.target()));
    }
}

/// The fields of a span, each as `,"name":value`; or a line, which begins with its time and its level.
struct Fields {
    text: Vec<u8>,
    /// The name of each, and where it ends.
    ends: Vec<(&'static str, usize)>,
}

impl Fields {
    fn with_capacity(bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), ends: Vec::with_capacity(FIELDS) }
    }

    fn line(level: &str) -> Self {
        let mut line = Self::with_capacity(LINE);
        line.text.extend_from_slice(b"{\"timestamp\":\"");
        line.text.extend_from_slice(&timestamp(OffsetDateTime::now_utc()));
        for part in ["\",\"level\":\"", level, "\""] {
            line.text.extend_from_slice(part.as_bytes());
        }
        line
    }

    /// Ends a line with what every line says.
    fn whole(mut self, target: &str) -> Vec<u8> {
        static TAIL: OnceLock<String> = OnceLock::new();
        let tail = TAIL.get_or_init(|| {
            let (process, release, instance) = (json!(process()), json!(release()), json!(instance()));
            format!("\",\"process\":{process},\"release\":{release},\"instance\":{instance}}}\n")
        });
        for part in [",\"target\":\"", target, tail] {
            self.text.extend_from_slice(part.as_bytes());
        }
        self.text
    }

    fn add(&mut self, name: &'static str, value: impl Serialize) {
        let plain = name.strip_prefix("r#").unwrap_or(name);
        // The members of every line; a field of such a name gets another.
        let mark = match plain {
            "timestamp" | "level" | "target" | "process" | "release" | "instance" => "_\":",
            _ => "\":",
        };
        for part in [",\"", plain, mark] {
            self.text.extend_from_slice(part.as_bytes());
        }
        // It does not fail on a vector.
        let _ = serde_json::to_writer(&mut self.text, &value);
        self.ends.push((name, self.text.len()));
    }

    fn has(&self, name: &str) -> bool {
        self.ends.iter().any(|(own, _)| *own == name)
    }

    fn join(&mut self, outer: &Self) {
        let mut start = 0;
        for (name, end) in &outer.ends {
            if !self.has(name) {
                self.text.extend_from_slice(&outer.text[start..*end]);
                self.ends.push((name, self.text.len()));
            }
            start = *end;
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value); // null if it is no number
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let unmatched = field.name() == "route" && value.is_empty();
        self.add(field.name(), (!unmatched).then_some(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field.name(), format_args!("{value:?}"));
    }
}

/// A time as `2026-01-31T09:05:07.000123Z`. The formats of std and of time cost ten times as much.
fn timestamp(now: OffsetDateTime) -> [u8; 27] {
    let (date, (hour, minute, second, micro)) = (now.date(), now.to_hms_micro());
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let (month, day) = (u8::from(date.month()), date.day());
    for (place, number) in [(0..4, date.year().unsigned_abs()), (5..7, month.into()), (8..10, day.into())] {
        digits(&mut text[place], number);
    }
    for (place, number) in [(11..13, hour.into()), (14..16, minute.into()), (17..19, second.into()), (20..26, micro)] {
        digits(&mut text[place], number);
    }
    text
}

/// Writes a number with leading zeros.
fn digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_all_its_digits() {
        let at = |nanoseconds| OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).map(timestamp);

        assert_eq!(at(1_769_850_307_000_123_999), Ok(*b"2026-01-31T09:05:07.000123Z"));
        assert_eq!(at(0), Ok(*b"1970-01-01T00:00:00.000000Z"));
    }
}
