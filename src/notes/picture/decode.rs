//! From a file to pixels, no more of them than asked for. The decoders get what [`header`](super::header) has
//! bounded, and of that only what makes the picture.

use std::io::Cursor;

use axum::body::Bytes;
use image::codecs::{gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::error::{LimitError, LimitErrorKind};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageResult, Limits};

use super::header::{Header, Kind, essence};
use super::pixels::Pixels;

/// Lines and tables of a PNG; its pixels are not counted.
const PNG_MEMORY: u64 = 4 << 20;

/// The picture as it is to be looked at, its longer side at most so long.
/// Errors: a picture that is damaged, or is not as large as its header says.
pub fn upright(bytes: Bytes, header: &Header, longest: u32) -> ImageResult<DynamicImage> {
    let mut limits = Limits::no_limits();
    (limits.max_image_width, limits.max_image_height) = (Some(header.width), Some(header.height));
    limits.max_alloc = Some(header.memory);
    let (mut pixels, orientation) = match header.kind {
        Kind::Png => {
            limits.max_alloc = Some(PNG_MEMORY);
            let essence = essence(&bytes).ok_or_else(too_large)?;
            drop(bytes);
            decode(PngDecoder::with_limits(Cursor::new(essence), limits)?, header)?
        }
        // It copies the file; the file itself is gone with the cursor.
        Kind::Jpeg => decode(JpegDecoder::new(Cursor::new(bytes))?, header)?,
        Kind::WebP => {
            let decoder = WebPDecoder::new(Cursor::new(bytes.slice(..header.end)))?;
            (Pixels::decode(checked(decoder, header)?)?, header.orientation)
        }
        Kind::Gif => {
            let mut decoder = GifDecoder::new(Cursor::new(bytes))?;
            decoder.set_limits(limits)?;
            (Pixels::decode(checked(decoder, header)?)?, Orientation::NoTransforms)
        }
    };
    pixels.shrink(longest);
    let mut image = pixels.into_image().ok_or_else(too_large)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn decode(decoder: impl ImageDecoder, header: &Header) -> ImageResult<(Pixels, Orientation)> {
    let mut decoder = checked(decoder, header)?;
    let orientation = decoder.orientation()?;
    Ok((Pixels::decode(decoder)?, orientation))
}

/// The decoder, if it has understood the same as was bounded.
fn checked<D: ImageDecoder>(decoder: D, header: &Header) -> ImageResult<D> {
    let same = decoder.dimensions() == (header.width, header.height) && decoder.total_bytes() <= header.memory;
    if same { Ok(decoder) } else { Err(too_large()) }
}

fn too_large() -> ImageError {
    ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory))
}
