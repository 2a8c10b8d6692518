//! Frames that wait: for a connection to be made, or for a peer to take them. Bounded in number and bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hivemind_core::wire::frame::Channel;
use tokio::sync::mpsc;

/// The most frames in the queue of one channel of a connection.
const QUEUE_FRAMES: usize = 1024;

/// Frames for a peer that is being dialed.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    frames: VecDeque<(Channel, Bytes)>,
    bytes: usize,
}

impl Backlog {
    /// Takes a frame in, and drops what is too much: the oldest datagrams first, since SWIM repeats
    /// what it says; the new frame itself where there are none. Says how many were dropped.
    pub(super) fn push(&mut self, channel: Channel, bytes: Bytes, most_frames: usize, most_bytes: usize) -> usize {
        self.bytes += bytes.len();
        self.frames.push_back((channel, bytes));
        let mut dropped = 0;
        while self.frames.len() > most_frames || self.bytes > most_bytes {
            let oldest = self.frames.iter().position(|(channel, _)| *channel == Channel::Datagram);
            let victim = oldest.unwrap_or(self.frames.len() - 1);
            let (_, bytes) = self.frames.remove(victim).expect("a position in it");
            self.bytes -= bytes.len();
            dropped += 1;
        }
        dropped
    }

    /// Takes all out, in order.
    pub(super) fn take(&mut self) -> VecDeque<(Channel, Bytes)> {
        self.bytes = 0;
        std::mem::take(&mut self.frames)
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }
}

/// The near end of a connection's queue of one channel.
#[derive(Debug)]
pub(super) struct QueueIn {
    frames: mpsc::Sender<Bytes>,
    waiting: Arc<AtomicUsize>,
    most_bytes: usize,
}

/// Its far end.
#[derive(Debug)]
pub(super) struct QueueOut {
    frames: mpsc::Receiver<Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// The queue has no room for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// A queue that holds up to `most_bytes`.
pub(super) fn queue(most_bytes: usize) -> (QueueIn, QueueOut) {
    let (frames_in, frames_out) = mpsc::channel(QUEUE_FRAMES);
    let waiting = Arc::new(AtomicUsize::new(0));
    (QueueIn { frames: frames_in, waiting: waiting.clone(), most_bytes }, QueueOut { frames: frames_out, waiting })
}

impl QueueIn {
    /// Adds a frame without waiting.
    pub(super) fn offer(&self, bytes: Bytes) -> Result<(), Full> {
        let length = bytes.len();
        let before = self.waiting.fetch_add(length, Ordering::Relaxed);
        if before + length <= self.most_bytes && self.frames.try_send(bytes).is_ok() {
            return Ok(());
        }
        self.waiting.fetch_sub(length, Ordering::Relaxed);
        Err(Full)
    }
}

impl QueueOut {
    /// Waits for frames and takes up to `most` of them; `None` once the near end is gone. Does nothing
    /// where it is not polled to its end.
    pub(super) async fn next(&mut self, most: usize) -> Option<Vec<Bytes>> {
        let mut batch = Vec::new();
        if self.frames.recv_many(&mut batch, most).await == 0 {
            return None;
        }
        let bytes: usize = batch.iter().map(Bytes::len).sum();
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        Some(batch)
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        bytes[0] = first;
        bytes.into()
    }

    fn firsts(backlog: &mut Backlog) -> Vec<u8> {
        backlog.take().iter().map(|(_, bytes)| bytes[0]).collect()
    }

    #[test]
    fn the_oldest_datagram_is_dropped_first() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.push(Channel::Ordered, frame(1, 10), 3, 1000), 0);
        assert_eq!(backlog.push(Channel::Datagram, frame(2, 10), 3, 1000), 0);
        assert_eq!(backlog.push(Channel::Datagram, frame(3, 10), 3, 1000), 0);
        assert_eq!(backlog.push(Channel::Bulk, frame(4, 10), 3, 1000), 1);
        assert_eq!(firsts(&mut backlog), [1, 3, 4]);
    }

    #[test]
    fn without_datagrams_the_new_frame_is_dropped() {
        let mut backlog = Backlog::default();
        for number in 1..=3 {
            backlog.push(Channel::Ordered, frame(number, 10), 2, 1000);
        }
        assert_eq!(firsts(&mut backlog), [1, 2]);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.push(Channel::Datagram, frame(1, 600), 64, 1000), 0);
        assert_eq!(backlog.push(Channel::Datagram, frame(2, 600), 64, 1000), 1);
        assert_eq!(firsts(&mut backlog), [2]);
        assert_eq!(backlog.push(Channel::Ordered, frame(3, 1000), 64, 1000), 0);
    }

    #[tokio::test]
    async fn a_queue_takes_no_more_bytes_than_it_may_until_some_are_taken_out() {
        let (near, mut far) = queue(100);
        assert_eq!(near.offer(frame(1, 60)), Ok(()));
        assert_eq!(near.offer(frame(2, 60)), Err(Full));
        assert_eq!(far.next(16).await.unwrap().len(), 1);
        assert_eq!(near.offer(frame(3, 60)), Ok(()));
        assert_eq!(far.len(), 1);
    }
}
