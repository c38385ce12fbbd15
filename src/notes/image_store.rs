//! The images of notes in Postgres, and what is known of their files.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::store::Note;
use crate::services::Limited;

/// Where a note's image is, and what it is.
pub(super) struct Image {
    pub(super) key: Uuid,
    pub(super) content_type: String,
    pub(super) preview_type: Option<String>,
}

/// The image of a note of the account.
pub(super) async fn find_image(db: &PgPool, account_id: Uuid, note_id: Uuid) -> sqlx::Result<Option<Image>> {
    let image = sqlx::query_as!(
        Image,
        "select key, content_type, preview_type
           from note_image join note on note.id = note_id
          where account_id = $1 and note_id = $2",
        account_id,
        note_id,
    );
    image.fetch_optional(db).limited().await
}

/// Tells of a file that is about to be stored: in ten minutes it is nobody's, unless it belongs to a note by then.
pub(super) async fn announce_file(db: &PgPool, key: Uuid) -> sqlx::Result<()> {
    let file = sqlx::query!("insert into note_file (key, due) values ($1, now() + interval '10 minutes')", key);
    file.execute(db).limited().await.map(drop)
}

/// Gives a file to a note of the account, in the place of the one it has; none if there is no such note.
pub(super) async fn set_image(
    conn: &mut PgConnection,
    account_id: Uuid,
    note_id: Uuid,
    key: Uuid,
    content_type: &str,
) -> sqlx::Result<Option<Note>> {
    let taken = sqlx::query!("delete from note_file where key = $1", key);
    let set = sqlx::query!(
        "insert into note_image (note_id, key, content_type)
         select id, $3, $4 from note where account_id = $1 and id = $2 for update
             on conflict (note_id) do update set key = $3, content_type = $4, preview_type = null",
        account_id,
        note_id,
        key,
        content_type,
    );
    // Swept by now, or no such note: either way the file is nobody's.
    if taken.execute(&mut *conn).limited().await?.rows_affected() == 0
        || set.execute(&mut *conn).limited().await?.rows_affected() == 0
    {
        return Ok(None);
    }
    touch(conn, account_id, note_id).await
}

/// Takes the image of a note of the account away; tells whether there was one.
pub(super) async fn delete_image(db: &PgPool, account_id: Uuid, note_id: Uuid) -> sqlx::Result<bool> {
    let mut tx = db.begin().limited().await?;
    let deleted = sqlx::query!(
        "delete from note_image using note where note.id = note_id and account_id = $1 and note_id = $2",
        account_id,
        note_id,
    );
    if deleted.execute(&mut *tx).limited().await?.rows_affected() == 0 {
        return Ok(false);
    }
    touch(&mut tx, account_id, note_id).await?;
    tx.commit().limited().await?;
    Ok(true)
}

/// Counts a change of a note's image as one of the note.
async fn touch(conn: &mut PgConnection, account_id: Uuid, id: Uuid) -> sqlx::Result<Option<Note>> {
    let note = sqlx::query_as!(
        Note,
        r#"update note
              set version = version + 1, updated_at = now()
            where account_id = $1 and id = $2
        returning id, title, body, version,
                  (select '/api/v1/notes/' || note_id || '/image' from note_image where note_id = note.id) as image,
                  created_at as "created_at: OffsetDateTime", updated_at as "updated_at: OffsetDateTime""#,
        account_id,
        id,
    );
    note.fetch_optional(conn).limited().await
}

/// Whether an image has this key still.
pub(super) async fn has_image(db: &PgPool, key: Uuid) -> sqlx::Result<bool> {
    let image = sqlx::query_scalar!("select key from note_image where key = $1", key);
    Ok(image.fetch_optional(db).limited().await?.is_some())
}

/// Tells of an image's preview; answers whether there is still such an image.
pub(super) async fn set_preview(db: &PgPool, key: Uuid, content_type: &str) -> sqlx::Result<bool> {
    let set = sqlx::query!("update note_image set preview_type = $2 where key = $1", key, content_type);
    Ok(set.execute(db).limited().await?.rows_affected() > 0)
}

/// Some of the files that are nobody's.
pub(super) async fn due_files(db: &PgPool) -> sqlx::Result<Vec<Uuid>> {
    let keys = sqlx::query_scalar!("select key from note_file where due <= now() limit 100");
    keys.fetch_all(db).limited().await
}

/// Forgets files that are deleted.
pub(super) async fn forget_files(db: &PgPool, keys: &[Uuid]) -> sqlx::Result<()> {
    let files = sqlx::query!("delete from note_file where key = any($1)", keys);
    files.execute(db).limited().await.map(drop)
}
