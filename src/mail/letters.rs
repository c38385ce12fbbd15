//! What letters say. Each is a text file: the subject, an empty line, and paragraphs, one of them the link.

use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use uuid::Uuid;

use super::store::{self, Kind, Unsent};
use crate::{config::Config, jobs::Failure, services::Limited, state::App};

/// Sends a letter, unless it has been sent, or nobody is to get it.
/// Errors: a failure for now when a service is out of reach; for good when the mail server refuses the letter.
pub async fn deliver(app: &App, id: Uuid) -> Result<(), Failure> {
    let Some(letter) = store::unsent(&app.db, id).await? else {
        return Ok(());
    };
    let Some((template, link)) = content(app, &letter).await? else {
        return Ok(store::discard(&app.db, id).await?);
    };
    app.mailer.send(write(&app.config, &letter, template, &link)?).await?;
    Ok(store::mark_sent(&app.db, id).await?)
}

/// Decides what a letter says, and mints the token of its link: nothing if nobody is to get it.
async fn content(app: &App, letter: &Unsent) -> sqlx::Result<Option<(&'static str, String)>> {
    let template = match letter.kind {
        Kind::SignUp | Kind::AddressChange if store::taken(&app.db, &letter.recipient).await? => {
            include_str!("templates/registered.txt")
        }
        Kind::SignUp | Kind::AddressChange => {
            let mut conn = app.db.acquire().limited().await?;
            let token = store::mint(&mut conn, letter.id, 24).await?;
            let template = match letter.kind {
                Kind::SignUp => include_str!("templates/sign_up.txt"),
                _ => include_str!("templates/address_change.txt"),
            };
            return Ok(Some((template, app.config.link(&format!("/verify#{token}")))));
        }
        Kind::Reset => {
            let token = store::mint_reset(&app.db, letter).await?;
            let link = token.map(|token| app.config.link(&format!("/reset#{token}")));
            return Ok(link.map(|link| (include_str!("templates/reset.txt"), link)));
        }
        Kind::AddressChangeAsked => include_str!("templates/address_change_asked.txt"),
        Kind::AddressChanged => include_str!("templates/address_changed.txt"),
        Kind::PasswordChanged => include_str!("templates/password_changed.txt"),
    };
    Ok(Some((template, String::new())))
}

fn write(config: &Config, letter: &Unsent, template: &str, link: &str) -> Result<Message, Failure> {
    let dead = |error: &dyn std::fmt::Display| Failure::Dead(error.to_string());
    let recipient: Address = letter.recipient.parse().map_err(|error| dead(&error))?;
    let host = config.public_url.host_str().unwrap_or("localhost");
    let (subject, body) = template.split_once("\n\n").unwrap_or((template, ""));
    // Keeps out-of-office replies from answering.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let automatic = HeaderValue::new(automatic, "auto-generated".to_owned());
    Message::builder()
        .from(config.mail_from.clone())
        .to(Mailbox::new(None, recipient))
        .subject(subject)
        .message_id(Some(format!("<{}@{host}>", letter.id)))
        .raw_header(automatic)
        .multipart(MultiPart::alternative_plain_html(body.replace("{link}", link), html(subject, body, link)))
        .map_err(|error| dead(&error))
}

fn html(subject: &str, body: &str, link: &str) -> String {
    let link = escape(link);
    let paragraphs = body.trim().split("\n\n").map(|paragraph| match paragraph {
        "{link}" => format!("<p><a href=\"{link}\">{link}</a></p>\n"),
        text => format!("<p>{}</p>\n", escape(text)),
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
    use super::html;

    #[test]
    fn the_link_is_a_link_and_the_rest_is_text() {
        let html = html("Hi", "a < b\n\n{link}\n", "http://app.test/verify#t&u");
        assert!(html.contains("<p>a &lt; b</p>"), "{html}");
        assert!(html.contains("href=\"http://app.test/verify#t&amp;u\""), "{html}");
    }
}
