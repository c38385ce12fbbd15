//! Images for the tests, whole and broken, made rather than kept.

use std::io::Cursor;

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{DynamicImage, ImageFormat, RgbImage, RgbaImage};

/// Bytes that no normalized image may contain.
pub const HIDDEN: &[u8] = b"PK\x03\x04<script>alert(1)</script>%PDF-1.7<?php phpinfo();";

/// An image that no rotation or flip leaves as it is.
pub fn drawing(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (255 * x / width, 255 * y / height);
        image::Rgb([x as u8, y as u8, (x * y / 255) as u8])
    })
}

pub fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn png() -> Vec<u8> {
    encoded(drawing(48, 32), ImageFormat::Png)
}

pub fn jpeg() -> Vec<u8> {
    encoded(drawing(48, 32), ImageFormat::Jpeg)
}

pub fn webp() -> Vec<u8> {
    encoded(drawing(48, 32), ImageFormat::WebP)
}

pub fn gif() -> Vec<u8> {
    encoded(RgbaImage::from_fn(48, 32, |x, y| image::Rgba([x as u8, y as u8, 0, 255])), ImageFormat::Gif)
}

/// The smallest WebP that is lossy.
pub fn lossy_webp() -> Vec<u8> {
    STANDARD.decode("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA").unwrap()
}

/// The four types.
pub fn samples() -> [(&'static str, Vec<u8>); 4] {
    [("png", png()), ("jpeg", jpeg()), ("webp", webp()), ("gif", gif())]
}

/// The same image with a location, and something hidden.
pub fn with_exif(format: ImageFormat, bytes: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0]);
    exif.extend(b"\x25\x88\x04\0\x01\0\0\0\x26\0\0\0\0\0\0\0GPS N 51 28 38");
    exif.extend(HIDDEN);
    match format {
        ImageFormat::Png => png_with(bytes, &png_chunk(b"eXIf", &exif)),
        ImageFormat::Jpeg => jpeg_with(bytes, 0xe1, &[b"Exif\0\0", &exif[..]].concat()),
        _ => {
            let image = &bytes[12..];
            let mut sides = [0; 10];
            sides[0] = 8;
            let bits = u32::from_le_bytes(bytes[21..25].try_into().unwrap());
            sides[4..7].copy_from_slice(&(bits & 0x3fff).to_le_bytes()[..3]);
            sides[7..10].copy_from_slice(&(bits >> 14 & 0x3fff).to_le_bytes()[..3]);
            riff(&[&riff_chunk(b"VP8X", &sides), image, &riff_chunk(b"EXIF", &exif)].concat())
        }
    }
}

pub fn png_with(bytes: &[u8], chunk: &[u8]) -> Vec<u8> {
    [&bytes[..33], chunk, &bytes[33..]].concat()
}

pub fn png_chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let named = [name, body].concat();
    let crc = named.iter().fold(!0_u32, |crc, &byte| {
        let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        (0..8).fold(crc ^ u32::from(byte), step)
    });
    [&(body.len() as u32).to_be_bytes(), &named[..], &(!crc).to_be_bytes()].concat()
}

/// A PNG's frame with hardly anything in it.
pub fn png_of(width: u32, height: u32, depth: u8, color: u8) -> Vec<u8> {
    let (width, height) = (width.to_be_bytes(), height.to_be_bytes());
    let header = [&width[..], &height[..], &[depth, color, 0, 0, 0]].concat();
    let data = png_chunk(b"IDAT", b"\x78\x9c\x63\0\0\0\x01\0\x01");
    [b"\x89PNG\r\n\x1a\n", &png_chunk(b"IHDR", &header)[..], &data, &png_chunk(b"IEND", b"")].concat()
}

pub fn jpeg_with(bytes: &[u8], marker: u8, body: &[u8]) -> Vec<u8> {
    [&bytes[..2], &jpeg_segment(marker, body), &bytes[2..]].concat()
}

fn jpeg_segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xff, marker], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat()
}

/// A gray JPEG of a bit a block and channel, not subsampled; `frame` is 0xc0, or 0xc2 for a progressive one.
pub fn jpeg_of(frame: u8, width: u16, height: u16, channels: u8) -> Vec<u8> {
    let ([w1, w2], [h1, h2]) = (width.to_be_bytes(), height.to_be_bytes());
    let channel = |then: &[u8]| (0..channels).flat_map(|id| [&[id][..], then].concat()).collect::<Vec<_>>();
    // For each kind of coefficient a code of one bit for one value: no difference, and the end of the block.
    let codes = [&[1_u8][..], &[0; 16]].concat();
    let tables = [&[0_u8][..], &codes, &[0x10], &codes].concat();
    let (last, bits) = if frame == 0xc2 { (0, 1) } else { (63, 2) };
    let blocks = usize::from(width).div_ceil(8) * usize::from(height).div_ceil(8) * usize::from(channels);
    let parts = [
        vec![0xff, 0xd8],
        jpeg_segment(0xdb, &[&[0_u8][..], &[1; 64]].concat()),
        jpeg_segment(frame, &[&[8, h1, h2, w1, w2, channels][..], &channel(&[0x11, 0])].concat()),
        jpeg_segment(0xc4, &tables),
        jpeg_segment(0xda, &[&[channels][..], &channel(&[0]), &[0, last, 0]].concat()),
        vec![0; (blocks * bits).div_ceil(8)],
        vec![0xff, 0xd9],
    ];
    parts.concat()
}

pub fn riff(chunks: &[u8]) -> Vec<u8> {
    [b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes()[..], b"WEBP", chunks].concat()
}

pub fn riff_chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let padding: &[u8] = if body.len() % 2 == 1 { &[0] } else { &[] };
    [name, &(body.len() as u32).to_le_bytes()[..], body, padding].concat()
}

/// The first frame again and again.
pub fn gif_of(frames: usize) -> Vec<u8> {
    let bytes = encoded(RgbaImage::from_pixel(8, 8, image::Rgba([200, 0, 0, 255])), ImageFormat::Gif);
    let start = bytes.windows(2).position(|pair| pair == [0x21, 0xf9]).unwrap();
    let (head, frame) = bytes[..bytes.len() - 1].split_at(start);
    [head, &frame.repeat(frames), &[0x3b]].concat()
}

/// 100 MB of zeros, deflated: the pixels of a black image.
pub fn deflated() -> Vec<u8> {
    let black = encoded(image::GrayImage::new(10_000, 10_000), ImageFormat::Png);
    let (mut data, mut at) = (Vec::new(), 8);
    while at < black.len() {
        let length = u32::from_be_bytes(black[at..at + 4].try_into().unwrap()) as usize;
        if &black[at + 4..at + 8] == b"IDAT" {
            data.extend(&black[at + 8..at + 8 + length]);
        }
        at += length + 12;
    }
    data
}
