//! XI: the format of a line, which is one JSON object.

use std::{fmt::Debug, io::Write};

use serde::Serialize;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::stdout::Stdout;
use super::{PROCESS, instance, process};
use crate::config::LogFormat;

/// The members of every line; a field of such a name gets another.
const RESERVED: [&str; 6] = ["timestamp", "level", "target", "process", "release", "instance"];

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    message: Value,
    #[serde(flatten)]
    fields: Map<String, Value>,
    target: &'a str,
    process: &'a str,
    release: &'a str,
    instance: &'a str,
}

impl<'a> Line<'a> {
    fn new(level: &'a str, target: &'a str, message: Value, fields: Map<String, Value>) -> Self {
        let timestamp = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let (process, instance) = (process(), instance());
        let release = PROCESS.get().map_or("", |process| &process.release);
        Self { timestamp, level, message, fields, target, process, release, instance }
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

/// A line that does not pass through tracing.
pub(super) fn line(level: &str, message: &str, field: &str, value: Value) -> String {
    if PROCESS.get().is_some_and(|process| process.format == LogFormat::Text) {
        return format!("{level} {message} {field}={value}\n");
    }
    let fields = Map::from_iter([(field.to_owned(), value)]);
    Line::new(level, module_path!(), message.into(), fields).text()
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
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields(mut fields) = fields;
        // An inner span comes first: what it names the same as an outer one counts.
        for span in context.event_scope(event).into_iter().flatten() {
            for (name, value) in span.extensions().get::<Fields>().into_iter().flat_map(|span| &span.0) {
                fields.entry(name).or_insert_with(|| value.clone());
            }
        }
        let metadata = event.metadata();
        let message = fields.remove("message").unwrap_or_else(|| metadata.name().into());
        let line = Line::new(metadata.level().as_str(), metadata.target(), message, fields);
        let _ = Stdout.write_all(line.text().as_bytes());
    }
}

/// The fields of a span or an event.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        let name = field.name().trim_start_matches("r#");
        let mark = if RESERVED.contains(&name) { "_" } else { "" };
        self.0.insert(format!("{name}{mark}"), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into()); // null if it is no number
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let unmatched = field.name() == "route" && value.is_empty();
        self.add(field, if unmatched { Value::Null } else { value.into() });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}").into());
    }
}
