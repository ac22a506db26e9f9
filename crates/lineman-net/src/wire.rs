use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use lineman_model::clean_line;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection, however it was made.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(crate) type Wire = Box<dyn Duplex>;

const EARSHOT: usize = 128;

/// The first bytes that the other side said, to tell what it is when it is not what was expected.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The first line, safe to show.
    pub(crate) fn line(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clean_line(String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default(), EARSHOT)
    }

    /// What the other side seems to be, judged by its first bytes.
    pub(crate) fn speaker(&self) -> Option<&'static str> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        const BANNERS: &[(&[u8], &str)] = &[
            (b"HTTP/", "plain HTTP"),
            (b"SSH-", "SSH"),
            (b"220 ", "SMTP or FTP"),
            (b"220-", "SMTP or FTP"),
            (b"+OK", "POP3"),
            (b"* OK", "IMAP"),
            (b"-ERR", "Redis or POP3"),
            (b"\x15\x03", "TLS"),
            (b"\x16\x03", "TLS"),
            (b"\x00\x00", "HTTP/2"),
        ];
        BANNERS.iter().find(|(start, _)| bytes.starts_with(start)).map(|&(_, name)| name)
    }

    fn hear(&self, bytes: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = EARSHOT - heard.len();
        heard.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// A connection that remembers the first bytes it reads.
pub(crate) struct Tap<S> {
    inner: S,
    heard: Heard,
}

impl<S> Tap<S> {
    pub(crate) fn new(inner: S) -> (Tap<S>, Heard) {
        let heard = Heard::default();
        (Tap { inner, heard: heard.clone() }, heard)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let ready = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.heard.hear(&buf.filled()[before..]);
        ready
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
