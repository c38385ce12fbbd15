//! XI: formats events as lines.

use std::io::Write;

use tracing::{Event, Subscriber, span::Attributes, span::Id, span::Record};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{line::Fields, line::SPAN, stdout::Stdout};

/// A tracing layer that writes each event as a line, with the fields of its spans.
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
        // Inner spans first: their fields override those of outer spans.
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.join(outer);
            }
        }
        let _ = Stdout.write_all(&fields.complete(metadata.target()));
    }
}
