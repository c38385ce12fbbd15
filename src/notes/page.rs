//! Lists in pages. A page goes on after the last note of the one before, wherever that is by now: notes that
//! are made meanwhile neither repeat nor hide any.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{fields::given, store::Note};
use crate::http::{Result, problem::Problem};

const LIMIT: u8 = 20;
const LONGEST: u8 = 100;
const SEARCH_LIMIT: usize = 200;

#[derive(Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// How many at most; 20 where it is not given.
    #[serde(deserialize_with = "given")]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next` of the page before.
    #[serde(deserialize_with = "given")]
    #[param(pattern = "^[A-Za-z0-9_-]{43}$")]
    cursor: Option<String>,
    /// Words to search for; of the last one the beginning is enough.
    #[serde(deserialize_with = "given")]
    #[param(max_length = 200)]
    q: Option<String>,
}

/// One page of an account's notes, as it is asked for.
pub(super) struct List {
    pub(super) account_id: Uuid,
    pub(super) limit: u8,
    pub(super) after: Option<Position>,
    /// What to search for; all notes where it is empty.
    pub(super) search: String,
}

/// Where a note stands in the list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Position {
    pub(super) created_at: OffsetDateTime,
    pub(super) id: Uuid,
}

/// A page, and the cursor of the next if there is one.
#[derive(Serialize, ToSchema)]
pub(super) struct Page {
    items: Vec<Note>,
    #[schema(required)]
    next: Option<String>,
}

impl Params {
    /// Errors: a problem with the parameter.
    pub(super) fn parse(self, account_id: Uuid) -> Result<List> {
        let search = self.q.unwrap_or_default().trim().to_owned();
        // Bytes that are no UTF-8 are read as the second of these.
        if search.contains(['\0', char::REPLACEMENT_CHARACTER]) || search.chars().count() > SEARCH_LIMIT {
            return Err(Problem::field("q", format!("must be text of at most {SEARCH_LIMIT} characters")));
        }
        let limit = self.limit.as_deref().map_or(Some(LIMIT), limit);
        let limit = limit.ok_or_else(|| Problem::field("limit", format!("must be a number from 1 to {LONGEST}")))?;
        let mut list = List { account_id, limit, after: None, search };
        if let Some(cursor) = self.cursor {
            let after = list.position(&cursor);
            list.after = Some(after.ok_or_else(|| Problem::field("cursor", "is not a `next` of this list"))?);
        }
        Ok(list)
    }
}

fn limit(text: &str) -> Option<u8> {
    let limit: u8 = text.parse().ok()?;
    ((1..=LONGEST).contains(&limit) && limit.to_string() == text).then_some(limit)
}

impl List {
    /// The page that begins with `notes`, of which one more than its limit tells that there is a next.
    pub(super) fn page(&self, mut notes: Vec<Note>) -> Page {
        let limit = usize::from(self.limit);
        let more = notes.len() > limit;
        notes.truncate(limit);
        let last = notes.last().filter(|_| more);
        let next = last.map(|note| self.cursor(Position { created_at: note.created_at, id: note.id }));
        Page { items: notes, next }
    }

    /// A position in 24 bytes, and a seal of 8.
    fn cursor(&self, Position { created_at, id }: Position) -> String {
        let micros = u64::try_from(created_at.unix_timestamp_nanos() / 1_000).unwrap_or_default();
        let position = [&micros.to_be_bytes()[..], id.as_bytes()].concat();
        let seal = self.seal(&position);
        URL_SAFE_NO_PAD.encode([position, seal].concat())
    }

    fn position(&self, cursor: &str) -> Option<Position> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (position, seal) = bytes.split_at_checked(24)?;
        if seal != self.seal(position) {
            return None;
        }
        let (micros, id) = position.split_first_chunk()?;
        let nanos = i128::from(u64::from_be_bytes(*micros)) * 1_000;
        let created_at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
        Some(Position { created_at, id: Uuid::from_slice(id).ok()? })
    }

    /// Binds a cursor to its list, so that a slip is told. It need not keep anyone from forging one, which
    /// would show nothing but notes of one's own.
    fn seal(&self, position: &[u8]) -> Vec<u8> {
        let list = Sha256::new_with_prefix(self.account_id).chain_update(&self.search);
        list.chain_update(position).finalize()[..8].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(search: &str) -> List {
        List { account_id: Uuid::max(), limit: 1, after: None, search: search.into() }
    }

    #[test]
    fn a_cursor_names_a_position_in_its_own_list_only() {
        let created_at = OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(1_234_567);
        let position = Position { created_at, id: Uuid::from_u128(7) };
        let cursor = list("a").cursor(position);

        assert_eq!(list("a").position(&cursor), Some(position));
        assert_eq!(list("b").position(&cursor), None);
        for at in 0..cursor.len() {
            let mut tampered = cursor.clone().into_bytes();
            tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(tampered).expect("ASCII");
            assert_eq!(list("a").position(&tampered), None, "{tampered}");
        }
    }

    #[test]
    fn a_limit_is_a_plain_number_from_1_to_100() {
        assert_eq!((limit("1"), limit("100")), (Some(1), Some(100)));
        for text in ["", "0", "101", "-1", "+5", "05", " 5", "5.0", "1e1", "٥", "300"] {
            assert_eq!(limit(text), None, "{text}");
        }
    }
}
