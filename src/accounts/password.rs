//! The rules for new passwords.

use std::{collections::HashSet, sync::LazyLock};

use super::email_address::EmailAddress;

/// The commonest 5,000 of at least 8 characters, from the `zxcvbn` project's list, in lower case.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// The number of characters that a password may have.
pub(super) const MAX_LENGTH: usize = 128;

/// Why a new password is rejected.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum WeakPassword {
    #[error("must have at least 8 characters")]
    /// It has fewer than 8 characters.
    TooShort,
    #[error("must have at most 128 characters")]
    /// It has more than 128 characters.
    TooLong,
    #[error("is among the most common passwords")]
    /// It is in the list of common passwords.
    Common,
    #[error("must not be the email address")]
    /// It is the email address, or its local part.
    Email,
}

/// A password that follows the rules.
pub struct Password(String);

impl Password {
    /// Parses a new password for the account of `email`. Errors: the rule that it breaks.
    pub fn parse(text: String, email: &EmailAddress) -> Result<Self, WeakPassword> {
        let lower = text.to_lowercase();
        Err(match text.chars().count() {
            ..8 => WeakPassword::TooShort,
            length if length > MAX_LENGTH => WeakPassword::TooLong,
            _ if COMMON.contains(lower.as_str()) => WeakPassword::Common,
            _ if lower == email.as_str() || lower == email.local_part() => WeakPassword::Email,
            _ => return Ok(Self(text)),
        })
    }
}

impl From<Password> for String {
    fn from(password: Password) -> Self {
        password.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Password, WeakPassword> {
        let email: EmailAddress = "ada.lovelace@example.com".parse().expect("a valid email address");
        Password::parse(text.to_owned(), &email)
    }

    #[test]
    fn short_long_common_and_personal_passwords_are_rejected() {
        let long = "x".repeat(129);
        for text in ["short", "äöüß", "Password123", "Ada.Lovelace", "ada.lovelace@example.com", &long] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("correct horse").is_ok());
        assert!(parse(&"ä".repeat(128)).is_ok(), "characters are counted, not bytes");
        assert!(COMMON.len() >= 3_000);
    }
}
