//! Untrusted images: recognized by their bytes, decoded within limits and encoded again. The output is upright, in
//! sRGB, and has no metadata. JPEG and WebP without an alpha channel become JPEG, everything else becomes PNG; an
//! animation becomes its first frame.

use std::io::Cursor;

use axum::body::Bytes;
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, ImageResult, Limits};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};
use tokio::sync::{Semaphore, SemaphorePermit};

#[cfg(test)]
mod tests;

/// The maximum size of an upload, in bytes.
pub const MAX_BYTES: usize = 10 << 20;
/// The longest side of an image, in pixels.
pub const FULL: u32 = 2_560;
/// The longest side of a preview, in pixels.
pub const PREVIEW: u32 = 320;
const MAX_SIDE: u32 = 16_384;
const MAX_PROFILE: usize = 1 << 20;
/// The memory to decode one image, in bytes. Measured: a progressive JPEG of 12 megapixels needs 103 MiB, a baseline
/// one of 24 megapixels 77; ten uploads at once need at most 138 MiB more than an idle `web`, [`MAX_HELD`] included.
const MAX_MEMORY: u64 = 110 << 20;
/// The memory for uploads that arrive, wait, or are being stored, in bytes; one more upload may exceed it.
const MAX_HELD: usize = 14 << 20;

// Statics, as they limit the memory of this process, and hold no state of a service.
static HELD: Semaphore = Semaphore::const_new(MAX_HELD);
static EXCEEDING: Semaphore = Semaphore::const_new(1);
static DECODING: Semaphore = Semaphore::const_new(1);

/// Why an image is rejected, as a message for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "its sentence documents a variant")]
pub enum Rejection {
    #[error("The content is not a PNG, JPEG, WebP or GIF image.")]
    NotAnImage,
    #[error(
        "must have at most 30 megapixels and 16,384 pixels on a side: \
         12 as a progressive JPEG, and fewer if it is transparent, animated or of 16 bits"
    )]
    TooLarge,
    #[error("is a lossless WebP that is too large: please send it as PNG")]
    TooLossless,
    #[error("is a CMYK image: please send it in RGB")]
    Cmyk,
    #[error("is damaged or incomplete")]
    Damaged,
}

impl From<ImageError> for Rejection {
    fn from(error: ImageError) -> Self {
        if matches!(error, ImageError::Limits(_)) { Self::TooLarge } else { Self::Damaged }
    }
}

/// An image that is safe to store and to show.
#[derive(Debug)]
pub struct Image {
    /// `image/jpeg` or `image/png`.
    pub content_type: &'static str,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The encoded image.
    pub bytes: Vec<u8>,
    /// Released with the bytes.
    _room: Room,
}

/// Room for an image in memory, until it is dropped.
#[derive(Debug, Default)]
pub struct Room {
    permits: Vec<SemaphorePermit<'static>>,
    exceeding: Option<SemaphorePermit<'static>>,
}

impl Room {
    /// Makes room for more bytes. Uploads that wait for room hold what they have; so one of them at a time may exceed
    /// the memory, and completes.
    pub async fn grow(&mut self, bytes: usize) {
        if self.exceeding.is_none() {
            match HELD.try_acquire_many(bytes as u32) {
                Ok(permit) => self.permits.push(permit),
                Err(_) => self.exceeding = EXCEEDING.acquire().await.ok(),
            }
        }
    }
}

/// Decodes and encodes an image, with its longer side scaled down to `longest`. Errors: the image is rejected.
pub async fn normalize(bytes: Bytes, longest: u32, room: Room) -> Result<Image, Rejection> {
    let decoding = DECODING.acquire().await.expect("this semaphore is never closed");
    // Moves the permits: the work runs on when the request is dropped.
    let work = tokio::task::spawn_blocking(move || {
        let _decoding = decoding;
        render(bytes, longest).map(|image| Image { _room: room, ..image })
    });
    // A decoder that panics has a damaged image.
    work.await.unwrap_or(Err(Rejection::Damaged))
}

fn render(bytes: Bytes, longest: u32) -> Result<Image, Rejection> {
    let format = image::guess_format(&bytes).map_err(|_| Rejection::NotAnImage)?;
    let image = decode(bytes, format, longest)?;
    let jpeg = matches!(format, ImageFormat::Jpeg | ImageFormat::WebP) && !image.color().has_alpha();
    Ok(encode(&image, jpeg)?)
}

fn decode(mut bytes: Bytes, format: ImageFormat, longest: u32) -> Result<DynamicImage, Rejection> {
    // What decoding needs beside the decoded pixels: bytes per pixel, and bytes of code tables.
    let (per_pixel, tables) = match format {
        ImageFormat::Png => (0, 0),
        ImageFormat::Gif => (4, 0),
        ImageFormat::Jpeg => (jpeg_cost(&bytes)?, 0),
        ImageFormat::WebP => webp_cost(&mut bytes).ok_or(Rejection::Damaged)?,
        _ => return Err(Rejection::NotAnImage),
    };
    let mut limits = Limits::no_limits();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    // The limit of a PNG's texts and profile.
    limits.max_alloc = Some(MAX_BYTES as u64);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;

    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let scaled = pixels.min(u64::from(longest).pow(2)) * u64::from(decoder.color_type().bytes_per_pixel());
    let memory = decoder.total_bytes() + scaled.max(pixels * per_pixel);
    match pixels {
        0 => return Err(Rejection::Damaged),
        _ if memory > MAX_MEMORY => return Err(Rejection::TooLarge),
        _ if memory + tables > MAX_MEMORY => return Err(Rejection::TooLossless),
        _ => {}
    }
    // A GIF's frame, which is then drawn on the canvas.
    limits.max_alloc = Some(decoder.total_bytes());
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation()?;
    let profile = decoder.icc_profile()?.filter(|profile| profile.len() <= MAX_PROFILE);

    let mut image = DynamicImage::from_decoder(decoder)?;
    if width.max(height) > longest {
        image = image.thumbnail(longest, longest);
    }
    image = if image.color().has_alpha() { image.into_rgba8().into() } else { image.into_rgb8().into() };
    profile.and_then(|profile| to_srgb(&mut image, &profile));
    image.apply_orientation(orientation);
    Ok(image)
}

/// Converts colors from their profile to sRGB. None: the profile is not supported, and the colors stay.
fn to_srgb(image: &mut DynamicImage, profile: &[u8]) -> Option<()> {
    // RGB only: moxcms would accept a CMYK profile for the four channels of RGBA.
    let profile = ColorProfile::new_from_slice(profile).ok().filter(|it| it.color_space == DataColorSpace::Rgb)?;
    let (layout, samples): (_, &mut [u8]) = match image {
        DynamicImage::ImageRgb8(image) => (Layout::Rgb, image),
        DynamicImage::ImageRgba8(image) => (Layout::Rgba, image),
        _ => return None,
    };
    let (srgb, options) = (ColorProfile::new_srgb(), TransformOptions::default());
    let transform = profile.create_transform_8bit(layout, &srgb, layout, options).ok()?;
    let colors = samples.to_vec();
    transform.transform(&colors, samples).ok()
}

/// Encodes a trusted image as JPEG. Errors: it cannot be encoded.
pub fn to_jpeg(image: &DynamicImage) -> Result<Image, Rejection> {
    Ok(encode(image, true)?)
}

fn encode(image: &DynamicImage, jpeg: bool) -> ImageResult<Image> {
    let (mut bytes, content_type) = (Vec::new(), if jpeg { "image/jpeg" } else { "image/png" });
    if jpeg {
        image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 85))?;
    } else {
        image.write_with_encoder(PngEncoder::new(&mut bytes))?;
    }
    Ok(Image { content_type, width: image.width(), height: image.height(), bytes, _room: Room::default() })
}

/// The bytes per pixel that the decoder keeps until the last scan of a JPEG with several. Errors: it is CMYK, or
/// truncated, which the decoder would accept and fill with gray.
fn jpeg_cost(bytes: &[u8]) -> Result<u64, Rejection> {
    let (mut rest, mut components, mut progressive) = (bytes.get(2..).unwrap_or_default(), 0, false);
    while let [0xff, marker, high, low, segment @ ..] = rest {
        match marker {
            // Padding.
            0xff => {
                rest = &rest[1..];
                continue;
            }
            0xc0..=0xc2 if components == 0 => {
                progressive = *marker == 0xc2;
                components = segment.get(5).copied().unwrap_or(0);
            }
            0xda if components == 4 => return Err(Rejection::Cmyk),
            0xda => {
                let whole = segment.windows(2).rev().any(|pair| pair == [0xff, 0xd9]);
                let one_scan = !progressive && segment.first() == Some(&components);
                return if whole { Ok(if one_scan { 0 } else { 6 }) } else { Err(Rejection::Damaged) };
            }
            0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe => {}
            _ => break,
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = segment.get(length.saturating_sub(2)..).unwrap_or_default();
    }
    Err(Rejection::Damaged)
}

/// The bytes per pixel that the decoder needs for a WebP's planes and frames, and the bytes of its code tables: up to
/// 360 per byte of lossless data. Removes the data after the image, which the decoder would read. None: it is
/// truncated.
fn webp_cost(bytes: &mut Bytes) -> Option<(u64, u64)> {
    let length = |bytes: &[u8], at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let end = length(bytes, 4)?.checked_add(8).filter(|end| *end <= bytes.len())?;
    bytes.truncate(end);
    let (mut at, mut per_pixel, mut lossless) = (12, 4, 0);
    while at < end {
        let size = length(bytes, at + 4)?;
        let (name, body) = (bytes.get(at..at + 4)?, bytes.get(at + 8..at + 8 + size)?);
        match name {
            b"VP8L" => lossless = lossless.max(size),
            b"ALPH" => (per_pixel, lossless) = (per_pixel.max(7), lossless.max(size)),
            b"ANMF" if body.get(16..20)? == b"VP8 " => per_pixel = 9,
            b"ANMF" => (per_pixel, lossless) = (9, lossless.max(size)),
            _ => {}
        }
        at += 8 + size + size % 2;
    }
    Some((per_pixel, 360 * lossless as u64))
}
