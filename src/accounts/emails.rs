//! The emails of accounts: the content of each, and the token in its link.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{email_address::InvalidEmail, store, tokens};
use crate::{jobs, jobs::Failure, jobs::Job, mail, mail::store::Email, services::postgres::Transaction, state::App};

/// The kinds of email, as `outbox_email.kind` stores them.
pub(super) const SIGN_UP: &str = "sign_up";
pub(super) const RESET: &str = "reset";
pub(super) const EMAIL_CHANGE: &str = "email_change";
/// Sent to the old email address.
pub(super) const EMAIL_CHANGE_REQUESTED: &str = "email_change_requested";
/// Sent to the old email address.
pub(super) const EMAIL_CHANGED: &str = "email_changed";
pub(super) const PASSWORD_CHANGED: &str = "password_changed";

/// Adds an email and the job that sends it, in the caller's transaction. `subject` is the id of the sign-up or the
/// change of email to confirm.
pub(super) async fn enqueue(
    tx: &mut Transaction, kind: &str, recipient: &str, account_id: Option<Uuid>, subject_id: Option<Uuid>,
) -> sqlx::Result<()> {
    let email = mail::store::insert(tx, kind, recipient, account_id, subject_id).await?;
    jobs::enqueue(tx, &SendAccountEmail { email }).await
}

/// Sends an email of an account, unless it was sent already or has no recipient any more.
#[derive(Deserialize, Serialize)]
pub(super) struct SendAccountEmail {
    email: Uuid,
}

impl Job for SendAccountEmail {
    const NAME: &'static str = "send_account_email";

    async fn run(self, app: App) -> Result<(), Failure> {
        let Some(email) = mail::store::find_unsent(&app.db, self.email).await? else { return Ok(()) };
        match content(&app, &email).await? {
            Some((template, link)) => mail::deliver(&app, &email, &template, &link).await,
            None => Ok(mail::store::delete(&app.db, email.id).await?),
        }
    }
}

/// The template with its values, and the link with its token. None: the email is not to be sent.
async fn content(app: &App, email: &Email) -> Result<Option<(String, String)>, Failure> {
    let (template, page) = match email.kind.as_str() {
        SIGN_UP => (include_str!("templates/sign_up.txt"), Some("/verify")),
        EMAIL_CHANGE => (include_str!("templates/email_change.txt"), Some("/change-email")),
        RESET => (include_str!("templates/reset.txt"), Some("/reset")),
        EMAIL_CHANGE_REQUESTED => (include_str!("templates/email_change_requested.txt"), None),
        EMAIL_CHANGED => (include_str!("templates/email_changed.txt"), None),
        PASSWORD_CHANGED => (include_str!("templates/password_changed.txt"), None),
        unknown => return Err(Failure::Dead(format!("no such kind of email: {unknown}"))),
    };
    let Some(page) = page else { return Ok(Some((template.to_owned(), String::new()))) };
    let at = email.created_at;
    let time = format!("{} at {:02}:{:02} UTC", at.date(), at.hour(), at.minute());
    if email.kind != RESET && has_account(app, email).await? {
        let template = include_str!("templates/registered.txt").replace("{time}", &time);
        return Ok(Some((template, app.config.link("/"))));
    }
    let token = match email.kind.as_str() {
        RESET => tokens::mint_reset(&app.db, email).await?,
        _ => tokens::mint_confirmation(&app.db, email).await?,
    };
    // The code is the token: mail gateways may drop the fragment of a link, so the pages take it by hand too.
    let filled = |token: &str| template.replace("{time}", &time).replace("{code}", token);
    Ok(token.map(|token| (filled(&token), app.config.link(&format!("{page}#{token}")))))
}

async fn has_account(app: &App, email: &Email) -> Result<bool, Failure> {
    let recipient = email.recipient.parse().map_err(|error: InvalidEmail| Failure::Dead(error.to_string()))?;
    Ok(store::find_by_email(&app.db, &recipient).await?.is_some())
}
