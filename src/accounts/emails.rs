//! The emails of accounts: what each says, and what its link is for.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{email_address::InvalidEmail, store, tokens};
use crate::services::postgres::Transaction;
use crate::{jobs, jobs::Failure, jobs::Job, mail, mail::store::Email, state::App};

/// What an email is about, by its name in the outbox.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    SignUp,
    Reset,
    EmailChange,
    /// To the old email.
    EmailChangeRequested,
    /// To the old email.
    EmailChanged,
    PasswordChanged,
}

/// Has an email sent once the caller's transaction commits. `subject` is the sign-up or the change that it confirms.
pub(super) async fn enqueue(
    tx: &mut Transaction, kind: Kind, recipient: &str, account_id: Option<Uuid>, subject_id: Option<Uuid>,
) -> sqlx::Result<()> {
    let kind = json!(kind);
    let kind = kind.as_str().unwrap_or_default();
    let email = mail::store::insert(tx, kind, recipient, account_id, subject_id).await?;
    jobs::enqueue(tx, &SendAccountEmail { email }).await
}

/// Sends an email of an account, unless it was sent, or nobody is to get it.
#[derive(Deserialize, Serialize)]
pub(super) struct SendAccountEmail {
    email: Uuid,
}

impl Job for SendAccountEmail {
    const NAME: &'static str = "send_account_email";

    async fn run(self, app: App) -> Result<(), Failure> {
        let Some(email) = mail::store::find_unsent(&app.db, self.email).await? else {
            return Ok(());
        };
        match content(&app, &email).await? {
            Some((template, link)) => mail::deliver(&app, &email, template, &link).await,
            None => Ok(mail::store::delete(&app.db, email.id).await?),
        }
    }
}

type Content = Option<(&'static str, String)>;

/// Decides what an email says, and mints the token of its link: nothing if nobody is to get it.
async fn content(app: &App, email: &Email) -> Result<Content, Failure> {
    let plain = |template| Ok(Some((template, String::new())));
    let unknown = |error| Failure::Dead(format!("kind of email: {error}"));
    match Kind::deserialize(json!(email.kind)).map_err(unknown)? {
        Kind::SignUp => confirmation(app, email, include_str!("templates/sign_up.txt")).await,
        Kind::EmailChange => confirmation(app, email, include_str!("templates/email_change.txt")).await,
        Kind::Reset => {
            let token = tokens::mint_reset(&app.db, email).await?;
            let link = token.map(|token| app.config.link(&format!("/reset#{token}")));
            Ok(link.map(|link| (include_str!("templates/reset.txt"), link)))
        }
        Kind::EmailChangeRequested => plain(include_str!("templates/email_change_requested.txt")),
        Kind::EmailChanged => plain(include_str!("templates/email_changed.txt")),
        Kind::PasswordChanged => plain(include_str!("templates/password_changed.txt")),
    }
}

/// An email that asks to confirm its recipient, unless that has an account, or the request is gone.
async fn confirmation(app: &App, email: &Email, template: &'static str) -> Result<Content, Failure> {
    let recipient = email.recipient.parse().map_err(|error: InvalidEmail| Failure::Dead(error.to_string()))?;
    if store::find_by_email(&app.db, &recipient).await?.is_some() {
        return Ok(Some((include_str!("templates/registered.txt"), String::new())));
    }
    let token = tokens::mint_confirmation(&app.db, email).await?;
    Ok(token.map(|token| (template, app.config.link(&format!("/verify#{token}")))))
}
