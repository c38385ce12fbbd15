//! What a picture says of itself, read from its bytes before any decoder sees them: nothing is allocated here.

use image::metadata::Orientation;

use super::Refusal;

const MAX_PIXELS: u64 = 40_000_000;
const MAX_SIDE: u32 = 16_384;
/// What decoding may take, in bytes.
const MAX_MEMORY: u64 = 160 << 20;
/// In bytes: so that a WebP's code tables take no more than a photo does.
const MAX_LOSSLESS: usize = 128 << 10;
/// The most bytes of tables that one byte makes, whatever the size of the picture.
const TABLES: u64 = 360;

/// The types that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Png,
    Jpeg,
    WebP,
    Gif,
}

/// What is known of a picture before it is decoded.
pub struct Header {
    pub kind: Kind,
    pub width: u32,
    pub height: u32,
    /// Whether it has lost something to its compression already.
    pub lossy: bool,
    /// The most that decoding takes, in bytes.
    pub memory: u64,
    /// How a WebP is to be turned.
    pub orientation: Orientation,
    /// How many of the bytes are a WebP's; what follows them is not looked at.
    pub end: usize,
    /// The bytes of a WebP's that are compressed without loss.
    lossless: usize,
}

impl Header {
    /// Reads a picture's header, and holds it to the bounds.
    /// Errors: a refusal.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let header = match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => png(bytes),
            [0xff, 0xd8, 0xff, ..] => jpeg(bytes),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp(bytes),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => gif(bytes),
            _ => return Err(Refusal::NotAPicture),
        };
        let mut header = header.filter(|header| header.width > 0 && header.height > 0).ok_or(Refusal::Broken)?;
        let too_wide = header.width.max(header.height) > MAX_SIDE;
        if too_wide || header.pixels() > MAX_PIXELS || header.memory > MAX_MEMORY {
            return Err(Refusal::TooManyPixels);
        }
        if header.lossless > MAX_LOSSLESS {
            return Err(Refusal::TooLossless);
        }
        header.memory += TABLES * header.lossless as u64;
        Ok(header)
    }

    fn new(kind: Kind, width: u32, height: u32) -> Self {
        let (lossy, orientation) = (false, Orientation::NoTransforms);
        Self { kind, width, height, lossy, memory: 0, orientation, end: 0, lossless: 0 }
    }

    fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

fn png(bytes: &[u8]) -> Option<Header> {
    if bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    let (depth, color) = (*bytes.get(24)?, *bytes.get(25)?);
    let mut header = Header::new(Kind::Png, be32(bytes, 16)?, be32(bytes, 20)?);
    // A `tRNS` chunk may add the alpha.
    let channels = if color == 0 || color == 4 { 2 } else { 4 };
    header.memory = header.pixels().saturating_mul(channels * if depth == 16 { 2 } else { 1 });
    Some(header)
}

/// The chunks of a PNG that make its picture, without any that could hold or inflate to something else:
/// profiles, texts, the further frames of an animation, and what follows the end.
pub fn essence(bytes: &[u8]) -> Option<Vec<u8>> {
    let (signature, mut rest) = bytes.split_at_checked(8)?;
    let mut kept = Vec::with_capacity(bytes.len());
    kept.extend_from_slice(signature);
    loop {
        let length = usize::try_from(be32(rest, 0)?).ok()?;
        let (chunk, after) = rest.split_at_checked(length.checked_add(12)?)?;
        let name = chunk.get(4..8)?;
        if matches!(name, b"IHDR" | b"PLTE" | b"tRNS" | b"eXIf" | b"IDAT" | b"IEND") {
            kept.extend_from_slice(chunk);
        }
        if name == b"IEND" {
            return Some(kept);
        }
        rest = after;
    }
}

fn gif(bytes: &[u8]) -> Option<Header> {
    let mut header = Header::new(Kind::Gif, le16(bytes, 6)?, le16(bytes, 8)?);
    // The canvas, and the frame that is put on it.
    header.memory = header.pixels() * 8;
    Some(header)
}

fn jpeg(bytes: &[u8]) -> Option<Header> {
    let mut rest = bytes.get(2..)?;
    let mut frame = None;
    loop {
        let [0xff, marker, after @ ..] = rest else { return None };
        match marker {
            // Padding.
            0xff => {
                rest = rest.get(1..)?;
                continue;
            }
            0x01 | 0xd0..=0xd7 => {
                rest = after;
                continue;
            }
            _ => {}
        }
        let (segment, further) = after.split_at_checked(usize::try_from(be16(after, 0)?).ok()?)?;
        let body = segment.get(2..)?;
        match marker {
            0xc0..=0xc2 if frame.is_none() => frame = Some(jpeg_frame(body, *marker == 0xc2)?),
            // Other processes than those in use, and a second frame. What is between are tables.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xd9 => return None,
            0xda => {
                let (mut header, components, coefficients) = frame?;
                let partial = body.first() != Some(&components);
                header.memory += if partial { coefficients } else { 0 };
                // Its end can be nowhere else: in the data, a zero follows each 0xff.
                let complete = further.windows(2).rev().any(|pair| pair == [0xff, 0xd9]);
                return complete.then_some(header);
            }
            _ => {}
        }
        rest = further;
    }
}

/// The header, the number of components, and what their coefficients take if a scan does not hold them all,
/// so that they must be kept until the last one.
fn jpeg_frame(body: &[u8], progressive: bool) -> Option<(Header, u8, u64)> {
    let components = *body.get(5)?;
    let mut header = Header::new(Kind::Jpeg, be16(body, 3)?, be16(body, 1)?);
    header.lossy = true;
    let sampling = body.get(6..6 + 3 * usize::from(components))?;
    let sampling = || sampling.chunks_exact(3).map(|component| (component[1] >> 4, component[1] & 15));
    let (across, down) = (sampling().map(|s| s.0).max()?, sampling().map(|s| s.1).max()?);
    let samples: u64 = sampling().map(|(across, down)| u64::from(across) * u64::from(down)).sum();
    let whole = (u64::from(across) * u64::from(down)).max(1);
    let coefficients = 2 * header.pixels() * samples / whole;
    header.memory = header.pixels() * if components == 1 { 1 } else { 3 };
    if progressive {
        header.memory += coefficients;
        return Some((header, components, 0));
    }
    Some((header, components, coefficients))
}

fn webp(bytes: &[u8]) -> Option<Header> {
    let size = usize::try_from(le32(bytes, 4)?).ok()?;
    let bytes = bytes.get(..size.checked_add(8)?)?;
    let mut rest = bytes.get(12..)?;
    let (name, body, _) = webp_chunk(rest)?;
    let (mut header, animated, per_pixel) = match name {
        b"VP8 " => (Header::new(Kind::WebP, le16(body, 6)? & 0x3fff, le16(body, 8)? & 0x3fff), false, 5),
        b"VP8L" => {
            let sides = le32(body, 1)?;
            (Header::new(Kind::WebP, 1 + (sides & 0x3fff), 1 + (sides >> 14 & 0x3fff)), false, 8)
        }
        b"VP8X" => {
            let (flags, width, height) = (*body.first()?, 1 + le24(body, 4)?, 1 + le24(body, 7)?);
            let animated = flags & 2 != 0;
            // Planes, alpha and the canvas; for an animation, a frame as well.
            (Header::new(Kind::WebP, width, height), animated, if animated { 15 } else { 11 })
        }
        _ => return None,
    };
    header.memory = header.pixels() * per_pixel;
    header.end = bytes.len();
    let mut frames = 0;
    while !rest.is_empty() {
        let (name, body, after) = webp_chunk(rest)?;
        match name {
            b"VP8 " => header.lossy = true,
            b"VP8L" => header.lossless = header.lossless.max(body.len()),
            b"ALPH" if *body.first()? & 3 == 1 => header.lossless = header.lossless.max(body.len()),
            b"ANMF" if !animated => return None,
            b"ANMF" => {
                frames += 1;
                let lossless = matches!(body.get(16..20)?, b"VP8L" | b"ALPH") && frames == 1;
                header.lossless = header.lossless.max(if lossless { body.len() } else { 0 });
                header.lossy |= body.get(16..20)? == b"VP8 ";
            }
            b"EXIF" => header.orientation = Orientation::from_exif_chunk(body).unwrap_or(header.orientation),
            _ => {}
        }
        rest = after;
    }
    Some(header)
}

/// A chunk's name and body, and what follows it.
fn webp_chunk(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = bytes.split_at_checked(4)?;
    let size = usize::try_from(le32(rest, 0)?).ok()?;
    let (body, after) = rest.get(4..)?.split_at_checked(size)?;
    Some((name, body, after.get(size % 2..).unwrap_or_default()))
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_be_bytes(bytes).into())
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes))
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes).into())
}

fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 3)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(bytes))
}
