//! The parameters of the list of notes.

use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{http::Result, http::cursor::Window, http::extract::present, http::problem::Problem};

const SEARCH_LIMIT: usize = 200;

#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// How many at most; 20 where it is not given.
    #[serde(deserialize_with = "present")]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next` of the page before.
    #[serde(deserialize_with = "present")]
    #[param(pattern = "^[A-Za-z0-9_-]{43}$")]
    cursor: Option<String>,
    /// Words to search for; of the last one the beginning is enough.
    #[serde(deserialize_with = "present")]
    #[param(max_length = 200)]
    q: Option<String>,
}

/// The part of an account's notes that is asked for.
pub(super) struct List {
    pub(super) account_id: Uuid,
    pub(super) window: Window,
    /// What to search for; all notes where it is empty.
    pub(super) search: String,
}

impl Params {
    /// Errors: a problem with the parameter.
    pub(super) fn parse(self, account_id: Uuid) -> Result<List> {
        let search = self.q.unwrap_or_default().trim().to_owned();
        // Bytes that are no UTF-8 are read as the second of these.
        if search.contains(['\0', char::REPLACEMENT_CHARACTER]) || search.chars().count() > SEARCH_LIMIT {
            return Err(Problem::field("q", format!("must be text of at most {SEARCH_LIMIT} characters")));
        }
        let list = [account_id.as_bytes().as_slice(), search.as_bytes()];
        let window = Window::parse(&list, self.limit.as_deref(), self.cursor.as_deref())?;
        Ok(List { account_id, window, search })
    }
}
