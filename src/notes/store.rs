//! Notes in Postgres. Errors of its functions are those of Postgres.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{fields::Draft, params::List};
use crate::{http::etag::IfMatch, services::postgres::Postgres, services::postgres::Transaction};

/// The bytes that an account may have in notes; the last note may exceed it.
pub(super) const MAX_BYTES: i64 = 20_000_000;

/// A note, as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct Note {
    pub(super) id: Uuid,
    pub(super) title: String,
    pub(super) body: String,
    /// The path of its image.
    #[schema(required)]
    pub(super) image: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) updated_at: OffsetDateTime,
    /// Shown as the ETag.
    #[serde(skip)]
    pub(super) version: i64,
}

impl Note {
    /// A new note from its draft.
    pub(super) fn new(id: Uuid, created_at: OffsetDateTime, draft: Draft) -> Self {
        let Draft { title, body } = draft;
        Self { id, title, body, image: None, created_at, updated_at: created_at, version: 1 }
    }
}

/// Finds a note of the account.
pub(super) async fn find(db: &Postgres, account_id: Uuid, id: Uuid) -> sqlx::Result<Option<Note>> {
    let note = sqlx::query_as!(
        Note,
        r#"select id, title, body, (select '/api/v1/notes/' || note_id || '/image' from note_image where note_id = note.id) as image, version,
                  created_at, updated_at
             from note
            where account_id = $1 and id = $2"#,
        account_id,
        id,
    );
    note.fetch_optional(db).await
}

/// The notes of a page, and whether there are more. A page ends after 1 MiB, too. The last word of a search matches as a
/// prefix, as people search while they type.
pub(super) async fn list(db: &Postgres, list: &List) -> sqlx::Result<(Vec<Note>, bool)> {
    let rows = sqlx::query!(
        r#"with found as (
               select id, title, body, version, created_at, updated_at,
                      sum(octet_length(title) + octet_length(body)) over newest_first
                          - octet_length(title) - octet_length(body) as before,
                      row_number() over newest_first as number,
                      lead(id) over newest_first is not null as more
                 from (select * from note
                        where account_id = $1
                          and (created_at, id) < (coalesce($2, 'infinity'::timestamptz), $3)
                          and ($4 = '' or search @@ regexp_replace(websearch_to_tsquery('simple', $4)::text, '''$', ''':*')::tsquery)
                        order by created_at desc, id desc
                        limit $5::bigint + 1) as note
               window newest_first as (order by created_at desc, id desc))
           select id, title, body, version, created_at, updated_at, more as "more!",
                  (select '/api/v1/notes/' || note_id || '/image' from note_image where note_id = found.id) as image
             from found
            where number <= $5::bigint and before < 1048576
            order by number"#,
        list.account_id,
        list.window.after.map(|after| after.created_at),
        list.window.after.map(|after| after.id),
        list.search,
        i64::from(list.window.limit),
    );
    let rows = rows.fetch_all(db).await?;
    let more = rows.last().is_some_and(|last| last.more);
    let notes = rows.into_iter().map(|row| Note {
        id: row.id,
        title: row.title,
        body: row.body,
        image: row.image,
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    });
    Ok((notes.collect(), more))
}

/// The bytes of the account's notes.
pub(super) async fn bytes(db: &Postgres, account_id: Uuid) -> sqlx::Result<i64> {
    let bytes = sqlx::query_scalar!(
        r#"select coalesce(sum(octet_length(title) + octet_length(body)), 0) as "bytes!" from note where account_id = $1"#,
        account_id,
    );
    bytes.fetch_one(db).await
}

/// Adds a note to a locked account. None: the account has 1,000, or [`MAX_BYTES`] in them.
pub(super) async fn insert(tx: &mut Transaction, account_id: Uuid, draft: &Draft) -> sqlx::Result<Option<Note>> {
    let note = sqlx::query_as!(
        Note,
        r#"insert into note (id, account_id, title, body)
           select $1, $2, $3, $4
            where (select count(*) < 1000 and coalesce(sum(octet_length(title) + octet_length(body)), 0) < $5
                     from note where account_id = $2)
        returning id, title, body, (select '/api/v1/notes/' || note_id || '/image' from note_image where note_id = note.id) as image, version,
                  created_at, updated_at"#,
        Uuid::now_v7(),
        account_id,
        draft.title,
        draft.body,
        MAX_BYTES,
    );
    note.fetch_optional(tx).await
}

/// Changes the given fields of a note that has one of the versions. One statement checks and changes: of two concurrent
/// ones the second waits for the first, and then checks the new version.
pub(super) async fn update(
    db: &Postgres, account_id: Uuid, id: Uuid, IfMatch(versions): &IfMatch, title: Option<&str>, body: Option<&str>,
) -> sqlx::Result<Option<Note>> {
    let note = sqlx::query_as!(
        Note,
        r#"update note
              set title = coalesce($4, title), body = coalesce($5, body),
                  version = version + 1, updated_at = now()
            where account_id = $1 and id = $2 and ($3::bigint[] is null or version = any($3))
        returning id, title, body, (select '/api/v1/notes/' || note_id || '/image' from note_image where note_id = note.id) as image, version,
                  created_at, updated_at"#,
        account_id,
        id,
        versions.as_deref(),
        title,
        body,
    );
    note.fetch_optional(db).await
}

/// Deletes a note that has one of the versions; returns whether it did.
pub(super) async fn delete(
    db: &Postgres, account_id: Uuid, id: Uuid, IfMatch(versions): &IfMatch,
) -> sqlx::Result<bool> {
    let delete = sqlx::query!(
        "delete from note
          where account_id = $1 and id = $2 and ($3::bigint[] is null or version = any($3))",
        account_id,
        id,
        versions.as_deref(),
    );
    Ok(delete.execute(db).await?.rows_affected() > 0)
}
