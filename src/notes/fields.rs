//! What a client may write in a note, parsed at the edge.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::http::{Result, cursor::present, problem::Problem};

const TITLE_LIMIT: usize = 200;
const BODY_LIMIT: usize = 100_000;

/// One line that says something, without control characters.
#[derive(ToSchema)]
#[schema(
    min_length = 1,
    max_length = 200,
    example = "Groceries",
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
)]
#[expect(dead_code, reason = "it stands in the contract for a text")]
struct Title(String);

/// Any text but the character U+0000; it may be empty.
#[derive(ToSchema)]
#[schema(max_length = 100_000, pattern = r"^[^\u0000]*$", example = "Milk, bread")]
#[expect(dead_code, reason = "it stands in the contract for a text")]
struct Body(String);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNote {
    #[schema(value_type = Title)]
    title: String,
    #[schema(value_type = Body)]
    body: String,
}

/// What a note is to be made of.
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) body: String,
}

impl NewNote {
    /// Errors: a problem with the field.
    pub(super) fn parse(self) -> Result<Draft> {
        Ok(Draft { title: title(&self.title)?, body: body(self.body)? })
    }
}

impl Draft {
    /// Equal where the same is asked for, however its JSON is written. No title holds a NUL.
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
    /// The new title and the new body, if they are given.
    /// Errors: a problem with the field.
    pub(super) fn parse(self) -> Result<(Option<String>, Option<String>)> {
        let title = self.title.as_deref().map(title).transpose()?;
        Ok((title, self.body.map(body).transpose()?))
    }
}

fn title(text: &str) -> Result<String> {
    let text = text.trim();
    if text.contains(char::is_control) {
        return Err(Problem::field("title", "must be one line, without control characters"));
    }
    if !(1..=TITLE_LIMIT).contains(&text.chars().count()) {
        return Err(Problem::field("title", format!("must have 1 to {TITLE_LIMIT} characters")));
    }
    Ok(text.to_owned())
}

fn body(text: String) -> Result<String> {
    // The one character that Postgres does not keep.
    if text.contains('\0') {
        return Err(Problem::field("body", "must not hold the character U+0000"));
    }
    if text.chars().count() > BODY_LIMIT {
        return Err(Problem::field("body", format!("must have at most {BODY_LIMIT} characters")));
    }
    Ok(text)
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
