//! The outbox: an email is stored in the transaction that needs it, and a job of its domain sends it.
//!
//! A domain that sends an email stores it ([`store::insert`]) and adds a job of its own with the email's id; the job
//! renders the email and calls [`deliver`]. This module needs no change for it.

pub mod store;

use lettre::message::{Mailbox, Message, MultiPart};
use lettre::{Address, message::header::HeaderName, message::header::HeaderValue};

use crate::{config::Config, jobs::Failure, services::smtp::SendError, state::App};
use store::Email;

/// The paragraph of a template that becomes a link.
const LINK: &str = "{link}";

/// Sends an email and records that it was sent. `template` is the subject, an empty line, and paragraphs; the paragraph
/// `{link}` becomes a link, and so does `{link}` with an ending, such as `{link}#sign-in`.
/// Errors: `Retry` if a service is unreachable, `Dead` if the mail server rejects the email.
pub async fn deliver(app: &App, email: &Email, template: &str, link: &str) -> Result<(), Failure> {
    let sent = app.mailer.send(message(&app.config, email, template, link)?).await;
    sent.map_err(|error| match error {
        SendError::Temporary(reply) => Failure::Retry(reply),
        SendError::Permanent(reply) => Failure::Dead(reply),
    })?;
    Ok(store::set_sent(&app.db, email.id).await?)
}

fn message(config: &Config, email: &Email, template: &str, link: &str) -> Result<Message, Failure> {
    let dead = |error: &dyn std::fmt::Display| Failure::Dead(error.to_string());
    let recipient: Address = email.recipient.parse().map_err(|error| dead(&error))?;
    let host = config.public_url.host_str().unwrap_or("localhost");
    let (subject, body) = template.split_once("\n\n").unwrap_or((template, ""));
    // Suppresses automatic replies (RFC 3834).
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let automatic = HeaderValue::new(automatic, "auto-generated".to_owned());
    Message::builder()
        .from(config.mail_from.clone())
        .to(Mailbox::new(None, recipient))
        .subject(subject)
        .message_id(Some(format!("<{}@{host}>", email.id)))
        .raw_header(automatic)
        .multipart(MultiPart::alternative_plain_html(text(body, link), html(subject, body, link)))
        .map_err(|error| dead(&error))
}

fn text(body: &str, link: &str) -> String {
    let paragraphs = body.split("\n\n").map(|paragraph| url(paragraph, link).unwrap_or_else(|| paragraph.to_owned()));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// The URL of a paragraph that becomes a link.
fn url(paragraph: &str, link: &str) -> Option<String> {
    let ending = paragraph.trim().strip_prefix(LINK)?;
    (!ending.contains(char::is_whitespace)).then(|| format!("{link}{ending}"))
}

fn html(subject: &str, body: &str, link: &str) -> String {
    let paragraphs = body.trim().split("\n\n").map(|paragraph| match url(paragraph, link).map(|url| escape(&url)) {
        Some(url) => format!("<p><a href=\"{url}\">{url}</a></p>\n"),
        None => format!("<p>{}</p>\n", escape(paragraph)),
    });
    let (title, paragraphs) = (escape(subject), paragraphs.collect::<String>());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n{paragraphs}</html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{html, text};

    #[test]
    fn the_link_is_clickable_and_the_rest_is_escaped() {
        let html = html("Hi", "a < b\n\n{link}\n", "http://app.test/verify#t&u");
        assert_eq!(text("a {link} b\n\n{link}\n\nc", "http://app.test"), "a {link} b\n\nhttp://app.test\n\nc");
        assert!(html.contains("<p>a &lt; b</p>"), "{html}");
        assert!(html.contains("href=\"http://app.test/verify#t&amp;u\""), "{html}");
    }

    #[test]
    fn an_email_can_have_several_links() {
        let body = "{link}#a\n\n{link} is text\n\n{link}#b\n";
        assert_eq!(text(body, "http://app.test/"), "http://app.test/#a\n\n{link} is text\n\nhttp://app.test/#b");
        assert_eq!(html("Hi", body, "http://app.test/").matches("<a href=\"http://app.test/#").count(), 2);
    }
}
