//! The fields of a note, parsed at the edge.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::http::extract::present;

const TITLE_LIMIT: usize = 200;
const BODY_LIMIT: usize = 100_000;

/// Why a field of a note is rejected.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidField {
    #[error("must be one line, without control characters")]
    TitleControl,
    #[error("must have 1 to {} characters", TITLE_LIMIT)]
    TitleLength,
    /// In JSON each would take six bytes, and Postgres cannot store U+0000.
    #[error("must have no control characters other than tabs and line ends")]
    BodyControl,
    #[error("must have at most {} characters", BODY_LIMIT)]
    BodyLength,
}

impl InvalidField {
    /// The field's name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::TitleControl | Self::TitleLength => "title",
            Self::BodyControl | Self::BodyLength => "body",
        }
    }
}

/// One line that is not blank, without control characters.
#[derive(ToSchema)]
#[schema(
    min_length = 1,
    max_length = 200,
    example = "Groceries",
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
)]
#[expect(dead_code, reason = "the contract shows it in place of a String")]
struct Title(String);

/// Text without control characters other than tabs and line ends; it may be empty.
#[derive(ToSchema)]
#[schema(
    max_length = 100_000,
    pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$",
    example = "Milk, bread"
)]
#[expect(dead_code, reason = "the contract shows it in place of a String")]
struct Body(String);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNote {
    #[schema(value_type = Title)]
    title: String,
    #[schema(value_type = Body)]
    body: String,
}

/// The parsed fields of a new note.
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) body: String,
}

impl NewNote {
    pub(super) fn parse(self) -> Result<Draft, InvalidField> {
        Ok(Draft { title: title(&self.title)?, body: body(self.body)? })
    }
}

impl Draft {
    /// A hash of the fields, for idempotency: independent of how the JSON is written. A NUL separates them, as no title
    /// has one.
    pub(super) fn hash(&self) -> Vec<u8> {
        let hash = Sha256::new_with_prefix(&self.title).chain_update([0]).chain_update(&self.body);
        hash.finalize().to_vec()
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Title, required = false)]
    title: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Body, required = false)]
    body: Option<String>,
}

impl Changes {
    /// The new title and body, if given.
    pub(super) fn parse(self) -> Result<(Option<String>, Option<String>), InvalidField> {
        let title = self.title.as_deref().map(title).transpose()?;
        Ok((title, self.body.map(body).transpose()?))
    }
}

fn title(text: &str) -> Result<String, InvalidField> {
    let text = text.trim();
    match text.chars().count() {
        _ if text.contains(char::is_control) => Err(InvalidField::TitleControl),
        1..=TITLE_LIMIT => Ok(text.to_owned()),
        _ => Err(InvalidField::TitleLength),
    }
}

fn body(text: String) -> Result<String, InvalidField> {
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    match text.chars().count() {
        _ if text.contains(control) => Err(InvalidField::BodyControl),
        ..=BODY_LIMIT => Ok(text),
        _ => Err(InvalidField::BodyLength),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_trimmed_and_of_one_line() {
        assert_eq!(title(" \n x \u{3000}").ok().as_deref(), Some("x"));
        assert!(title(&"😀".repeat(200)).is_ok());
        for text in ["", " \n ", "a\nb", "a\0b", "a\u{85}b", &"x".repeat(201)] {
            assert!(title(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_hash_tells_the_title_from_the_body() {
        let hash = |title: &str, body: &str| Draft { title: title.into(), body: body.into() }.hash();

        assert_eq!(hash("a", "b"), hash("a", "b"));
        assert_ne!(hash("ab", "c"), hash("a", "bc"));
    }
}
