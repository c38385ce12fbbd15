//! XI: the format of a line, one JSON object. Own code, as the JSON format of tracing-subscriber nests the fields and
//! costs several times as much.

use std::{fmt::Debug, sync::OnceLock};

use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use tracing::field::{Field, Visit};

use crate::release;

/// Capacities that fit most lines and spans, so that their buffers do not grow.
const LINE: usize = 768;
pub(super) const SPAN: usize = 256;
const FIELDS: usize = 12;

/// Formats a line outside of tracing.
pub(super) fn line(level: &str, target: &str, message: &str, field: &'static str, value: impl Serialize) -> Vec<u8> {
    let mut fields = Fields::line(level);
    fields.add("message", message);
    fields.add(field, value);
    fields.complete(target)
}

/// The fields of a span, each as `,"name":value`; or a line, which starts with timestamp and level.
pub(super) struct Fields {
    text: Vec<u8>,
    /// The name of each field, and the offset of its end.
    ends: Vec<(&'static str, usize)>,
}

impl Fields {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), ends: Vec::with_capacity(FIELDS) }
    }

    pub(super) fn line(level: &str) -> Self {
        let mut line = Self::with_capacity(LINE);
        line.text.extend_from_slice(b"{\"timestamp\":\"");
        line.text.extend_from_slice(&timestamp(OffsetDateTime::now_utc()));
        for part in ["\",\"level\":\"", level, "\""] {
            line.text.extend_from_slice(part.as_bytes());
        }
        line
    }

    /// Completes a line with the fields that every line has.
    pub(super) fn complete(mut self, target: &str) -> Vec<u8> {
        // A static, as it is the same for every line.
        static TAIL: OnceLock<String> = OnceLock::new();
        let tail = TAIL.get_or_init(|| {
            let running = release::running();
            let (process, release, instance) =
                (json!(running.process), json!(running.release), json!(running.instance));
            format!("\",\"process\":{process},\"release\":{release},\"instance\":{instance}}}\n")
        });
        for part in [",\"target\":\"", target, tail] {
            self.text.extend_from_slice(part.as_bytes());
        }
        self.text
    }

    pub(super) fn add(&mut self, name: &'static str, value: impl Serialize) {
        let plain = name.strip_prefix("r#").unwrap_or(name);
        // Reserved for the fields of every line: a field with such a name gets a `_`.
        let suffix = match plain {
            "timestamp" | "level" | "target" | "process" | "release" | "instance" => "_\":",
            _ => "\":",
        };
        for part in [",\"", plain, suffix] {
            self.text.extend_from_slice(part.as_bytes());
        }
        // Writing to a Vec does not fail.
        let _ = serde_json::to_writer(&mut self.text, &value);
        self.ends.push((name, self.text.len()));
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.ends.iter().any(|(own, _)| *own == name)
    }

    pub(super) fn join(&mut self, outer: &Self) {
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
        self.add(field.name(), value); // NaN and infinity become null
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

/// Formats a time as `2026-01-31T09:05:07.000123Z`. By hand, as std's formatting took a third of a line's instructions.
fn timestamp(now: OffsetDateTime) -> [u8; 27] {
    let (date, (hour, minute, second, micro)) = (now.date(), now.to_hms_micro());
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let (month, day) = (u8::from(date.month()), date.day());
    for (range, number) in [(0..4, date.year().unsigned_abs()), (5..7, month.into()), (8..10, day.into())] {
        digits(&mut text[range], number);
    }
    for (range, number) in [(11..13, hour.into()), (14..16, minute.into()), (17..19, second.into()), (20..26, micro)] {
        digits(&mut text[range], number);
    }
    text
}

/// Writes a number with leading zeros.
fn digits(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
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
