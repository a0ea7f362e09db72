//! One segment file: a head, then frames of one compressed stream.
//!
//! Each frame ends at a flush of the compressor, so a file that a crash cut off reads back up to
//! its last complete frame. The stream continues from frame to frame, so text that calls have in
//! common is stored once per segment.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zstd::stream::write::{Decoder, Encoder};

/// Head of every segment; the last byte is the format.
pub(super) const MAGIC: &[u8; 8] = b"STRWDEC\x04";

/// Compressed length, length, CRC-32 of the compressed bytes.
const FRAME: usize = 12;

/// Longest frame: far beyond any buffer, far below the largest corrupt length.
const LONGEST: usize = 64 << 20;

/// zstd's fastest ordinary level.
const LEVEL: i32 = 1;

/// Data for every decision of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SegmentHead {
    pub(super) node: String,
    /// UTC milliseconds.
    pub(super) began_ms: u64,
    /// Seed of the host.
    pub(super) random_seed: u64,
    /// Number of last digits of numbers that are masked.
    pub(super) masked: u8,
}

/// Creates the folder of segments, readable only by the switch's own user: the numbers and names in
/// it are private to the callers (SEC-51).
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let permissions = std::fs::metadata(folder)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        let closed = PermissionsExt::from_mode(permissions.mode() & 0o7700);
        // Not every file system supports modes.
        if let Err(error) = std::fs::set_permissions(folder, closed) {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "other users may look into the folder of decisions");
        }
    }
    Ok(())
}

/// Path of a segment.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.decisions"))
}

/// Numbers of the segments in a folder, oldest first.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".decisions"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A segment open for writing. After an error it must not be used any more: its compressor is ahead
/// of its file.
pub(super) struct SegmentWriter {
    file: File,
    encoder: Encoder<'static, Vec<u8>>,
    bytes: u64,
}

impl SegmentWriter {
    pub(super) fn create(path: &Path, head: &SegmentHead) -> io::Result<SegmentWriter> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        let head = postcard::to_stdvec(head).map_err(io::Error::other)?;
        let mut begin = MAGIC.to_vec();
        frame(&mut begin, &head, head.len());
        file.write_all(&begin)?;
        let encoder = Encoder::new(Vec::new(), LEVEL)?;
        Ok(SegmentWriter { file, encoder, bytes: begin.len() as u64 })
    }

    /// Whether somebody has deleted the file, so that nobody would find data written to it.
    pub(super) fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|about| about.nlink() == 0)
    }

    /// Bytes in the file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Compresses a block and returns the frame for [`SegmentWriter::append`].
    pub(super) fn compress(&mut self, parts: [&[u8]; 2]) -> io::Result<Vec<u8>> {
        for part in parts {
            self.encoder.write_all(part)?;
        }
        self.encoder.flush()?;
        let compressed = std::mem::take(self.encoder.get_mut());
        let mut framed = Vec::with_capacity(FRAME + compressed.len());
        frame(&mut framed, &compressed, parts.iter().map(|part| part.len()).sum());
        Ok(framed)
    }

    pub(super) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(frame) {
            // A reader would trust the length of half a frame; without it the file reads
            // completely.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += frame.len() as u64;
        Ok(())
    }
}

fn frame(to: &mut Vec<u8>, stored: &[u8], length: usize) {
    let words = [stored.len() as u32, length as u32, crc32fast::hash(stored)];
    to.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    to.extend_from_slice(stored);
}

/// What comes next in a segment.
pub(super) enum Next {
    Block(Vec<u8>),
    End,
    /// The rest of the file is incomplete or damaged.
    Torn,
}

/// A segment open for reading.
pub(super) struct SegmentReader {
    file: io::BufReader<File>,
    decoder: Decoder<'static, Vec<u8>>,
    pub(super) head: SegmentHead,
}

impl SegmentReader {
    /// None if the file is not a segment of this format.
    pub(super) fn open(path: &Path) -> io::Result<Option<SegmentReader>> {
        let mut file = io::BufReader::with_capacity(1 << 18, File::open(path)?);
        let mut magic = [0; MAGIC.len()];
        if file.read_exact(&mut magic).is_err() || magic != *MAGIC {
            return Ok(None);
        }
        let Some((head, _)) = stored(&mut file)? else { return Ok(None) };
        let Ok(head) = postcard::from_bytes(&head) else { return Ok(None) };
        Ok(Some(SegmentReader { file, decoder: Decoder::new(Vec::new())?, head }))
    }

    /// The next block; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        if self.file.fill_buf()?.is_empty() {
            return Ok(Next::End);
        }
        let Some((compressed, length)) = stored(&mut self.file)? else { return Ok(Next::Torn) };
        self.decoder.get_mut().reserve(length);
        self.decoder.write_all(&compressed)?;
        self.decoder.flush()?;
        let block = std::mem::take(self.decoder.get_mut());
        Ok(if block.len() == length { Next::Block(block) } else { Next::Torn })
    }
}

/// The bytes of a complete frame and their decompressed length; none if no complete frame follows.
fn stored(from: &mut impl Read) -> io::Result<Option<(Vec<u8>, usize)>> {
    let mut words = [0; FRAME];
    if !filled(from, &mut words)? {
        return Ok(None);
    }
    let word =
        |at: usize| words[at..at + 4].iter().rev().fold(0, |sum, b| sum << 8 | u32::from(*b));
    let (short, length, check) = (word(0) as usize, word(4) as usize, word(8));
    if short > LONGEST || length > LONGEST {
        return Ok(None);
    }
    let mut bytes = vec![0; short];
    let whole = filled(from, &mut bytes)? && crc32fast::hash(&bytes) == check;
    Ok(whole.then_some((bytes, length)))
}

fn filled(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
