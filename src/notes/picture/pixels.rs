//! Pixels of eight bits a sample, made fewer where they are: a photo is in memory once.

use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageDecoder, ImageResult, RgbImage, RgbaImage};

/// Samples row by row, of one to four channels; the alpha is the last of two or four.
pub struct Pixels {
    width: usize,
    height: usize,
    channels: usize,
    samples: Vec<u8>,
}

impl Pixels {
    /// All pixels of a picture, which the caller has found to be few enough.
    /// Errors: a picture that is damaged.
    pub fn decode(decoder: impl ImageDecoder) -> ImageResult<Self> {
        let (width, height) = decoder.dimensions();
        let color = decoder.color_type();
        let channels = usize::from(color.channel_count());
        let bytes = usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX);
        let mut samples = vec![0; bytes];
        decoder.read_image(&mut samples)?;
        if usize::from(color.bytes_per_pixel()) == 2 * channels {
            for at in 0..samples.len() / 2 {
                let sample = u16::from_ne_bytes([samples[2 * at], samples[2 * at + 1]]);
                [samples[at], _] = sample.to_be_bytes();
            }
            samples.truncate(bytes / 2);
        }
        Ok(Self { width: width as usize, height: height as usize, channels, samples })
    }

    /// Scales down to a longer side of at most so many pixels; each new one is the mean of the area it covers.
    pub fn shrink(&mut self, longest: u32) {
        let (longest, side) = (longest as usize, self.width.max(self.height));
        if side <= longest {
            return;
        }
        let scaled = |length: usize| ((length * longest + side / 2) / side).max(1);
        let (width, height) = (scaled(self.width), scaled(self.height));
        match self.channels {
            1 => self.average::<1>(width, height),
            2 => self.average::<2>(width, height),
            3 => self.average::<3>(width, height),
            _ => self.average::<4>(width, height),
        }
        (self.width, self.height) = (width, height);
        self.samples.truncate(width * height * self.channels);
        self.samples.shrink_to_fit();
    }

    /// Writes each new row over old ones that are summed up already.
    fn average<const C: usize>(&mut self, width: usize, height: usize) {
        let area = (self.width * self.height) as u64;
        let columns: Vec<_> = (0..self.width).map(|x| share(x, self.width, width)).collect();
        let mut row = vec![[0_u32; C]; width + 1];
        let mut sums = vec![[0_u64; C]; width];
        for y in 0..self.height {
            let (at, here, next) = share(y, self.height, height);
            row.fill([0; C]);
            let pixels = self.samples[y * self.width * C..].as_chunks::<C>().0;
            for (pixel, &(x, this, that)) in pixels.iter().zip(&columns) {
                let pixel = weighted(pixel);
                for c in 0..C {
                    row[x][c] += pixel[c] * this;
                    row[x + 1][c] += pixel[c] * that;
                }
            }
            add(&mut sums, &row, here);
            // The last of the rows that the new one covers: exactly the last one ends where it does.
            if (y + 1) * height >= (at + 1) * self.height {
                let out = self.samples[at * width * C..].as_chunks_mut::<C>().0;
                for (out, sum) in out.iter_mut().zip(&mut sums) {
                    *out = mean(sum, area);
                    *sum = [0; C];
                }
                add(&mut sums, &row, next);
            }
        }
    }

    /// The same as an image.
    pub fn into_image(self) -> Option<DynamicImage> {
        let (width, height) = (u32::try_from(self.width).ok()?, u32::try_from(self.height).ok()?);
        match self.channels {
            1 => GrayImage::from_raw(width, height, self.samples).map(DynamicImage::from),
            2 => GrayAlphaImage::from_raw(width, height, self.samples).map(DynamicImage::from),
            3 => RgbImage::from_raw(width, height, self.samples).map(DynamicImage::from),
            _ => RgbaImage::from_raw(width, height, self.samples).map(DynamicImage::from),
        }
    }
}

/// Where an old row or column goes when there are fewer: the new one it begins in, and how much of it lies in
/// that and in the one after, in parts of which a new one has as many as there are old ones.
fn share(index: usize, old: usize, new: usize) -> (usize, u32, u32) {
    let start = index * new;
    let at = start / old;
    let here = new.min((at + 1) * old - start);
    (at, here as u32, (new - here) as u32)
}

/// A color counts as much as it can be seen.
fn weighted<const C: usize>(pixel: &[u8; C]) -> [u32; C] {
    let mut weighted = pixel.map(u32::from);
    if C == 2 || C == 4 {
        let alpha = weighted[C - 1];
        weighted[..C - 1].iter_mut().for_each(|sample| *sample *= alpha);
    }
    weighted
}

fn add<const C: usize>(sums: &mut [[u64; C]], row: &[[u32; C]], weight: u32) {
    for (sum, pixel) in sums.iter_mut().zip(row) {
        for c in 0..C {
            sum[c] += u64::from(pixel[c]) * u64::from(weight);
        }
    }
}

fn mean<const C: usize>(sum: &[u64; C], area: u64) -> [u8; C] {
    let has_alpha = C == 2 || C == 4;
    let mut mean = [0; C];
    for c in 0..C {
        let whole = if has_alpha && c < C - 1 { sum[C - 1].max(1) } else { area };
        mean[c] = ((sum[c] + whole / 2) / whole).min(255) as u8;
    }
    mean
}
