//! Frames on the pipe between host and worker: a four-byte little-endian length and that many
//! bytes of JSON. Buffers are wiped, because requests carry secrets.

use std::io::{self, Read, Write};

use lineman_model::protocol::MAX_FRAME;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

/// A message as a frame, length included.
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut frame = Zeroizing::new(vec![0; 4]);
    serde_json::to_writer(&mut *frame, message)?;
    let length = frame.len() - 4;
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes is too large")));
    }
    let length = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

fn checked(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length <= MAX_FRAME {
        return Ok(length);
    }
    // Text is always a length beyond every limit. It is not quoted: it may be a part of a secret.
    let problem = match prefix.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')) {
        true => "text where a frame should begin; what it has to print belongs on its standard error".to_owned(),
        false => format!("a frame of {length} bytes, more than the {MAX_FRAME} allowed"),
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}

/// The next frame's JSON; none at a clean end.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut body = Zeroizing::new(vec![0; checked(length)?]);
    from.read_exact(&mut body)?;
    Ok(Some(body))
}

/// [`read`], waiting asynchronously.
pub(crate) async fn read_async(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let mut body = Zeroizing::new(vec![0; checked(length)?]);
    from.read_exact(&mut body).await?;
    Ok(Some(body))
}

/// Writes a frame that was made with [`encode`].
pub(crate) fn write(to: &mut impl Write, frame: &[u8]) -> io::Result<()> {
    to.write_all(frame)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip_and_absurd_lengths_are_refused() {
        let frame = encode(&serde_json::json!({ "a": 1 })).unwrap();
        let mut input = &frame[..];
        assert_eq!(read(&mut input).unwrap().unwrap()[..], *br#"{"a":1}"#);
        assert!(read(&mut input).unwrap().is_none());
        assert!(read(&mut &[0xff, 0xff, 0xff, 0xff, 0][..]).is_err());
        assert!(read(&mut &[9, 0, 0, 0, b'{'][..]).is_err());
    }
}
