//! Pages of a list, by cursor. A page starts after the last item of the page before, so that items added meanwhile
//! cause neither duplicates nor gaps.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Result, problem::Problem};

const DEFAULT_LIMIT: u8 = 20;
const MAX_LIMIT: u8 = 100;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    /// The items of the page.
    pub items: Vec<T>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    pub next: Option<String>,
}

/// The position of an item in a list, newest first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// The first sort key.
    pub created_at: OffsetDateTime,
    /// The second sort key, for items of the same time.
    pub id: Uuid,
}

/// The part of a list that a request asks for.
pub struct Window {
    /// SHA-256 of what identifies the list: its account and search.
    list: Sha256,
    /// The maximum number of items.
    pub limit: u8,
    /// The last item of the previous page.
    pub after: Option<Position>,
}

impl Window {
    /// Parses the parameters `limit` and `cursor`; `list` identifies the list. Errors: the parameter is invalid.
    pub fn parse(list: &[&[u8]], limit: Option<&str>, cursor: Option<&str>) -> Result<Self> {
        let list = list.iter().fold(Sha256::new(), |list, part| list.chain_update(part));
        let invalid = || Problem::field("limit", format!("must be a number from 1 to {MAX_LIMIT}"));
        let limit = limit.map_or(Some(DEFAULT_LIMIT), parse_limit).ok_or_else(invalid)?;
        let mut window = Self { list, limit, after: None };
        if let Some(cursor) = cursor {
            let after = window.position(cursor);
            window.after = Some(after.ok_or_else(|| Problem::field("cursor", "is not a `next` of this list"))?);
        }
        Ok(window)
    }

    /// Makes a page of `items`; one item more than the limit means that there is a next page.
    pub fn page<T>(&self, mut items: Vec<T>, position: impl Fn(&T) -> Position) -> Page<T> {
        let limit = usize::from(self.limit);
        let more = items.len() > limit;
        items.truncate(limit);
        self.page_of(items, more, position)
    }

    /// Makes a page of all `items`; `more`: there is a next page.
    pub fn page_of<T>(&self, items: Vec<T>, more: bool, position: impl Fn(&T) -> Position) -> Page<T> {
        let next = items.last().filter(|_| more).map(|last| self.cursor(position(last)));
        Page { items, next }
    }

    /// 24 bytes of position and 8 of checksum.
    fn cursor(&self, Position { created_at, id }: Position) -> String {
        let micros = u64::try_from(created_at.unix_timestamp_nanos() / 1_000).unwrap_or_default();
        let position = [&micros.to_be_bytes()[..], id.as_bytes()].concat();
        let checksum = self.checksum(&position);
        URL_SAFE_NO_PAD.encode([position, checksum].concat())
    }

    fn position(&self, cursor: &str) -> Option<Position> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (position, checksum) = bytes.split_at_checked(24)?;
        if checksum != self.checksum(position) {
            return None;
        }
        let (micros, id) = position.split_first_chunk()?;
        let nanos = i128::from(u64::from_be_bytes(*micros)) * 1_000;
        let created_at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?;
        Some(Position { created_at, id: Uuid::from_slice(id).ok()? })
    }

    /// Binds a cursor to its list, so that a cursor of another list is an error. It needs no secret: a forged cursor
    /// shows only the account's own items.
    fn checksum(&self, position: &[u8]) -> Vec<u8> {
        self.list.clone().chain_update(position).finalize()[..8].to_vec()
    }
}

fn parse_limit(text: &str) -> Option<u8> {
    let limit: u8 = text.parse().ok()?;
    ((1..=MAX_LIMIT).contains(&limit) && limit.to_string() == text).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(list: &str) -> Window {
        Window::parse(&[list.as_bytes()], None, None).unwrap_or_else(|problem| panic!("{problem:?}"))
    }

    #[test]
    fn a_cursor_names_a_position_in_its_own_list_only() {
        let created_at = OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(1_234_567);
        let position = Position { created_at, id: Uuid::from_u128(7) };
        let cursor = window("a").cursor(position);

        assert_eq!(window("a").position(&cursor), Some(position));
        assert_eq!(window("b").position(&cursor), None);
        for at in 0..cursor.len() {
            let mut tampered = cursor.clone().into_bytes();
            tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(tampered).expect("ASCII");
            assert_eq!(window("a").position(&tampered), None, "{tampered}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_cursor_only_of_its_list(text in "[A-Za-z0-9_-]{0,50}|\\PC{0,50}") {
            prop_assert!(window("a").position(&text).is_none());
        }

        #[test]
        fn any_position_is_read_as_it_was_written(micros in 0..=4_000_000_000_000_000_i64, id: u128) {
            let created_at = OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(micros);
            let position = Position { created_at, id: Uuid::from_u128(id) };
            prop_assert_eq!(window("a").position(&window("a").cursor(position)), Some(position));
        }
    }

    #[test]
    fn a_limit_is_a_plain_number_from_1_to_100() {
        assert_eq!((parse_limit("1"), parse_limit("100")), (Some(1), Some(100)));
        for text in ["", "0", "101", "-1", "+5", "05", " 5", "5.0", "1e1", "٥", "300"] {
            assert_eq!(parse_limit(text), None, "{text}");
        }
    }
}
