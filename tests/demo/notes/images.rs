//! Images: validated on upload, stored in the bucket, served only to their owner.

use super::*;
use reqwest::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};

/// A PNG of one red pixel, with text after its end.
const RED: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\
\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82<script>alert(1)</script>";

struct Image {
    status: u16,
    headers: reqwest::header::HeaderMap,
    bytes: Vec<u8>,
}

async fn image(ada: &Client, web: &Process, path: &str) -> Image {
    let response = ada.request(web, "GET", path).send().await.expect("a response");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Image { status, headers, bytes: response.bytes().await.expect("a body").to_vec() }
}

async fn upload(ada: &Client, web: &Process, path: &str, bytes: &'static [u8]) -> Response {
    Response::of(ada.request(web, "PUT", path).header(CONTENT_TYPE, "text/html").body(bytes)).await
}

/// Creates a note with an image and returns both paths.
async fn with_image(ada: &Client, web: &Process) -> (String, String) {
    let created = ada.post(web, "/api/v1/notes", json!({ "title": "An image", "body": "" })).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let note = format!("/api/v1/notes/{}", created.body["id"].as_str().expect("an id"));
    let path = format!("{note}/image");
    let put = upload(ada, web, &path, RED).await;
    assert_eq!((put.status, put.body["image"].as_str()), (200, Some(path.as_str())), "{}", put.text);
    (note, path)
}

/// How many images there are, and how many pending uploads.
async fn counts(deploy: &Deploy) -> (i64, i64) {
    let count = "select (select count(*) from note_image), (select count(*) from pending_upload)";
    sqlx::query_as(count).fetch_one(&mut deploy.connection().await).await.expect("a row")
}

#[tokio::test]
async fn an_image_is_reencoded_and_served_by_any_process() {
    let deploy = Deploy::new().await;
    let (web, other, _worker) = (deploy.web().await, deploy.web().await, deploy.worker());
    let (ada, _) = Client::signed_in_at(&web).await;
    let (_, path) = with_image(&ada, &web).await;
    let shown = image(&ada, &web, &path).await;
    assert!(image(&ada, &other, &path).await.bytes == shown.bytes, "the processes serve different bytes");
    drop(web); // by SIGKILL

    assert!(image(&ada, &other, &path).await.bytes == shown.bytes, "the bytes were lost with the process");
    assert_eq!((shown.status, &shown.headers[CONTENT_TYPE]), (200, &"image/png".parse().expect("a type")));
    assert!(shown.bytes.starts_with(b"\x89PNG") && !shown.bytes.ends_with(b"</script>"), "{:?}", shown.bytes);
    let header = |name: &str| shown.headers[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(
        (header("x-content-type-options"), header("cache-control")),
        ("nosniff".into(), "private, no-cache".into())
    );
    let conditional = ada.request(&other, "GET", &path).header(IF_NONE_MATCH, &shown.headers[ETAG]);
    assert_eq!(Response::of(conditional).await.status, 304);
    until("the preview is served", SOON, async || {
        let preview = image(&ada, &other, &format!("{path}?size=preview")).await;
        assert_eq!(preview.status, 200, "{}", String::from_utf8_lossy(&preview.bytes));
        preview.headers[ETAG].to_str().is_ok_and(|etag| etag.contains("preview")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn only_its_owner_can_use_an_image() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let ((ada, _), (bob, _)) = (Client::signed_in_at(&web).await, Client::signed_in_at(&web).await);
    let (_, path) = with_image(&ada, &web).await;

    bob.get(&web, &path).await.is_problem(404);
    upload(&bob, &web, &path, RED).await.is_problem(404);
    bob.delete(&web, &path).await.is_problem(404);
    Client::new().get(&web, &path).await.is_problem(401);

    assert_eq!(image(&ada, &web, &path).await.status, 200);
}

#[tokio::test]
async fn invalid_uploads_are_rejected_and_leave_nothing() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, _) = Client::signed_in_at(&web).await;
    let (_, path) = with_image(&ada, &web).await;
    static LARGE: [u8; (10 << 20) + 1] = [0; (10 << 20) + 1];

    for (bytes, status) in [
        (&b""[..], 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (b"%PDF-1.7", 415),
        (&RED[..40], 422),
        (&LARGE, 413),
    ] {
        upload(&ada, &web, &path, bytes).await.is_problem(status);
    }

    assert_eq!(image(&ada, &web, &path).await.status, 200, "the old image is still served");
    assert_eq!(counts(&deploy).await, (1, 0));
}

#[tokio::test]
async fn files_are_deleted_with_image_note_or_account() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, account) = Client::signed_in_at(&web).await;
    let until_left = async |left: i64| {
        until("the files are deleted", SOON, async || (counts(&deploy).await == (left, 0)).then_some(())).await;
    };

    let ((note, path), (other, _), _third) =
        (with_image(&ada, &web).await, with_image(&ada, &web).await, with_image(&ada, &web).await);
    upload(&ada, &web, &path, RED).await;
    until_left(3).await;
    assert_eq!(ada.delete(&web, &path).await.status, 204);
    ada.get(&web, &path).await.is_problem(404);
    assert!(ada.get(&web, &note).await.body["image"].is_null());
    until_left(2).await;
    assert_eq!(ada.delete(&web, &other).await.status, 204);
    until_left(1).await;
    let erase = json!({ "current_password": account.password });
    assert_eq!(ada.delete_with(&web, "/api/v1/accounts/current", erase).await.status, 204);
    until_left(0).await;
}

#[tokio::test]
async fn without_storage_notes_work_and_uploads_fail() {
    let proxy = Proxy::to_service("STORAGE_URL", Mode::Pass).await;
    let deploy = Deploy::new().await.through("STORAGE_URL", proxy.port);
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let (ada, _) = Client::signed_in_at(&web).await;
    let (note, path) = with_image(&ada, &web).await;
    let before = ada.get(&web, &note).await;
    proxy.set(Mode::Refuse).await;

    upload(&ada, &web, &path, RED).await.is_problem(503);
    ada.get(&web, &path).await.is_problem(503);
    let after = ada.get(&web, &note).await;
    proxy.set(Mode::Pass).await;

    assert_eq!((after.status, after.text), (200, before.text));
    assert_eq!(counts(&deploy).await, (1, 1), "the failed upload is recorded for the sweep");
    until("the image is served again", SOON, async || (image(&ada, &web, &path).await.status == 200).then_some(()))
        .await;
}
