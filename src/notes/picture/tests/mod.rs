//! Good pictures come out upright and bare, bad ones not at all, and none takes the process along.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::{Duration, Instant};

use image::{GenericImageView, ImageFormat, Rgba, RgbaImage};

use super::*;

mod bad;
mod files;

use files::*;

fn cleaned(file: Vec<u8>) -> (Picture, DynamicImage) {
    let picture = clean(file.into()).unwrap();
    let format = ImageFormat::from_mime_type(picture.content_type).unwrap();
    let image = image::load_from_memory_with_format(&picture.bytes, format).unwrap();
    assert_eq!(image.dimensions(), (picture.width, picture.height));
    (picture, image)
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

fn assert_bare(name: &str, picture: &Picture) {
    for text in [&b"PK\x03\x04"[..], b"<script", b"%PDF", b"<?php", b"GPS N", b"Exif", b"eXIf", b"EXIF"] {
        assert!(!holds(&picture.bytes, text), "{name}: {}", String::from_utf8_lossy(text));
    }
}

/// How far two pictures are apart, in the mean.
fn distance(one: &DynamicImage, other: &DynamicImage) -> f64 {
    assert_eq!(one.dimensions(), other.dimensions());
    let (one, other) = (one.to_rgba8(), other.to_rgba8());
    let sum: f64 = one.iter().zip(other.iter()).map(|(one, other)| f64::from(one.abs_diff(*other))).sum();
    sum / one.len() as f64
}

#[test]
fn the_four_types_come_out_as_two() {
    let types = [("image/png", png()), ("image/jpeg", jpeg()), ("image/png", webp()), ("image/png", gif())];
    for (content_type, file) in types {
        let before = image::load_from_memory(&file).unwrap();
        let (picture, image) = cleaned(file);
        assert_eq!(picture.content_type, content_type);
        assert!(distance(&before, &image) < 4.0);
    }
    assert_eq!(cleaned(lossy_webp()).0.content_type, "image/jpeg");
}

#[test]
fn a_picture_comes_out_upright_and_without_its_place() {
    let upright = DynamicImage::from(drawing(48, 32));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        for (orientation, inverse) in [1, 2, 3, 4, 5, 8, 7, 6].into_iter().enumerate() {
            let mut turned = upright.clone();
            turned.apply_orientation(image::metadata::Orientation::from_exif(inverse).unwrap());
            let file = with_exif(format, &file(turned, format), orientation as u8 + 1);
            assert!(holds(&file, b"GPS N") && holds(&file, HIDDEN));

            let (picture, image) = cleaned(file);

            assert!(distance(&upright, &image) < 4.0, "{format:?} {}", orientation + 1);
            assert_bare("exif", &picture);
        }
    }
}

#[test]
fn transparency_and_gray_stay() {
    let clear = RgbaImage::from_fn(3_000, 10, |x, _| Rgba([250, 100, 0, if x < 1_500 { 0 } else { 255 }]));
    let gray = image::GrayImage::from_fn(60, 40, |x, y| image::Luma([(x * y % 256) as u8]));
    let deep = image::ImageBuffer::from_fn(60, 40, |x, y| image::Rgb([x as u16 * 1_000, y as u16, 65_535]));

    let (picture, image) = cleaned(file(clear, ImageFormat::Png));
    assert_eq!((picture.width, picture.height), (2_560, 9));
    assert_eq!(image.get_pixel(100, 4).0[3], 0);
    assert_eq!(image.get_pixel(2_000, 4), Rgba([250, 100, 0, 255]));
    let edge = image.get_pixel(1_280, 4);
    assert!(edge.0[3] == 255 || edge.0[..3] == [250, 100, 0], "no dark fringe: {edge:?}");

    let (_, image) = cleaned(file(gray.clone(), ImageFormat::Png));
    assert_eq!(image.into_luma8(), gray);
    let (_, image) = cleaned(file(DynamicImage::ImageRgb16(deep), ImageFormat::Png));
    assert_eq!(image.get_pixel(50, 39), Rgba([195, 0, 255, 255]));
}

#[test]
fn a_large_picture_is_scaled_down() {
    for (width, height) in [(3_001, 999), (999, 3_001), (16_384, 1), (2_561, 640)] {
        let large = drawing(width, height);
        let small = image::imageops::thumbnail(&large, 100.min(width), 100.min(height));
        let (picture, image) = cleaned(file(large, ImageFormat::Png));

        assert_eq!(picture.width.max(picture.height), 2_560);
        let image = image::imageops::thumbnail(&image, 100.min(width), 100.min(height));
        assert!(distance(&small.into(), &image.into()) < 3.0, "{width} by {height}");

        let preview = preview(picture.bytes.into()).unwrap();
        assert_eq!(preview.width.max(preview.height), 320);
        assert_eq!(preview.content_type, "image/png");
    }
}

#[test]
fn what_is_hidden_does_not_come_out() {
    let comment = [&[HIDDEN.len() as u8], HIDDEN, &[0]].concat();
    let gif = gif();
    let mut hiding = vec![
        ("png text", png_with(&png(), &png_chunk(b"tEXt", HIDDEN))),
        ("png chunk", png_with(&png(), &png_chunk(b"heLo", HIDDEN))),
        ("jpeg comment", jpeg_with(&jpeg(), 0xfe, HIDDEN)),
        ("jpeg application", jpeg_with(&jpeg(), 0xed, HIDDEN)),
        ("gif comment", [&gif[..gif.len() - 1], b"\x21\xfe", &comment, b"\x3b"].concat()),
        ("webp chunk", riff(&[&webp()[12..], &riff_chunk(b"heLo", HIDDEN)].concat())),
    ];
    hiding.extend(whole().map(|(name, file)| (name, [&file, HIDDEN].concat())));
    for (name, file) in hiding {
        assert!(holds(&file, HIDDEN));
        assert_bare(name, &cleaned(file).0);
    }
}

#[test]
fn only_what_makes_a_png_is_decoded() {
    let hiding = png_with(&png(), &[png_chunk(b"tEXt", HIDDEN), png_chunk(b"iCCP", HIDDEN)].concat());

    let essence = header::essence(&[&hiding, HIDDEN].concat());

    assert_eq!(essence, header::essence(&png()));
    assert!(!holds(&essence.unwrap(), HIDDEN));
}

/// What comes out, and the shortest of the times it took: others use the machine, too.
fn timed(file: Vec<u8>) -> (Result<Picture, Refusal>, Duration) {
    let file = Bytes::from(file);
    let runs = (0..3).map(|_| {
        let before = Instant::now();
        (clean(file.clone()), before.elapsed())
    });
    runs.min_by_key(|(_, took)| *took).unwrap()
}

#[test]
fn what_is_not_looked_at_costs_nothing() {
    let profile = [b"icc\0\0", &deflated()[..]].concat();
    let text = [b"text\0\0", &deflated()[..]].concat();
    let texts = png_chunk(b"tEXt", b"k\0").repeat(100_000);
    let bombs = [
        ("profile", png_with(&png(), &png_chunk(b"iCCP", &profile))),
        ("text", png_with(&png(), &png_chunk(b"zTXt", &text))),
        ("texts", png_with(&png(), &texts)),
        ("frames", gif_of(10_000)),
    ];
    for (name, file) in bombs {
        let (picture, took) = timed(file);
        assert!(picture.is_ok(), "{name}");
        assert!(took < Duration::from_millis(200), "{name}: {took:?}");
    }
}

#[test]
fn bad_pictures_are_refused_at_once() {
    let files = bad::files();
    assert!(files.len() >= 60);
    for (name, file, refusal) in files {
        let (picture, took) = timed(file);
        assert_eq!(picture.map(drop), Err(refusal), "{name}");
        assert!(took < Duration::from_millis(200), "{name}: {took:?}");
    }
}

#[test]
fn no_mutation_panics_or_takes_long() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let mut files: Vec<_> = whole().into_iter().map(|(_, file)| file).collect();
    files.extend([lossy_webp(), with_exif(ImageFormat::WebP, &webp(), 6), gif_of(3)]);
    for round in 0..4_000 {
        let mut file = files[round % files.len()].clone();
        for _ in 0..=random(8) {
            let at = random(file.len());
            match random(4) {
                0 => file[at] ^= 1 << random(8),
                1 => file[at] = [0, 1, 0x7f, 0x80, 0xff][random(5)],
                2 => drop(file.drain(at..file.len().min(at + random(6)))),
                _ => file.insert(at, random(256) as u8),
            }
        }
        let before = Instant::now();
        let _ = clean(file.into());
        assert!(before.elapsed() < Duration::from_secs(2), "round {round}");
    }
}

#[tokio::test]
async fn so_many_have_a_place_and_no_more() {
    let pictures = Pictures::default();
    let places: Vec<_> = (0..PLACES).map(|_| pictures.place().unwrap()).collect();
    assert!(matches!(pictures.place(), Err(Problem::Busy)));

    let work = places.into_iter().map(|place| place.clean(jpeg().into()));
    for picture in futures_util::future::join_all(work).await {
        assert_eq!(picture.unwrap().content_type, "image/jpeg");
    }

    let refusal = pictures.place().unwrap().clean("<svg/>".into()).await;
    assert!(matches!(refusal, Err(Problem::UnsupportedMediaType(_))));
}
