//! Uploads in bulk, bad and large: what they cost the process, and that none is written to its own disk.

use super::*;
use image::{ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

#[path = "../../../src/notes/codec/tests/bad.rs"]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod bad;
#[path = "../../../src/notes/codec/tests/samples.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "made for the tests of the codec itself")]
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

/// How many uploads one account may make at once: 60 a minute.
const AT_ONCE: usize = 50;

const MIB: u64 = 1 << 20;

/// A field of a file of the process's folder under `/proc`, in bytes.
fn proc(web: &Process, file: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/{file}", web.pid())).expect("the process lives");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    let number: u64 = line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number");
    if line.ends_with("kB") { number << 10 } else { number }
}

fn resident(web: &Process) -> u64 {
    proc(web, "status", "VmRSS:")
}

/// The most that was resident since [`forget_peak`].
fn peak(web: &Process) -> u64 {
    proc(web, "status", "VmHWM:")
}

fn forget_peak(web: &Process) {
    std::fs::write(format!("/proc/{}/clear_refs", web.pid()), "5").expect("the process is ours");
}

/// Clients with a note each, and the path of its image.
async fn with_notes(web: &Process, count: usize) -> Vec<(Client, String)> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let (client, _) = Client::signed_in_at(web).await;
        let made = client.post(web, NOTES, json!({ "title": "An image", "body": "" })).await;
        assert_eq!(made.status, 201, "{}", made.text);
        clients.push((client, format!("{}/image", made.header("location"))));
    }
    clients
}

async fn put(client: &Client, web: &Process, path: &str, bytes: Vec<u8>) -> Answer {
    let request = client.request(web, "PUT", path).header("content-type", "application/octet-stream");
    Answer::of(request.body(bytes).timeout(Duration::from_secs(150))).await
}

#[tokio::test]
async fn of_500_uploads_nothing_is_on_a_local_disk() {
    let deploy = Deploy::new().await;
    let dir = deploy.dir().to_owned();
    let deploy = deploy.with("TMPDIR", dir.to_str().expect("text"));
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let written = proc(&web, "io", "write_bytes:");

    let notes = with_notes(&web, 500 / AT_ONCE).await;
    let uploads = notes.iter().map(async |(client, path)| {
        for _ in 0..AT_ONCE {
            assert_eq!(put(client, &web, path, samples::png()).await.status, 200);
        }
    });
    join_all(uploads).await;

    assert_eq!(proc(&web, "io", "write_bytes:"), written, "bytes were written to a disk");
    assert_eq!(std::fs::read_dir(dir).expect("the directory").count(), 0);
}

#[tokio::test]
async fn bad_images_are_rejected_and_cost_little() {
    let deploy = Deploy::new().await;
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let images = bad::images();
    assert!(images.len() >= 60, "{}", images.len());
    let clients = with_notes(&web, images.len().div_ceil(AT_ONCE)).await;
    let before = resident(&web);
    forget_peak(&web);

    for (chunk, (client, path)) in images.chunks(AT_ONCE).zip(&clients) {
        for (name, bytes, rejection) in chunk {
            let answer = put(client, &web, path, bytes.clone()).await;
            let status = if *rejection == Rejection::NotAnImage { 415 } else { 422 };
            assert_eq!(answer.status, status, "{name}: {}", answer.text);
            assert!(status == 415 || answer.body["errors"][0]["field"] == "image", "{name}: {}", answer.text);
        }
    }

    for (name, bytes) in bad::harmless() {
        let (client, path) = &clients[clients.len() - 1];
        assert_eq!(put(client, &web, path, bytes).await.status, 200, "{name}");
    }

    let more = peak(&web).saturating_sub(before) / MIB;
    assert!(more <= 32, "the rejections took {more} MiB");
}

#[tokio::test]
async fn ten_photos_at_once_come_out_upright_and_their_memory_is_given_back() {
    // An unoptimized build takes its time; to make them later would let the clients' connections age meanwhile.
    let photos = photos();
    let deploy = Deploy::new().await.with("REQUEST_TIMEOUT_SECONDS", "90");
    let (web, _worker) = (deploy.web().await, deploy.worker());
    let notes = with_notes(&web, photos.len()).await;
    let before = resident(&web);
    forget_peak(&web);

    let uploads = notes.iter().zip(photos).map(|((client, path), photo)| put(client, &web, path, photo));
    for answer in join_all(uploads).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    let more = peak(&web).saturating_sub(before) / MIB;
    assert!(more <= 150, "ten photos took {more} MiB");
    until("the memory is given back", SOON, async || (resident(&web) <= before + 32 * MIB).then_some(())).await;
    let (client, path) = &notes[0];
    let shown = client.request(&web, "GET", path).send().await.expect("an answer");
    let bytes = shown.bytes().await.expect("a body");
    let image = image::load_from_memory(&bytes).expect("an image");
    assert!(image.height() > image.width(), "{} by {}", image.width(), image.height());
}

/// Ten of twelve megapixels, of the kinds that take most to decode; the first as a phone held upright takes them:
/// lying, with a mark of how to turn them, and noisy.
fn photos() -> Vec<Vec<u8>> {
    let mut noise = 1_u32;
    let mut grain = move |most: u32| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        (noise & most) as u8
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
