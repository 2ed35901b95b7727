//! Datagrams over TCP, each behind its length (RFC 4571), as ICE over TCP carries them (RFC 6544).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Frames that wait for the network; further ones are lost.
pub(in crate::webrtc) const QUEUE_FRAMES: usize = 512;
/// Bytes that are written at once.
const WRITE_BYTES: usize = 64 * 1024;

/// The next frame; `None` at the stream's end.
pub(in crate::webrtc) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        length => length?,
    };
    let mut frame = vec![0; length.into()];
    stream.read_exact(&mut frame).await?;
    Ok(Some(frame))
}

/// Carries frames both ways until either side ends: the queue's senders are gone, or the stream is.
pub(in crate::webrtc) async fn carry(
    stream: TcpStream,
    frames: mpsc::Receiver<Vec<u8>>,
    mut deliver: impl FnMut(&[u8]),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let read = async {
        while let Some(frame) = read_frame(&mut reader).await? {
            deliver(&frame);
        }
        Ok(())
    };
    tokio::select! {
        ended = read => ended,
        ended = write(writer, frames) => ended,
    }
}

async fn write(mut stream: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(WRITE_BYTES);
    while let Some(mut frame) = frames.recv().await {
        bytes.clear();
        loop {
            // A datagram has never more than 65,507 bytes; what cannot be framed is lost.
            if let Ok(length) = u16::try_from(frame.len()) {
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(&frame);
            }
            match frames.try_recv() {
                Ok(next) if bytes.len() < WRITE_BYTES => frame = next,
                Ok(next) => {
                    stream.write_all(&bytes).await?;
                    bytes.clear();
                    frame = next;
                }
                Err(_) => break,
            }
        }
        stream.write_all(&bytes).await?;
    }
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_as_they_went_in() {
        let (near, mut far) = tokio::io::duplex(100);
        let (queue, frames) = mpsc::channel(QUEUE_FRAMES);
        for length in [0, 1, 300, 60_000, 65_535, 65_536, 2] {
            queue.try_send(vec![7; length]).unwrap();
        }
        drop(queue);
        let writing = tokio::spawn(write(near, frames));
        let mut lengths = Vec::new();
        while let Some(frame) = read_frame(&mut far).await.unwrap() {
            lengths.push(frame.len());
        }
        assert_eq!(lengths, [0, 1, 300, 60_000, 65_535, 2], "one is too long for a frame");
        writing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_cut_frame_is_an_error() {
        let error = read_frame(&mut &[0, 4, 1, 2][..]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(read_frame(&mut &[][..]).await.unwrap().is_none());
    }
}
