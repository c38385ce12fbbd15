//! XI: the format of a line, which is one JSON object.

use std::{fmt::Debug, io::Write, sync::OnceLock};

use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use tracing::{Event, Subscriber, field::Field, field::Visit, span::Attributes, span::Id, span::Record};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::stdout::Stdout;
use crate::release;

/// The members of every line; a field of such a name gets another.
const RESERVED: [&str; 6] = ["timestamp", "level", "target", "process", "release", "instance"];

/// A line that does not pass through tracing.
pub(super) fn line(level: &str, message: &str, field: &'static str, value: impl Serialize) -> Vec<u8> {
    let mut fields = Fields::default();
    fields.add("message", message);
    fields.add(field, value);
    whole(level, module_path!(), &fields)
}

fn whole(level: &str, target: &str, fields: &Fields) -> Vec<u8> {
    static TAIL: OnceLock<String> = OnceLock::new();
    let tail = TAIL.get_or_init(|| {
        let running = release::running();
        let (process, release, instance) = (json!(running.process), json!(running.release), json!(running.instance));
        format!("\"process\":{process},\"release\":{release},\"instance\":{instance}}}\n")
    });
    let now = OffsetDateTime::now_utc();
    let (date, (hour, minute, second, micro)) = (now.date(), now.to_hms_micro());
    let mut line = Vec::with_capacity(512);
    let _ =
        write!(line, "{{\"timestamp\":\"{date}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z\",\"level\":\"{level}\"");
    line.extend_from_slice(&fields.text);
    let _ = write!(line, ",\"target\":\"{target}\",{tail}");
    line
}

/// Writes each event as a line, with the fields of the spans that it is in.
pub(super) struct Json;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Json {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
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
        let (metadata, mut fields) = (event.metadata(), Fields::default());
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
        let _ = Stdout.write_all(&whole(metadata.level().as_str(), metadata.target(), &fields));
    }
}

/// The fields of a span or an event, each as `,"name":value`.
#[derive(Default)]
struct Fields {
    text: Vec<u8>,
    /// The name of each, and where it ends.
    ends: Vec<(&'static str, usize)>,
}

impl Fields {
    fn add(&mut self, name: &'static str, value: impl Serialize) {
        let plain = name.strip_prefix("r#").unwrap_or(name);
        let mark = if RESERVED.contains(&plain) { "_\":" } else { "\":" };
        self.text.reserve(256);
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
        self.add(field.name(), format!("{value:?}"));
    }
}
