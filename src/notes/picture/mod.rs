//! Pictures from anyone: told by their bytes, bounded before they are decoded, and written anew, so that
//! nothing of what came is kept but what can be seen. No metadata stays; an animation becomes its first frame.

use std::sync::Arc;

use axum::body::Bytes;
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{DynamicImage, ImageResult};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::problem::Problem;

mod decode;
mod header;
mod pixels;
#[cfg(test)]
mod tests;

use header::Header;

/// The most bytes a picture may have.
pub const MAX_BYTES: usize = 10 << 20;
/// A longer side is scaled down to this, so that a picture takes little to store, to send and to decode again.
const LONGEST: u32 = 2_560;
/// The longer side of a preview.
const PREVIEW: u32 = 320;
/// How many pictures may be held at once, waiting or at work.
const PLACES: usize = 12;
/// In bytes: what takes more than this to decode is decoded alone.
const SMALL: u64 = 32 << 20;

/// Why a picture is not taken, as a sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "its sentence documents a variant")]
pub enum Refusal {
    #[error("The content is no PNG, JPEG, WebP or GIF image.")]
    NotAPicture,
    #[error("The image must have at most 10 MiB.")]
    TooManyBytes,
    #[error("must have at most 40 megapixels and 16,384 pixels on a side, and fewer if it is animated or of 16 bits")]
    TooManyPixels,
    /// What expands most of all comes from small files of this kind.
    #[error("is a WebP of more than 128 KiB without loss: please send it as PNG")]
    TooLossless,
    #[error("is damaged or not complete")]
    Broken,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotAPicture => Self::UnsupportedMediaType("The content is no PNG, JPEG, WebP or GIF image."),
            Refusal::TooManyBytes => Self::TooLarge,
            _ => Self::field("image", refusal.to_string()),
        }
    }
}

/// A picture that is safe to keep and to show.
#[derive(Clone, Debug)]
pub struct Picture {
    /// `image/jpeg` or `image/png`.
    pub content_type: &'static str,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

/// The picture upright, without its metadata, scaled down to 2,560 pixels on its longer side. JPEG, and WebP
/// that lost something already, become JPEG; all else, and whatever is transparent, becomes PNG.
/// Errors: a refusal.
#[cfg(test)]
fn clean(bytes: Bytes) -> Result<Picture, Refusal> {
    let header = inspect(&bytes)?;
    render(bytes, &header, LONGEST)
}

/// A small one of a picture that is kept: 320 pixels on its longer side.
/// Errors: a refusal.
#[cfg(test)]
fn preview(bytes: Bytes) -> Result<Picture, Refusal> {
    let header = Header::read(&bytes)?;
    render(bytes, &header, PREVIEW)
}

fn inspect(bytes: &[u8]) -> Result<Header, Refusal> {
    if bytes.len() > MAX_BYTES {
        return Err(Refusal::TooManyBytes);
    }
    Header::read(bytes)
}

fn render(bytes: Bytes, header: &Header, longest: u32) -> Result<Picture, Refusal> {
    let image = decode::upright(bytes, header, longest).map_err(|_| Refusal::Broken)?;
    let jpeg = header.lossy && !image.color().has_alpha();
    let bytes = encode(&image, jpeg).map_err(|_| Refusal::Broken)?;
    let content_type = if jpeg { "image/jpeg" } else { "image/png" };
    Ok(Picture { content_type, width: image.width(), height: image.height(), bytes })
}

/// A picture of our own making.
/// Errors: it cannot be encoded.
pub fn drawn(image: &DynamicImage) -> ImageResult<Picture> {
    let bytes = encode(image, true)?;
    Ok(Picture { content_type: "image/jpeg", width: image.width(), height: image.height(), bytes })
}

fn encode(image: &DynamicImage, jpeg: bool) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    if jpeg {
        image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 85))?;
    } else {
        image.write_with_encoder(PngEncoder::new(&mut bytes))?;
    }
    Ok(bytes)
}

/// Works on pictures: two small ones at once or a large one, whatever number comes. What is given back goes to
/// the system at once, as [`Hasher`](crate::hasher::Hasher) has glibc do.
#[derive(Clone)]
pub struct Pictures {
    places: Arc<Semaphore>,
    lanes: Arc<Semaphore>,
    all_lanes: u32,
}

impl Default for Pictures {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes = cores.min(2);
        let all_lanes = if lanes == 2 { 2 } else { 1 };
        Self { places: Arc::new(Semaphore::new(PLACES)), lanes: Arc::new(Semaphore::new(lanes)), all_lanes }
    }
}

impl Pictures {
    /// A place for one picture, to be taken before its bytes are: so many pictures are in memory, no more.
    /// Errors: [`Problem::Busy`] when all are taken.
    pub fn place(&self) -> Result<Place, Problem> {
        let held = self.places.clone().try_acquire_owned();
        let held = held.map_err(|_| Problem::Busy)?;
        Ok(Place { held, lanes: self.lanes.clone(), all_lanes: self.all_lanes })
    }
}

/// The right to have one picture worked on.
pub struct Place {
    held: OwnedSemaphorePermit,
    lanes: Arc<Semaphore>,
    all_lanes: u32,
}

impl Place {
    /// See [`clean`].
    /// Errors: its refusal, as a problem.
    pub async fn clean(self, bytes: Bytes) -> Result<Picture, Problem> {
        let header = inspect(&bytes)?;
        self.run(bytes, header, LONGEST).await
    }

    /// See [`preview`].
    /// Errors: its refusal, as a problem.
    pub async fn preview(self, bytes: Bytes) -> Result<Picture, Problem> {
        let header = Header::read(&bytes)?;
        self.run(bytes, header, PREVIEW).await
    }

    async fn run(self, bytes: Bytes, header: Header, longest: u32) -> Result<Picture, Problem> {
        let lanes = if header.memory > SMALL { self.all_lanes } else { 1 };
        let lane = self.lanes.acquire_many_owned(lanes).await;
        let lane = lane.map_err(|error| Problem::Internal(format!("pictures: {error}")))?;
        // The permits go along: the work goes on when the request is dropped.
        let work = tokio::task::spawn_blocking(move || {
            let _held = (self.held, lane);
            render(bytes, &header, longest)
        });
        // A decoder that panics has met a picture that is not one.
        let picture = work.await.unwrap_or(Err(Refusal::Broken));
        Ok(picture?)
    }
}
