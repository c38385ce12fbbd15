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
            Some((template, link)) => mail::deliver(&app, &email, template, &link).await,
            None => Ok(mail::store::delete(&app.db, email.id).await?),
        }
    }
}

type Content = Option<(&'static str, String)>;

/// Chooses the template and creates the link's token. None: the email is not to be sent.
async fn content(app: &App, email: &Email) -> Result<Content, Failure> {
    let plain = |template| Ok(Some((template, String::new())));
    match email.kind.as_str() {
        SIGN_UP => confirmation(app, email, include_str!("templates/sign_up.txt")).await,
        EMAIL_CHANGE => confirmation(app, email, include_str!("templates/email_change.txt")).await,
        RESET => {
            let token = tokens::mint_reset(&app.db, email).await?;
            let link = token.map(|token| app.config.link(&format!("/reset#{token}")));
            Ok(link.map(|link| (include_str!("templates/reset.txt"), link)))
        }
        EMAIL_CHANGE_REQUESTED => plain(include_str!("templates/email_change_requested.txt")),
        EMAIL_CHANGED => plain(include_str!("templates/email_changed.txt")),
        PASSWORD_CHANGED => plain(include_str!("templates/password_changed.txt")),
        unknown => Err(Failure::Dead(format!("no such kind of email: {unknown}"))),
    }
}

/// An email with a link to confirm its recipient; if the recipient has an account, it says so instead. None: the
/// request was deleted.
async fn confirmation(app: &App, email: &Email, template: &'static str) -> Result<Content, Failure> {
    let recipient = email.recipient.parse().map_err(|error: InvalidEmail| Failure::Dead(error.to_string()))?;
    if store::find_by_email(&app.db, &recipient).await?.is_some() {
        return Ok(Some((include_str!("templates/registered.txt"), String::new())));
    }
    let token = tokens::mint_confirmation(&app.db, email).await?;
    Ok(token.map(|token| (template, app.config.link(&format!("/verify#{token}")))))
}
