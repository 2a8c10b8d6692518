//! Frames on QUIC streams. On the ordered stream each follows its length (four bytes, big endian); on
//! the bulk channel each is a whole stream. Lengths are checked before anything is kept for a frame,
//! and memory grows only as bytes come.

use bytes::{Bytes, BytesMut};
use hivemind_core::wire::frame::STREAM_LIMIT;
use quinn::{ReadError, ReadExactError, ReadToEndError, RecvStream, SendStream, WriteError};

/// Why no frame could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FrameError {
    /// The peer sent what is no frame, or cut one off. It is at fault.
    Malformed,
    /// The connection is gone.
    Lost,
}

impl From<ReadError> for FrameError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(_) | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => FrameError::Malformed,
            ReadError::ConnectionLost(_) | ReadError::ClosedStream => FrameError::Lost,
        }
    }
}

impl From<ReadExactError> for FrameError {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::FinishedEarly(_) => FrameError::Malformed,
            ReadExactError::ReadError(error) => error.into(),
        }
    }
}

/// The next frame of the ordered stream. Its end is malformed too: it lasts as long as the connection.
pub(super) async fn read_ordered(stream: &mut RecvStream) -> Result<Bytes, FrameError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length == 0 || length > STREAM_LIMIT {
        return Err(FrameError::Malformed);
    }
    let mut frame = BytesMut::new();
    loop {
        let chunk = stream.read_chunk(length - frame.len(), true).await?.ok_or(FrameError::Malformed)?;
        if frame.is_empty() && chunk.bytes.len() == length {
            return Ok(chunk.bytes);
        }
        frame.extend_from_slice(&chunk.bytes);
        if frame.len() == length {
            return Ok(frame.freeze());
        }
    }
}

/// Writes frames to the ordered stream.
pub(super) async fn write_ordered(stream: &mut SendStream, frames: Vec<Bytes>) -> Result<(), WriteError> {
    let mut chunks = Vec::with_capacity(2 * frames.len());
    for frame in frames {
        let length = u32::try_from(frame.len()).expect("a frame over the limit is not queued");
        chunks.push(Bytes::copy_from_slice(&length.to_be_bytes()));
        chunks.push(frame);
    }
    stream.write_all_chunks(&mut chunks).await
}

/// The one frame of a bulk stream.
pub(super) async fn read_bulk(mut stream: RecvStream) -> Result<Bytes, FrameError> {
    match stream.read_to_end(STREAM_LIMIT).await {
        Ok(frame) if frame.is_empty() => Err(FrameError::Malformed),
        Ok(frame) => Ok(frame.into()),
        Err(ReadToEndError::TooLong) => Err(FrameError::Malformed),
        Err(ReadToEndError::Read(error)) => Err(error.into()),
    }
}
