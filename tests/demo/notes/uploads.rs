//! Many, invalid and large uploads: their memory, and that nothing is written to the local disk.

use super::*;
use image::{ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

#[path = "../../../src/notes/codec/tests/bad.rs"]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod bad;
#[path = "../../../src/notes/codec/tests/samples.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the unit tests of the codec")]
mod samples;

/// Why an image is rejected.
#[derive(Clone, Copy, PartialEq)]
enum Rejection {
    NotAnImage,
    TooLarge,
    TooLossless,
    Cmyk,
    Damaged,
}

/// Uploads per account, below its limit of 60 a minute.
const PER_ACCOUNT: usize = 50;

pub(super) const MIB: u64 = 1 << 20;

/// A field of a file in the process's `/proc` directory, in bytes.
fn proc(web: &Process, file: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/{file}", web.pid())).expect("the process is running");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    let number: u64 = line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number");
    if line.ends_with("kB") { number << 10 } else { number }
}

pub(super) fn resident(web: &Process) -> u64 {
    proc(web, "status", "VmRSS:")
}

/// The peak of the resident memory since [`reset_peak`].
pub(super) fn peak(web: &Process) -> u64 {
    proc(web, "status", "VmHWM:")
}

pub(super) fn reset_peak(web: &Process) {
    std::fs::write(format!("/proc/{}/clear_refs", web.pid()), "5").expect("the process belongs to the test");
}

/// Clients with a note each, and the paths of the notes' images.
async fn with_notes(web: &Process, count: usize) -> Vec<(Client, String)> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let (client, _) = Client::signed_in_at(web).await;
        let created = client.post(web, NOTES, json!({ "title": "An image", "body": "" })).await;
        assert_eq!(created.status, 201, "{}", created.text);
        clients.push((client, format!("{}/image", created.header("location"))));
    }
    clients
}

async fn put(client: &Client, web: &Process, path: &str, bytes: Vec<u8>) -> Response {
    let request = client.request(web, "PUT", path).header("content-type", "application/octet-stream");
    Response::of(request.body(bytes).timeout(Duration::from_secs(150))).await
}

#[tokio::test]
async fn five_hundred_uploads_write_nothing_to_local_disk() {
    let deploy = Deploy::new().await;
    let dir = deploy.dir().to_owned();
    let deploy = deploy.with("TMPDIR", dir.to_str().expect("text"));
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let written = proc(&web, "io", "write_bytes:");

    let notes = with_notes(&web, 500 / PER_ACCOUNT).await;
    let uploads = notes.iter().map(async |(client, path)| {
        for _ in 0..PER_ACCOUNT {
            assert_eq!(put(client, &web, path, samples::png()).await.status, 200);
        }
    });
    join_all(uploads).await;

    assert_eq!(proc(&web, "io", "write_bytes:"), written, "bytes were written to a disk");
    assert_eq!(std::fs::read_dir(dir).expect("the directory").count(), 0);
}

#[tokio::test]
async fn bad_images_are_rejected_in_little_memory() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let images = bad::images();
    assert!(images.len() >= 60, "{}", images.len());
    let clients = with_notes(&web, images.len().div_ceil(PER_ACCOUNT)).await;
    let before = resident(&web);
    reset_peak(&web);

    for (chunk, (client, path)) in images.chunks(PER_ACCOUNT).zip(&clients) {
        for (name, bytes, rejection) in chunk {
            let response = put(client, &web, path, bytes.clone()).await;
            let status = if *rejection == Rejection::NotAnImage { 415 } else { 422 };
            assert_eq!(response.status, status, "{name}: {}", response.text);
            assert!(status == 415 || response.body["errors"][0]["field"] == "image", "{name}: {}", response.text);
        }
    }

    for (name, bytes) in bad::harmless() {
        let (client, path) = &clients[clients.len() - 1];
        assert_eq!(put(client, &web, path, bytes).await.status, 200, "{name}");
    }

    let more = peak(&web).saturating_sub(before) / MIB;
    assert!(more <= 32, "the rejected images used {more} MiB");
}

#[tokio::test]
async fn ten_concurrent_photos_are_rotated_and_their_memory_freed() {
    // Slow in an unoptimized build, so done first: the clients' connections would time out meanwhile.
    let photos = photos();
    let deploy = Deploy::new().await.with("REQUEST_TIMEOUT_SECONDS", "90");
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let notes = with_notes(&web, photos.len()).await;
    let before = resident(&web);
    reset_peak(&web);

    let uploads = notes.iter().zip(photos).map(|((client, path), photo)| put(client, &web, path, photo));
    for response in join_all(uploads).await {
        assert_eq!(response.status, 200, "{}", response.text);
    }

    let more = peak(&web).saturating_sub(before) / MIB;
    assert!(more <= 150, "ten photos used {more} MiB");
    until("the memory is freed", SOON, async || (resident(&web) <= before + 32 * MIB).then_some(())).await;
    let (client, path) = &notes[0];
    let image = client.request(&web, "GET", path).send().await.expect("a response");
    let bytes = image.bytes().await.expect("a body");
    let image = image::load_from_memory(&bytes).expect("an image");
    assert!(image.height() > image.width(), "{} by {}", image.width(), image.height());
}

/// Ten photos of twelve megapixels in the formats that need most memory. The first are noisy and in landscape, with an
/// EXIF orientation, as phones write them.
fn photos() -> Vec<Vec<u8>> {
    let mut noise = 1_u32;
    let mut grain = move |mask: u32| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        (noise & mask) as u8
    };
    let photo = RgbImage::from_fn(4_000, 3_000, |x, y| {
        let grain = grain(63);
        Rgb([(x / 40) as u8 + grain, (y / 30) as u8 + grain, 100 + grain])
    });
    let clear = RgbaImage::from_fn(4_000, 3_000, |x, y| Rgba([(x / 40) as u8, (y / 30) as u8, 100, grain(1)]));
    let jpeg = samples::with_exif(ImageFormat::Jpeg, &samples::encoded(photo, ImageFormat::Jpeg), 6);
    let mut progressive = samples::jpeg_of(0xc2, 4_000, 3_000, 3);
    progressive.resize(jpeg.len(), 0);
    let png = samples::encoded(clear, ImageFormat::Png);
    let webp = samples::encoded(RgbImage::from_pixel(4_000, 3_000, Rgb([9, 8, 7])), ImageFormat::WebP);
    for bytes in [&jpeg, &progressive, &png] {
        assert!((3 << 20..10 << 20).contains(&bytes.len()), "{}", bytes.len());
    }
    [vec![jpeg; 4], vec![progressive; 2], vec![png; 2], vec![webp; 2]].concat()
}
