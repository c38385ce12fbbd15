//! The parameters of the list of notes.

use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{http::Result, http::cursor::Window, http::extract::present, http::problem::Problem};

const SEARCH_LIMIT: usize = 200;

#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// The maximum number of notes; 20 by default.
    #[serde(deserialize_with = "present")]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next` of the previous page.
    #[serde(deserialize_with = "present")]
    #[param(pattern = "^[A-Za-z0-9_-]{43}$")]
    cursor: Option<String>,
    /// Words to search for; the last one may be a prefix.
    #[serde(deserialize_with = "present")]
    #[param(max_length = 200)]
    q: Option<String>,
}

/// The parsed parameters: which notes of an account to list.
pub(super) struct List {
    pub(super) account_id: Uuid,
    pub(super) window: Window,
    /// The search; empty for all notes.
    pub(super) search: String,
}

impl Params {
    /// Errors: a problem with the parameter.
    pub(super) fn parse(self, account_id: Uuid) -> Result<List> {
        let search = self.q.unwrap_or_default().trim().to_owned();
        // Invalid UTF-8 becomes U+FFFD.
        if search.contains(['\0', char::REPLACEMENT_CHARACTER]) || search.chars().count() > SEARCH_LIMIT {
            return Err(Problem::field("q", format!("must be text of at most {SEARCH_LIMIT} characters")));
        }
        let list = [account_id.as_bytes().as_slice(), search.as_bytes()];
        let window = Window::parse(&list, self.limit.as_deref(), self.cursor.as_deref())?;
        Ok(List { account_id, window, search })
    }
}
