//! XI: the format of a line, which is one JSON object.

use std::fmt::{self, Write as _};
use std::sync::OnceLock;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::{PROCESS, instance, process};
use crate::config::LogFormat;

/// The fields of every line; another field of such a name would be a second one.
const RESERVED: [&str; 7] =
    ["timestamp", "level", "message", "target", "process", "release", "instance"];

/// A line that does not pass through tracing.
pub(crate) fn line(level: &str, message: &str, field: &str, value: Value) -> String {
    let mut line = String::new();
    if PROCESS.get().is_some_and(|process| process.format == LogFormat::Text) {
        let _ = writeln!(line, "{level} {message} {field}={value}");
        return line;
    }
    let mut out = Writer::new(&mut line);
    let _ = begin(&mut out, level);
    let mut fields = Fields { out, result: Ok(()), reserved: false };
    fields.string("message", message);
    fields.raw(field, &value);
    let Fields { mut out, .. } = fields;
    let _ = end(&mut out, module_path!());
    line
}

fn begin(out: &mut Writer<'_>, level: &str) -> fmt::Result {
    let now = OffsetDateTime::now_utc();
    let (year, month, day) = (now.year(), u8::from(now.month()), now.day());
    let (hour, minute, second, micro) = now.to_hms_micro();
    write!(
        out,
        "{{\"timestamp\":\"{year:04}-{month:02}-{day:02}T\
         {hour:02}:{minute:02}:{second:02}.{micro:06}Z\",\"level\":\"{level}\""
    )
}

fn end(out: &mut Writer<'_>, target: &str) -> fmt::Result {
    static TAIL: OnceLock<String> = OnceLock::new();
    let tail = TAIL.get_or_init(|| {
        let release = PROCESS.get().map_or("", |process| &process.release);
        format!(
            ",\"process\":{},\"release\":{},\"instance\":{}}}\n",
            Value::from(process()),
            Value::from(release),
            Value::from(instance()),
        )
    });
    write!(out, ",\"target\":\"{target}\"")?;
    out.write_str(tail)
}

/// Formats spans and events as members of a JSON object.
pub(super) struct Json;

impl<'writer> FormatFields<'writer> for Json {
    fn format_fields<R: RecordFields>(&self, out: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Fields { out, result: Ok(()), reserved: false };
        fields.record(&mut visitor);
        visitor.result
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, Json> for Json {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Json>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        begin(&mut out, metadata.level().as_str())?;
        let mut fields = Fields { out: out.by_ref(), result: Ok(()), reserved: true };
        event.record(&mut fields);
        fields.result?;
        if metadata.fields().field("message").is_none() {
            write!(out, ",\"message\":\"{}\"", metadata.name())?;
        }
        spans(context, &mut out, event)?;
        end(&mut out, metadata.target())
    }
}

/// Writes the fields of the spans that the event is in, an inner one's before an outer one's of the
/// same name, and the event's own before both.
fn spans<S: Subscriber + for<'a> LookupSpan<'a>>(
    context: &FmtContext<'_, S, Json>,
    out: &mut Writer<'_>,
    event: &Event<'_>,
) -> fmt::Result {
    let Some(scope) = context.event_scope() else {
        return Ok(());
    };
    let taken = |name: &str| RESERVED.contains(&name) || event.fields().any(|f| f.name() == name);
    let mut seen: Vec<&'static str> = Vec::new();
    for span in scope {
        let extensions = span.extensions();
        let Some(fields) = extensions.get::<FormattedFields<Json>>() else {
            continue;
        };
        let names = span.metadata().fields();
        if !names.iter().any(|f| taken(f.name()) || seen.contains(&f.name())) {
            out.write_str(&fields.fields)?;
        } else {
            let object = format!("{{{}}}", fields.fields.trim_start_matches([' ', ',']));
            let members: Map<String, Value> = serde_json::from_str(&object).unwrap_or_default();
            for (name, value) in members {
                if !taken(&name) && !seen.contains(&name.as_str()) {
                    write!(out, ",{}:{value}", Value::from(name))?;
                }
            }
        }
        seen.extend(names.iter().map(|field| field.name()));
    }
    Ok(())
}

/// Writes each field as `,"name":value`.
struct Fields<'writer> {
    out: Writer<'writer>,
    result: fmt::Result,
    /// Whether `message` is the line's own, as in an event, so that it may be written.
    reserved: bool,
}

impl Fields<'_> {
    fn name(&mut self, name: &str) -> fmt::Result {
        let name = name.strip_prefix("r#").unwrap_or(name);
        let clash = self.reserved && name != "message" && RESERVED.contains(&name);
        let mark = if clash { "_" } else { "" };
        write!(self.out, ",\"{name}{mark}\":")
    }

    fn raw(&mut self, name: &str, value: &dyn fmt::Display) {
        self.result = self.result.and_then(|()| {
            self.name(name)?;
            write!(self.out, "{value}")
        });
    }

    fn string(&mut self, name: &str, value: &str) {
        // No route matched.
        if name == "route" && value.is_empty() {
            return self.raw(name, &"null");
        }
        self.text(name, format_args!("{value}"));
    }

    fn text(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.result = self.result.and_then(|()| {
            self.name(name)?;
            self.out.write_char('"')?;
            Escaped(&mut self.out).write_fmt(value)?;
            self.out.write_char('"')
        });
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.raw(field.name(), &Value::from(value)); // null if it is no number
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.raw(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.raw(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.raw(field.name(), &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.string(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), format_args!("{value:?}"));
    }
}

/// Escapes what is written through it for a JSON string.
struct Escaped<'a, 'writer>(&'a mut Writer<'writer>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let special = |c: char| c < ' ' || c == '"' || c == '\\';
        let mut rest = text;
        while let Some(at) = rest.find(special) {
            self.0.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'\n' => self.0.write_str("\\n")?,
                byte @ (b'"' | b'\\') => write!(self.0, "\\{}", char::from(byte))?,
                byte => write!(self.0, "\\u{byte:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}
