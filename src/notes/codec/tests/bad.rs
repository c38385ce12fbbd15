//! What must be rejected, each for its own reason.

use super::Rejection::{self, Cmyk, Damaged, NotAnImage, TooLarge, TooLossless};
use super::samples::*;

/// A name, an image, and its rejection.
pub fn images() -> Vec<(String, Vec<u8>, Rejection)> {
    let mut images = other_types();
    images.extend(truncated());
    images.extend(damaged());
    images.extend(bombs());
    images
}

/// Images with much in them that does not show.
pub fn harmless() -> [(&'static str, Vec<u8>); 5] {
    let profile = [b"icc\0\0", &deflated()[..]].concat();
    let text = [b"text\0\0", &deflated()[..]].concat();
    [
        ("profile", png_with(&png(), &png_chunk(b"iCCP", &profile))),
        ("text", png_with(&png(), &png_chunk(b"zTXt", &text))),
        ("texts", png_with(&png(), &png_chunk(b"tEXt", b"k\0").repeat(100_000))),
        ("frames", gif_of(10_000)),
        ("progressive", jpeg_of(0xc2, 800, 600, 3)),
    ]
}

fn other_types() -> Vec<(String, Vec<u8>, Rejection)> {
    let types: [(&str, &[u8]); 20] = [
        ("empty", b""),
        ("one byte", b"\x89"),
        ("text", b"hello"),
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
        ("xml", b"<?xml version='1.0'?><svg/>"),
        ("html", b"<!doctype html><script>alert(1)</script>"),
        ("heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("avif", b"\0\0\0\x1cftypavif\0\0\0\0avifmif1"),
        ("tiff", b"II*\0\x08\0\0\0"),
        ("big tiff", b"MM\0*\0\0\0\x08"),
        ("pdf", b"%PDF-1.7\n"),
        ("bmp", b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0"),
        ("ico", b"\0\0\x01\0\x01\0\x10\x10"),
        ("psd", b"8BPS\0\x01"),
        ("zip", b"PK\x03\x04\x14\0"),
        ("jpeg xl", b"\xff\x0a\0\0"),
        ("jpeg 2000", b"\0\0\0\x0cjP  \r\n\x87\n"),
        ("wave", b"RIFF\x24\0\0\0WAVEfmt "),
        ("gif of another version", b"GIF90a\x01\0\x01\0\0\0\0;"),
        ("png with its newlines turned", b"\x89PNG\n\x1a\n\0\0\0\rIHDR"),
    ];
    types.map(|(name, bytes)| (name.to_owned(), bytes.to_vec(), NotAnImage)).into()
}

/// Each type at many offsets, past its magic bytes.
fn truncated() -> Vec<(String, Vec<u8>, Rejection)> {
    let truncated = samples().into_iter().flat_map(|(name, bytes)| {
        (0..16).map(move |part| {
            let end = 12 + part * (bytes.len() - 16) / 16;
            (format!("{name} truncated to {end}"), bytes[..end].to_vec(), Damaged)
        })
    });
    truncated.collect()
}

fn damaged() -> Vec<(String, Vec<u8>, Rejection)> {
    let changed = |mut image: Vec<u8>, at: usize, bytes: &[u8]| {
        image[at..at + bytes.len()].copy_from_slice(bytes);
        image
    };
    let (png, jpeg, webp, gif) = (png(), jpeg(), webp(), gif());
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let data = png.windows(4).position(|name| name == b"IDAT").unwrap();
    let huge = changed(with_exif(image::ImageFormat::WebP, &webp, 1), 34, &[0xff; 4]);
    let webp_frame = riff_chunk(b"VP8X", &[0, 0, 0, 0, 47, 0, 0, 31, 0, 0]);
    let animation = riff(&riff_chunk(b"VP8X", &[2, 0, 0, 0, 9, 0, 0, 9, 0, 0]));
    let images = [
        ("png of no width", png_of(0, 5, 8, 2)),
        ("png of no height", png_of(5, 0, 8, 2)),
        ("png of an odd depth", png_of(5, 5, 3, 2)),
        ("png of no color type", png_of(5, 5, 8, 5)),
        ("png without data", png_of(5, 5, 8, 2)),
        ("png of a palette without one", png_of(5, 5, 8, 3)),
        ("png whose header does not come first", png_with(&png[..8].repeat(5), &png[8..])),
        ("png of a wrong checksum in its header", changed(png.clone(), 29, &[1, 2, 3, 4])),
        ("png of a wrong checksum in its data", changed(png.clone(), png.len() - 16, &[1, 2, 3, 4])),
        ("png of wrong data", changed(png.clone(), data + 4, &[0xff; 8])),
        ("png of an endless chunk", changed(png.clone(), data - 4, &[0xff; 4])),
        ("jpeg of no width", changed(jpeg.clone(), frame + 7, &[0, 0])),
        ("jpeg of no height", changed(jpeg.clone(), frame + 5, &[0, 0])),
        ("lossless jpeg", changed(jpeg.clone(), frame + 1, &[0xc3])),
        ("jpeg of twelve bits", changed(jpeg.clone(), frame + 4, &[12])),
        ("jpeg of two frames", [&jpeg[..frame], &jpeg[frame..frame + 19], &jpeg[frame..]].concat()),
        ("jpeg without a frame", [&jpeg[..frame], &jpeg[frame + 19..]].concat()),
        ("jpeg of sampling zero", changed(jpeg.clone(), frame + 11, &[0])),
        ("jpeg of nothing", b"\xff\xd8\xff\xd9".to_vec()),
        ("jpeg of padding", [&[0xff, 0xd8][..], &[0xff; 5_000]].concat()),
        ("webp of another chunk", changed(webp.clone(), 12, b"VP8Z")),
        ("webp of an endless chunk", huge),
        ("webp of a wrong signature", changed(webp.clone(), 20, &[0])),
        ("webp of wrong data", changed(webp.clone(), 26, &[0xff; 12])),
        ("webp animated without a frame", animation),
        ("webp whose image follows its end", [&riff(&webp_frame), &webp[12..]].concat()),
        ("gif of no size", changed(gif.clone(), 6, &[0; 4])),
        ("gif without a frame", [&gif[..13], b";"].concat()),
        ("gif of wrong data", changed(gif.clone(), gif.len() - 40, &[0xff; 20])),
    ];
    images.map(|(name, bytes)| (name.to_owned(), bytes, Damaged)).into()
}

fn bombs() -> Vec<(String, Vec<u8>, Rejection)> {
    let mut gif_frame = gif_of(1);
    let descriptor = gif_frame.windows(5).position(|bytes| bytes == [0x2c, 0, 0, 0, 0]).unwrap();
    gif_frame[descriptor + 5..descriptor + 9].fill(0xff);
    let mut gif_screen = gif_of(1);
    gif_screen[6..10].fill(0xff);
    let mut large_jpeg = jpeg();
    let frame = large_jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    large_jpeg[frame + 5..frame + 9].fill(0xff);
    let webp_sides = riff_chunk(b"VP8X", &[0, 0, 0, 0, 0xff, 0x3f, 0, 0xff, 0x3f, 0]);
    let webp_large = riff(&[&webp_sides, &webp()[12..]].concat());
    // 5 MB of code tables for one pixel.
    let webp = riff(&riff_chunk(b"VP8L", &[b"\x2f\0\0\0\0", &[0x55; 5_000_000][..]].concat()));
    let webp_canvas = riff(&riff_chunk(b"VP8X", &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    let images = [
        ("png of 50,000 by 50,000", png_of(50_000, 50_000, 1, 0), TooLarge),
        ("png of 2^31 by 2^31", png_of(1 << 31, 1 << 31, 8, 6), TooLarge),
        ("png one pixel too wide", png_of(16_385, 1, 8, 2), TooLarge),
        ("png of 33 megapixels", png_of(6_600, 5_000, 8, 2), TooLarge),
        ("png of 16 bits and 12 megapixels", png_of(4_000, 3_000, 16, 6), TooLarge),
        ("jpeg of 65,535 by 65,535", large_jpeg, TooLarge),
        ("jpeg of 16,000 by 16,000", jpeg_of(0xc0, 16_000, 16_000, 1), TooLarge),
        ("progressive jpeg of 16 megapixels", jpeg_of(0xc2, 4_000, 4_000, 3), TooLarge),
        ("jpeg of CMYK", jpeg_of(0xc0, 48, 32, 4), Cmyk),
        ("progressive jpeg of CMYK", jpeg_of(0xc2, 48, 32, 4), Cmyk),
        ("webp of code tables", webp, TooLossless),
        ("webp of 2^24 by 2^24", webp_canvas, Damaged),
        ("webp of 16,384 by 16,384", webp_large, TooLarge),
        ("gif of a large screen", gif_screen, TooLarge),
        ("gif of a large frame", gif_frame, TooLarge),
    ];
    images.map(|(name, bytes, rejection)| (name.to_owned(), bytes, rejection)).into()
}
