//! A stream of things that happened, for whoever listens. Bounded: who listens too slowly misses some,
//! and is told how many.

use tokio::sync::broadcast::{self, error::RecvError};

/// The most things that wait for one listener.
const CAPACITY: usize = 1024;

/// What a listener gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<T> {
    /// This happened.
    Happened(T),
    /// So many happened that were not listened to in time, before what comes next.
    Missed(u64),
}

/// What happens from the moment on that it was asked for.
#[derive(Debug)]
pub struct Feed<T> {
    receiver: broadcast::Receiver<T>,
}

impl<T: Clone> Feed<T> {
    /// Waits for the next; `None` once the node has stopped. Nothing is lost where it is not polled to its end.
    pub async fn next(&mut self) -> Option<Heard<T>> {
        match self.receiver.recv().await {
            Ok(happened) => Some(Heard::Happened(happened)),
            Err(RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Where a feed comes from.
#[derive(Debug)]
pub(crate) struct Source<T> {
    sender: broadcast::Sender<T>,
}

impl<T: Clone> Source<T> {
    pub(crate) fn new() -> Self {
        Source { sender: broadcast::Sender::new(CAPACITY) }
    }

    pub(crate) fn tell(&self, happened: T) {
        // Where nobody listens, nobody needs to know.
        let _ = self.sender.send(happened);
    }

    pub(crate) fn ears(&self) -> Ears<T> {
        Ears { sender: self.sender.downgrade() }
    }
}

/// Makes feeds, without keeping them open beyond the life of their source.
#[derive(Debug)]
pub(crate) struct Ears<T> {
    sender: broadcast::WeakSender<T>,
}

impl<T> Clone for Ears<T> {
    fn clone(&self) -> Self {
        Ears { sender: self.sender.clone() }
    }
}

impl<T: Clone> Ears<T> {
    pub(crate) fn listen(&self) -> Feed<T> {
        let receiver = self.sender.upgrade().map(|sender| sender.subscribe());
        Feed { receiver: receiver.unwrap_or_else(|| broadcast::channel(1).1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_how_much_it_missed() {
        let source = Source::new();
        let mut feed = source.ears().listen();
        for number in 0..(CAPACITY as u64 + 10) {
            source.tell(number);
        }
        assert_eq!(feed.next().await, Some(Heard::Missed(10)));
        assert_eq!(feed.next().await, Some(Heard::Happened(10)));
    }

    #[tokio::test]
    async fn a_feed_ends_with_its_source() {
        let source = Source::new();
        let ears = source.ears();
        let mut feed = ears.listen();
        source.tell(1);
        drop(source);
        assert_eq!(feed.next().await, Some(Heard::Happened(1)));
        assert_eq!(feed.next().await, None);
        assert_eq!(ears.listen().next().await, None);
    }
}
