use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Read at once from a file, in bytes.
const BUFFER: usize = 1 << 18;
/// How long the longest mark of a packed file is, in bytes.
const MARK: usize = 6;
/// Most memory that a packed file may ask for, in KiB.
const MOST_KIB: u32 = 128 << 10;

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{name} cannot be read: {problem}")]
pub struct InputError {
    /// The file.
    pub name: String,
    /// What is wrong, and where it helps what to do.
    pub problem: String,
}

/// Opens a file, packed or not.
///
/// # Errors
/// When it cannot be opened, or is packed in a way that is not known here.
pub fn open(path: &Path) -> Result<Box<dyn Read + Send>, InputError> {
    let error = |problem: io::Error| InputError { name: path.display().to_string(), problem: problem.to_string() };
    let file = File::open(path).map_err(error)?;
    if file.metadata().map_err(error)?.is_dir() {
        return Err(InputError {
            name: path.display().to_string(),
            problem: "it is a directory; name the files in it".to_owned(),
        });
    }
    unpacked(file).map_err(error)
}

/// The bytes of a stream, unpacked where they begin as gzip, zstd or xz do. Unpacking takes no more
/// memory than the format's window, however much comes out.
///
/// # Errors
/// When it cannot be read, or is packed in a way that is not known here.
pub fn unpacked(mut stream: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut mark = [0; MARK];
    let mut length = 0;
    while length < MARK {
        match stream.read(&mut mark[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let whole: Chain<Cursor<Vec<u8>>, _> = Cursor::new(mark[..length].to_vec()).chain(stream);
    let buffered = |whole| BufReader::with_capacity(BUFFER, whole);
    Ok(match &mark[..length] {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(buffered(whole))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(Frames::new(buffered(whole))),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(XzReader::new_mem_limit(buffered(whole), true, MOST_KIB)),
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', ..] => {
            return Err(io::Error::other("it is packed with bzip2: unpack it first, `bzcat FILE | lineman logs`"));
        }
        [b'P', b'K', 3, 4, ..] => {
            return Err(io::Error::other("it is a ZIP archive: unpack it first, `unzip -p FILE | lineman logs`"));
        }
        _ => Box::new(whole),
    })
}

/// The frames of a zstd stream, one after the other.
struct Frames<R: Read> {
    stream: R,
    decoder: FrameDecoder,
    /// Whether a frame is being read.
    within: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(stream: R) -> Frames<R> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(u64::from(MOST_KIB) << 10);
        Frames { stream, decoder, within: false }
    }

    /// Begins the next frame; false where there is none.
    fn next(&mut self) -> io::Result<bool> {
        while !self.stream.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.stream) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut self.stream.by_ref().take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within && !self.next()? {
                return Ok(0);
            }
            self.within = true;
            if self.decoder.can_collect() < out.len() && !self.decoder.is_finished() {
                let more = BlockDecodingStrategy::UptoBytes(out.len());
                let decoded = self.decoder.decode_blocks(&mut self.stream, more);
                decoded.map_err(|error| io::Error::other(error.to_string()))?;
            }
            let read = self.decoder.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            self.within = !self.decoder.is_finished();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        unpacked(Cursor::new(bytes.to_vec()))?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn packed_streams_are_unpacked_and_others_are_left_alone() {
        let gzip = |text: &[u8]| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            packer.write_all(text).and_then(|()| packer.finish()).unwrap()
        };
        let check = |packed: &[u8], expect: &[u8]| assert_eq!(read(packed).unwrap(), expect);
        check(b"", b"");
        check(b"abc", b"abc");
        check(b"plain words", b"plain words");
        // Rotated logs are packed one after the other.
        check(&[gzip(b"one "), gzip(b"two")].concat(), b"one two");
        let zstd = |text: &[u8]| ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest);
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        check(&[zstd(b"one "), skipped, zstd(b"two")].concat(), b"one two");
        let xz =
            b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00\x02one\x00\x00\x00\x00";
        assert!(read(xz).is_err(), "an end that is missing is told");
        assert!(read(b"BZh91AY&SY").unwrap_err().to_string().contains("bzcat"));
        assert!(read(&gzip(b"cut off in the middle")[..20]).is_err());
    }
}
