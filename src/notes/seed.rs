//! The demo data: a note for each factor, with a generated image.

use image::{Rgb, RgbImage};
use uuid::Uuid;

use super::codec::{Image, to_jpeg};
use super::{fields::Draft, image_store, jobs::PreviewImage, objects, store};
use crate::services::postgres::{Postgres, Transaction};
use crate::{config::Config, jobs, services::s3::Storage};

type Error = Box<dyn std::error::Error>;

/// Titles and bodies, in reverse: lists show the newest first.
const NOTES: [(&str, &str); 12] = [
    (
        "XII Admin processes",
        "One-off tasks run from the same image, with the same config: try `doctor` or `jobs list`.",
    ),
    ("XI Logs", "One JSON object per line on stdout. The platform collects them."),
    ("X Dev/prod parity", "Development uses the same services: sessions in Redis, notes in Postgres."),
    ("IX Disposability", "Stop an instance while this page is open: the others serve the requests."),
    ("VIII Concurrency", "Need more? Start another web, or another worker."),
    ("VII Port binding", "The service is a program that listens on PORT. It needs no application server."),
    ("VI Processes", "No process keeps state: sessions are in Redis, so that any process can serve you."),
    ("V Build, release, run", "The release and its commit are shown on this page, and in every log line."),
    ("IV Backing services", "Each is a URL. The image of this note is in an S3 bucket, which could be any other."),
    ("III Config", "All config is in environment variables: `config show` prints them, without the secrets."),
    ("II Dependencies", "Cargo.lock lists every dependency with its version and checksum."),
    ("I Codebase", "One repository, many deploys. You are looking at one of them."),
];

/// Adds the notes to an account, in the caller's transaction. Errors: a service is unreachable.
pub(crate) async fn seed(tx: &mut Transaction, config: &Config, account_id: Uuid) -> Result<(), Error> {
    let (db, storage) = (Postgres::new(config)?, Storage::new(config)?);
    for (number, (title, body)) in (1..).zip(NOTES) {
        let draft = Draft { title: title.into(), body: body.into() };
        let note = store::insert(tx, account_id, &draft).await?.ok_or("the account is full")?;
        let (key, image) = (Uuid::new_v4(), draw(number)?);
        let content_type = image.content_type;
        image_store::insert_upload(&db, key).await?;
        let stored = objects::put(&storage, key, "", image).await;
        stored.map_err(|_| "STORAGE_URL: the bucket rejects writes")?;
        image_store::set_image(tx, account_id, note.id, key, content_type).await?;
        jobs::enqueue(tx, &PreviewImage { key }).await?;
    }
    Ok(())
}

/// Draws hills and a sun, in colors of their own.
fn draw(number: u32) -> Result<Image, Error> {
    let (width, height) = (480, 320);
    let (seed, hue) = (number as f32, number as f32 / 12.0);
    let image = RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
        let sun = ((x - 0.2 - 0.05 * seed).powi(2) * 2.25 + (y - 0.3).powi(2)).sqrt() < 0.11;
        let hill = |far: f32| 0.45 + 0.16 * far + 0.09 * (x * (9.0 - 2.0 * far) + seed * (1.0 + far)).sin();
        let layer = (0..3).filter(|far| y > hill(*far as f32)).count() as f32;
        let light = if layer > 0.0 { 0.72 - 0.17 * layer } else { 0.95 - 0.2 * y };
        color(hue + 0.03 * layer, if sun && layer == 0.0 { 1.0 } else { light })
    });
    Ok(to_jpeg(&image.into())?)
}

/// A soft color of a hue and a lightness, each from 0 to 1.
fn color(hue: f32, light: f32) -> Rgb<u8> {
    let channel = |shift: f32| {
        let wave = (std::f32::consts::TAU * (hue + shift)).cos();
        ((light + (1.0 - light) * light * 0.9 * wave) * 255.0).clamp(0.0, 255.0) as u8
    };
    Rgb([channel(0.0), channel(0.333), channel(0.667)])
}
