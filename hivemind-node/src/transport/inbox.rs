//! What was received and waits for the machine. Bounded in number and octets: who finds no room waits, and reads nothing meanwhile.

use std::sync::Arc;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Incoming;

/// An item, and the room that it takes.
type Kept = (Incoming, Option<OwnedSemaphorePermit>);

/// The near end.
#[derive(Debug)]
pub(super) struct InboxIn {
    items: mpsc::Sender<Kept>,
    room: Arc<Semaphore>,
    octets: u32,
}

/// What comes from the network, in order. Must be read: while it is full, peers are not read either.
#[derive(Debug)]
pub struct Inbox {
    items: mpsc::Receiver<Kept>,
    room: Arc<Semaphore>,
}

/// Nobody reads it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// An inbox of so many items and so many octets of frames. A frame that is larger than all of it has it for itself.
pub(super) fn inbox(most: usize, most_octets: usize) -> (InboxIn, Inbox) {
    let (near, far) = mpsc::channel(most);
    let octets = u32::try_from(most_octets.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX).max(1);
    let room = Arc::new(Semaphore::new(octets as usize));
    (InboxIn { items: near, room: room.clone(), octets }, Inbox { items: far, room })
}

impl InboxIn {
    /// Puts something in; waits while there is no room.
    pub(super) async fn put(&self, item: Incoming) -> Result<(), Closed> {
        // A place first: what waits for one holds no room.
        let place = self.items.reserve().await.map_err(|_| Closed)?;
        let room = match &item {
            Incoming::Frame { bytes, .. } => {
                let wanted = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(self.octets);
                Some(self.room.clone().acquire_many_owned(wanted).await.map_err(|_| Closed)?)
            }
            Incoming::Lost { .. } => None,
        };
        place.send((item, room));
        Ok(())
    }
}

impl Inbox {
    /// The next that came; `None` once the transport is closed. Takes nothing where it is not polled to its end.
    pub async fn recv(&mut self) -> Option<Incoming> {
        self.items.recv().await.map(|(item, _room)| item)
    }

    /// The next that is there already.
    ///
    /// # Errors
    /// There is none now, or the transport is closed.
    pub fn try_recv(&mut self) -> Result<Incoming, TryRecvError> {
        self.items.try_recv().map(|(item, _room)| item)
    }
}

impl Drop for Inbox {
    /// Who waits for room waits no longer.
    fn drop(&mut self) {
        self.room.close();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use bytes::Bytes;
    use hivemind_core::ids::PublicKey;
    use hivemind_core::wire::frame::Channel;

    use super::*;

    const PEER: PublicKey = PublicKey([1; 32]);

    fn frame(octets: usize) -> Incoming {
        let (source, bytes) = ("127.0.0.1:1".parse().unwrap(), Bytes::from(vec![0; octets]));
        Incoming::Frame { peer: PEER, source, channel: Channel::Bulk, bytes }
    }

    fn waits(future: impl Future) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[tokio::test]
    async fn octets_are_bounded_and_come_free_as_it_is_read() {
        let (near, mut far) = inbox(1024, 100);
        near.put(frame(60)).await.unwrap();
        assert!(waits(near.put(frame(60))), "there is room for 40");
        near.put(frame(40)).await.unwrap();
        near.put(Incoming::Lost { peer: PEER }).await.unwrap();
        assert_eq!(far.recv().await, Some(frame(60)));
        near.put(frame(60)).await.unwrap();
        assert!(waits(near.put(frame(1))));
        assert_eq!(far.try_recv(), Ok(frame(40)));
        assert_eq!(far.try_recv(), Ok(Incoming::Lost { peer: PEER }));
        assert_eq!(far.try_recv(), Ok(frame(60)));
        assert_eq!(far.try_recv(), Err(TryRecvError::Empty));
    }

    #[tokio::test]
    async fn a_frame_that_is_larger_than_all_of_it_passes_alone() {
        let (near, mut far) = inbox(1024, 100);
        near.put(frame(5000)).await.unwrap();
        assert!(waits(near.put(frame(1))));
        assert_eq!(far.recv().await, Some(frame(5000)));
        near.put(frame(1)).await.unwrap();
    }

    #[tokio::test]
    async fn the_number_is_bounded_and_whoever_waits_hears_that_nobody_reads() {
        let (near, far) = inbox(1, 100);
        near.put(frame(100)).await.unwrap();
        assert!(waits(near.put(frame(1))));
        drop(far);
        assert_eq!(near.put(frame(1)).await, Err(Closed));
        let (near, far) = inbox(2, 100);
        near.put(frame(100)).await.unwrap();
        let waiting = tokio::spawn(async move { near.put(frame(1)).await });
        tokio::task::yield_now().await;
        drop(far);
        assert_eq!(waiting.await.unwrap(), Err(Closed));
    }
}
