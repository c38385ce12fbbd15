//! The rows of images and of pending uploads in Postgres.

use uuid::Uuid;

use super::store::Note;
use crate::services::postgres::{Postgres, Transaction};

/// A note's image: the key of its object, and its types.
pub(super) struct Image {
    pub(super) key: Uuid,
    pub(super) content_type: String,
    pub(super) preview_type: Option<String>,
}

/// The image of a note of the account.
pub(super) async fn find_image(db: &Postgres, account_id: Uuid, note_id: Uuid) -> sqlx::Result<Option<Image>> {
    let image = sqlx::query_as!(
        Image,
        "select key, content_type, preview_type
           from note_image join note on note.id = note_id
          where account_id = $1 and note_id = $2",
        account_id,
        note_id,
    );
    image.fetch_optional(db).await
}

/// Adds a pending upload, before its object is stored: after ten minutes it is an orphan, unless a note has it by then.
pub(super) async fn insert_upload(db: &Postgres, key: Uuid) -> sqlx::Result<()> {
    let upload = sqlx::query!("insert into pending_upload (key, due) values ($1, now() + interval '10 minutes')", key);
    upload.execute(db).await.map(drop)
}

/// Makes an upload the image of a note of the account, in place of an older image. None: there is no such note.
pub(super) async fn set_image(
    tx: &mut Transaction, account_id: Uuid, note_id: Uuid, key: Uuid, content_type: &str,
) -> sqlx::Result<Option<Note>> {
    let pending = sqlx::query!("delete from pending_upload where key = $1", key);
    let set = sqlx::query!(
        "insert into note_image (note_id, key, content_type)
         select id, $3, $4 from note where account_id = $1 and id = $2 for update
             on conflict (note_id) do update set key = $3, content_type = $4, preview_type = null",
        account_id,
        note_id,
        key,
        content_type,
    );
    // Swept meanwhile, or no such note: either way the upload is an orphan.
    if pending.execute(&mut *tx).await?.rows_affected() == 0 || set.execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(None);
    }
    touch(tx, account_id, note_id).await
}

/// Deletes the image of a note of the account; returns whether there was one.
pub(super) async fn delete_image(db: &Postgres, account_id: Uuid, note_id: Uuid) -> sqlx::Result<bool> {
    let mut tx = db.begin().await?;
    let deleted = sqlx::query!(
        "delete from note_image using note where note.id = note_id and account_id = $1 and note_id = $2",
        account_id,
        note_id,
    );
    if deleted.execute(&mut tx).await?.rows_affected() == 0 {
        return Ok(false);
    }
    touch(&mut tx, account_id, note_id).await?;
    tx.commit().await?;
    Ok(true)
}

/// Counts a change of the image as a change of its note.
async fn touch(tx: &mut Transaction, account_id: Uuid, id: Uuid) -> sqlx::Result<Option<Note>> {
    let note = sqlx::query_as!(
        Note,
        r#"update note
              set version = version + 1, updated_at = now()
            where account_id = $1 and id = $2
        returning id, title, body, version,
                  (select '/api/v1/notes/' || note_id || '/image' from note_image where note_id = note.id) as image,
                  created_at, updated_at"#,
        account_id,
        id,
    );
    note.fetch_optional(tx).await
}

/// Whether an image with this key still exists.
pub(super) async fn has_image(db: &Postgres, key: Uuid) -> sqlx::Result<bool> {
    let image = sqlx::query_scalar!("select key from note_image where key = $1", key);
    Ok(image.fetch_optional(db).await?.is_some())
}

/// Records the preview of an image; returns whether the image still exists.
pub(super) async fn set_preview(db: &Postgres, key: Uuid, content_type: &str) -> sqlx::Result<bool> {
    let set = sqlx::query!("update note_image set preview_type = $2 where key = $1", key, content_type);
    Ok(set.execute(db).await?.rows_affected() > 0)
}

/// Up to 100 orphans: uploads that no note has.
pub(super) async fn due_uploads(db: &Postgres) -> sqlx::Result<Vec<Uuid>> {
    let keys = sqlx::query_scalar!("select key from pending_upload where due <= now() limit 100");
    keys.fetch_all(db).await
}

/// Deletes the row of an orphan, after its objects.
pub(super) async fn delete_upload(db: &Postgres, key: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from pending_upload where key = $1", key).execute(db).await.map(drop)
}
