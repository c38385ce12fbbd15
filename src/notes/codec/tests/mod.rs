//! Valid images are normalized and keep their colors, invalid ones are rejected, and none harms the process.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::{Duration, Instant};

use image::{GenericImageView, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

mod bad;
mod samples;

use samples::*;

fn normalized(bytes: Vec<u8>) -> (Image, DynamicImage) {
    let image = render(bytes.into(), FULL).unwrap();
    let format = ImageFormat::from_mime_type(image.content_type).unwrap();
    let decoded = image::load_from_memory_with_format(&image.bytes, format).unwrap();
    assert_eq!(decoded.dimensions(), (image.width, image.height));
    (image, decoded)
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

fn assert_bare(name: &str, image: &Image) {
    let texts: [&[u8]; 11] = [
        b"PK\x03\x04",
        b"<script",
        b"%PDF",
        b"<?php",
        b"GPS N",
        b"Exif",
        b"eXIf",
        b"EXIF",
        b"iCCP",
        b"ICC_PROFILE",
        b"acsp",
    ];
    for text in texts {
        assert!(!holds(&image.bytes, text), "{name}: {}", String::from_utf8_lossy(text));
    }
}

/// How far two images are apart, in the mean.
fn distance(one: &DynamicImage, other: &DynamicImage) -> f64 {
    assert_eq!(one.dimensions(), other.dimensions());
    let (one, other) = (one.to_rgba8(), other.to_rgba8());
    let sum: f64 = one.iter().zip(other.iter()).map(|(one, other)| f64::from(one.abs_diff(*other))).sum();
    sum / one.len() as f64
}

#[test]
fn the_four_types_come_out_as_two() {
    let types = [("image/png", png()), ("image/jpeg", jpeg()), ("image/jpeg", webp()), ("image/png", gif())];
    for (content_type, bytes) in types {
        let before = image::load_from_memory(&bytes).unwrap();
        let (image, after) = normalized(bytes);
        assert_eq!(image.content_type, content_type);
        assert!(distance(&before, &after) < 4.0);
    }
    assert_eq!(normalized(lossy_webp()).0.content_type, "image/jpeg");
}

#[test]
fn an_image_comes_out_upright_and_without_its_location() {
    let upright = DynamicImage::from(drawing(48, 32));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        for (orientation, inverse) in [1, 2, 3, 4, 5, 8, 7, 6].into_iter().enumerate() {
            let mut turned = upright.clone();
            turned.apply_orientation(image::metadata::Orientation::from_exif(inverse).unwrap());
            let bytes = with_exif(format, &encoded(turned, format), orientation as u8 + 1);
            assert!(holds(&bytes, b"GPS N") && holds(&bytes, HIDDEN));

            let (image, decoded) = normalized(bytes);

            assert!(distance(&upright, &decoded) < 4.0, "{format:?} {}", orientation + 1);
            assert_bare("exif", &image);
        }
    }
}

fn with_profile(mut encoder: impl ImageEncoder, image: &RgbImage, profile: &[u8]) {
    encoder.set_icc_profile(profile.to_vec()).unwrap();
    encoder.write_image(image, image.width(), image.height(), image::ExtendedColorType::Rgb8).unwrap();
}

/// The profile of Display P3.
fn wide() -> Vec<u8> {
    ColorProfile::new_display_p3().encode().unwrap()
}

/// The image in the three types that have profiles.
fn profiled(image: &RgbImage, profile: &[u8]) -> [Vec<u8>; 3] {
    let [mut png, mut jpeg, mut webp] = [const { Vec::new() }; 3];
    with_profile(PngEncoder::new(&mut png), image, profile);
    with_profile(JpegEncoder::new_with_quality(&mut jpeg, 100), image, profile);
    with_profile(image::codecs::webp::WebPEncoder::new_lossless(&mut webp), image, profile);
    [png, jpeg, webp]
}

#[test]
fn the_colors_of_a_wide_gamut_stay_without_their_profile() {
    // Of Display P3, and the same of sRGB, as the definitions of the two have it.
    for (p3, srgb) in [([200, 100, 60], [215, 93, 47]), ([90, 180, 100], [41, 183, 90]), ([60, 80, 200], [54, 81, 207])]
    {
        let (p3, srgb) = (RgbImage::from_pixel(48, 32, Rgb(p3)), RgbImage::from_pixel(48, 32, Rgb(srgb)));
        for bytes in profiled(&p3, &wide()) {
            let (image, decoded) = normalized(bytes);
            assert!(distance(&srgb.clone().into(), &decoded) < 2.0, "{:?}", decoded.get_pixel(8, 8));
            assert_bare("profile", &image);
        }
    }
}

#[test]
fn a_profile_that_does_not_fit_changes_nothing() {
    let image = drawing(48, 32);
    let (mut garbled, mut large) = (wide(), wide());
    garbled[36..76].fill(0xff);
    large.resize(2 << 20, 0);
    let gray = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    for profile in [garbled, large, gray] {
        for bytes in profiled(&image, &profile) {
            assert!(distance(&image.clone().into(), &normalized(bytes).1) < 4.0);
        }
    }
}

#[test]
fn transparency_stays_and_depth_becomes_eight_bits() {
    let clear = RgbaImage::from_fn(3_000, 10, |x, _| Rgba([250, 100, 0, if x < 1_500 { 0 } else { 255 }]));
    let gray = image::GrayImage::from_fn(60, 40, |x, y| image::Luma([(x * y % 256) as u8]));
    let deep = image::ImageBuffer::from_fn(60, 40, |x, y| Rgb([x as u16 * 1_000, y as u16, 65_535]));

    let (image, decoded) = normalized(encoded(clear, ImageFormat::Png));
    assert_eq!((image.width, image.height), (2_560, 9));
    assert_eq!(decoded.get_pixel(100, 4).0[3], 0);
    assert_eq!(decoded.get_pixel(2_000, 4), Rgba([250, 100, 0, 255]));

    let (_, decoded) = normalized(encoded(gray.clone(), ImageFormat::Png));
    assert_eq!(decoded.into_luma8(), gray);
    let (_, decoded) = normalized(encoded(DynamicImage::ImageRgb16(deep), ImageFormat::Png));
    assert_eq!(decoded.color(), image::ColorType::Rgb8);
    assert_eq!(decoded.get_pixel(50, 39), Rgba([195, 0, 255, 255]));
}

#[test]
fn a_large_image_is_scaled_down() {
    for (width, height) in [(3_001, 999), (999, 3_001), (16_384, 1), (2_561, 640)] {
        let large = drawing(width, height);
        let small = image::imageops::thumbnail(&large, 100.min(width), 100.min(height));
        let (image, decoded) = normalized(encoded(large, ImageFormat::Png));

        assert_eq!(image.width.max(image.height), 2_560);
        let decoded = image::imageops::thumbnail(&decoded, 100.min(width), 100.min(height));
        assert!(distance(&small.into(), &decoded.into()) < 3.0, "{width} by {height}");

        let preview = render(image.bytes.into(), PREVIEW).unwrap();
        assert_eq!(preview.width.max(preview.height), 320);
        assert_eq!(preview.content_type, "image/png");
    }
}

#[test]
fn what_is_hidden_does_not_come_out() {
    let comment = [&[HIDDEN.len() as u8], HIDDEN, &[0]].concat();
    let gif = gif();
    let mut hiding = vec![
        ("png text", png_with(&png(), &png_chunk(b"tEXt", &[b"Comment\0", HIDDEN].concat()))),
        ("png chunk", png_with(&png(), &png_chunk(b"heLo", HIDDEN))),
        ("jpeg comment", jpeg_with(&jpeg(), 0xfe, HIDDEN)),
        ("jpeg application", jpeg_with(&jpeg(), 0xed, HIDDEN)),
        ("jpeg profile", jpeg_with(&jpeg(), 0xe2, &[b"ICC_PROFILE\0\x01\x01", HIDDEN].concat())),
        ("gif comment", [&gif[..gif.len() - 1], b"\x21\xfe", &comment, b"\x3b"].concat()),
        ("webp chunk", riff(&[&webp()[12..], &riff_chunk(b"heLo", HIDDEN)].concat())),
    ];
    hiding.extend(samples().map(|(name, bytes)| (name, [&bytes, HIDDEN].concat())));
    hiding.push(("webp exif", [&with_exif(ImageFormat::WebP, &webp(), 1), HIDDEN].concat()));
    for (name, bytes) in hiding {
        assert!(holds(&bytes, HIDDEN));
        assert_bare(name, &normalized(bytes).0);
    }
}

#[test]
fn what_does_not_show_does_no_harm() {
    for (name, bytes) in bad::harmless() {
        assert!(render(bytes.into(), FULL).is_ok(), "{name}");
    }
}

#[test]
fn bad_images_are_rejected() {
    let images = bad::images();
    assert!(images.len() >= 60);
    for (name, bytes, rejection) in images {
        assert_eq!(render(bytes.into(), FULL).map(drop), Err(rejection), "{name}");
    }
}

#[test]
fn no_mutation_panics_or_hangs() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let mut images: Vec<_> = samples().into_iter().map(|(_, bytes)| bytes).collect();
    images.extend([lossy_webp(), with_exif(ImageFormat::WebP, &webp(), 6), gif_of(3), jpeg_of(0xc2, 64, 48, 3)]);
    images.extend(profiled(&drawing(8, 8), &wide()));
    for round in 0..4_000 {
        let mut bytes = images[round % images.len()].clone();
        for _ in 0..=random(8) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random(5)],
                2 => drop(bytes.drain(at..bytes.len().min(at + random(6)))),
                _ => bytes.insert(at, random(256) as u8),
            }
        }
        let before = Instant::now();
        let _ = render(bytes.into(), FULL);
        assert!(before.elapsed() < Duration::from_secs(20), "round {round}");
    }
}

#[tokio::test]
async fn an_image_keeps_its_room_and_one_upload_may_exceed_the_memory() {
    let (mut room, mut exceeding, mut waiting) = (Room::default(), Room::default(), Room::default());
    room.grow(MAX_HELD).await;
    let image = normalize(jpeg().into(), FULL, room).await.unwrap();
    assert_eq!(image.content_type, "image/jpeg");
    exceeding.grow(1).await;
    let mut waits = Box::pin(waiting.grow(1));
    assert!(futures_util::poll!(&mut waits).is_pending());

    let rejected = normalize("<svg/>".into(), FULL, exceeding).await;
    assert_eq!(rejected.map(drop), Err(Rejection::NotAnImage));
    waits.await;

    drop(image);
    Room::default().grow(MAX_HELD).await;
    assert_eq!(HELD.available_permits(), MAX_HELD);
}
