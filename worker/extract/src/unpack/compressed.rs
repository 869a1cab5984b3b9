//! The content of a compressed stream.

use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

use super::{
    budget::{Budgets, Limited},
    kind::Compression,
};

/// Most memory of a decoder, in kilobytes. Writers choose up to 1.5 GB for content that unpacks the same with 64 MB.
pub(super) const MAX_DECODER_KB: u32 = 256 * 1024;

/// Bytes that a frame is decoded by.
const STEP_BYTES: usize = 128 * 1024;

/// The content of a stream, which may have several parts.
pub(super) fn content<'a>(kind: Compression, reader: &'a mut dyn Read, budgets: &Budgets) -> Box<dyn Read + 'a> {
    let reader = BufReader::new(reader);
    let content: Box<dyn Read + 'a> = match kind {
        Compression::Gzip => Box::new(MultiGzDecoder::new(reader)),
        Compression::Bzip2 => Box::new(MultiBzDecoder::new(reader)),
        Compression::Xz => Box::new(XzReader::new_mem_limit(reader, true, MAX_DECODER_KB)),
        Compression::Zstd => Box::new(Frames::new(reader)),
    };
    Box::new(Limited::new(content, &budgets.expanded))
}

/// The frames of a Zstandard stream, one after the other.
pub(super) struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    is_open: bool,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, decoder: FrameDecoder::new(), is_open: false }
    }

    /// Opens the next frame. False: there is none.
    fn open(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink())?;
                }
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => return Err(io::ErrorKind::OutOfMemory.into()),
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.is_open && !self.open()? {
                return Ok(0);
            }
            self.is_open = true;
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if self.decoder.is_finished() {
                let declared = self.decoder.get_checksum_from_data();
                if declared.is_some() && declared != self.decoder.get_calculated_checksum() {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                self.is_open = false;
                continue;
            }
            let step = BlockDecodingStrategy::UptoBytes(STEP_BYTES);
            let decoded = self.decoder.decode_blocks(&mut self.source, step);
            decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }
}

/// The extensions of compressed files. Those of the second list stand for a tape archive.
const EXTENSIONS: [&str; 7] = ["gz", "gzip", "bz2", "bzip2", "xz", "zst", "zstd"];
const TAR_EXTENSIONS: [&str; 6] = ["tgz", "tbz", "tbz2", "txz", "tzst", "taz"];

/// The name of the content: that of the stream without the extension of the compression.
pub(super) fn content_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let extension = extension.to_ascii_lowercase();
    if stem.is_empty() {
        return if name.is_empty() { "content" } else { name }.to_owned();
    }
    match extension.as_str() {
        known if EXTENSIONS.contains(&known) => stem.to_owned(),
        known if TAR_EXTENSIONS.contains(&known) => format!("{stem}.tar"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::content_name;

    #[test]
    fn content_loses_the_extension_of_the_compression() {
        for (name, content) in [
            ("notes.txt.gz", "notes.txt"),
            ("notes.txt.XZ", "notes.txt"),
            ("logs/a.TGZ", "a.tar"),
            ("a.tzst", "a.tar"),
            ("plain", "plain"),
            (".gz", ".gz"),
            ("", "content"),
        ] {
            assert_eq!(content_name(name), content);
        }
    }
}
