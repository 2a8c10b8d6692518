//! The disk's own thread: writes in order, as many at once as are waiting, and says when they are durable.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hivemind_core::ids::Ticket;
use hivemind_core::machine::Input;
use hivemind_core::storage::Write;
use tokio::sync::mpsc;

use super::panic_text;
use crate::storage::Storage;
use crate::tasks::Tasks;

/// The most batches that wait for the disk; then the machine waits too.
const QUEUE: usize = 256;
/// The most batches that are written by one call.
const GROUP: usize = 64;
/// The disk never waits for the machine to take an answer, or both might wait for each other.
const ANSWERS: usize = QUEUE + GROUP + 1;

struct Batch {
    ticket: Ticket,
    writes: Vec<Write>,
}

/// The disk's thread panicked: a bug, and nothing is written any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panicked(pub(super) String);

/// The near end of the disk's thread.
pub(super) struct Disk {
    batches: mpsc::Sender<Batch>,
    answers: mpsc::Receiver<Result<Input, Panicked>>,
    abandoned: Arc<AtomicBool>,
}

impl Disk {
    pub(super) fn start(mut storage: Storage, tasks: &Tasks) -> Self {
        Disk::of(move |writes: &[Write]| storage.write(writes), tasks)
    }

    /// One that is written by this.
    pub(super) fn of<E: Display>(write: impl FnMut(&[Write]) -> Result<(), E> + Send + 'static, tasks: &Tasks) -> Self {
        let (batches, queue) = mpsc::channel(QUEUE);
        let (answers_in, answers) = mpsc::channel(ANSWERS);
        let abandoned = Arc::new(AtomicBool::new(false));
        let thread = Thread { write, queue, answers: answers_in, abandoned: abandoned.clone() };
        tasks.spawn_blocking(move || thread.run());
        Disk { batches, answers, abandoned }
    }

    /// Queues a batch; waits while too many do.
    pub(super) async fn write(&self, ticket: Ticket, writes: Vec<Write>) {
        // The thread ends early only after it answered that a write failed, or that it panicked: the node ends on that.
        let _ = self.batches.send(Batch { ticket, writes }).await;
    }

    /// The next answer. Does nothing where it is not polled to its end.
    pub(super) async fn answer(&mut self) -> Result<Input, Panicked> {
        // Whatever else the thread ended by, nothing is written any more.
        self.answers.recv().await.unwrap_or_else(|| Err(Panicked("the disk's thread ended".to_owned())))
    }

    /// What is queued is not written any more, as if the process had died.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

struct Thread<W> {
    write: W,
    queue: mpsc::Receiver<Batch>,
    answers: mpsc::Sender<Result<Input, Panicked>>,
    abandoned: Arc<AtomicBool>,
}

impl<E: Display, W: FnMut(&[Write]) -> Result<(), E>> Thread<W> {
    fn run(mut self) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.write_all())) {
            self.tell(Err(Panicked(format!("the disk's thread: {}", panic_text(payload.as_ref())))));
        }
    }

    fn write_all(&mut self) {
        let mut group = Vec::new();
        while self.queue.blocking_recv_many(&mut group, GROUP) > 0 {
            if self.abandoned.load(Ordering::Relaxed) || !self.write(&mut group) {
                return;
            }
        }
    }

    /// Writes a group by one call; false where nothing more is to be written.
    fn write(&mut self, group: &mut Vec<Batch>) -> bool {
        let mut writes = Vec::new();
        let mut tickets = Vec::new();
        for batch in group.drain(..) {
            writes.extend(batch.writes);
            tickets.push(batch.ticket);
        }
        match (self.write)(&writes) {
            Ok(()) => tickets.into_iter().all(|ticket| self.tell(Ok(Input::Stored { ticket }))),
            Err(error) => {
                let ticket = *tickets.first().expect("a group has a batch");
                self.tell(Ok(Input::StoreFailed { ticket, error: error.to_string() }));
                false
            }
        }
    }

    fn tell(&self, answer: Result<Input, Panicked>) -> bool {
        self.answers.blocking_send(answer).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hivemind_core::ids::{BootNonce, ClusterId, Epoch, NodeId, NodeName, Seq};
    use hivemind_core::storage::Identity;

    use super::*;
    use crate::keys::Ed25519Keys;
    use crate::storage::Options;

    fn new_key() -> Vec<u8> {
        Ed25519Keys::generate().unwrap().pkcs8().to_vec()
    }

    fn identity() -> Identity {
        Identity {
            cluster: ClusterId(1),
            epoch: Epoch { generation: 1, number: 0, tag: 1 },
            node: NodeId::new(1, 1),
            name: NodeName::new("a").unwrap(),
            was_voter: false,
            boot: BootNonce::new(1, 1),
            reserved_seq: Seq(0),
        }
    }

    #[tokio::test]
    async fn every_batch_is_answered_in_order_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = Tasks::new();
        let (storage, _, _) = Storage::open(folder.path(), &Options::new(&new_key)).unwrap();
        let mut disk = Disk::start(storage, &tasks);
        disk.write(Ticket(0), vec![Write::Identity(identity())]).await;
        for number in 1..200 {
            disk.write(Ticket(number), vec![Write::Cache(vec![(Bytes::from_static(b"key"), None)])]).await;
        }
        for number in 0..200 {
            assert!(matches!(disk.answer().await, Ok(Input::Stored { ticket }) if ticket == Ticket(number)));
        }
        drop(disk);
        tasks.all_ended().await;
        let (_, recovered, _) = Storage::open(folder.path(), &Options::new(&new_key)).unwrap();
        assert_eq!(recovered.identity, Some(identity()));
    }

    #[tokio::test]
    async fn a_write_that_fails_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = Tasks::new();
        let (storage, _, _) = Storage::open(folder.path(), &Options::new(&new_key)).unwrap();
        let mut disk = Disk::start(storage, &tasks);
        // A node without an identity has no part in a Raft group.
        disk.write(Ticket(7), vec![Write::Compact { below: 3 }]).await;
        assert!(matches!(disk.answer().await, Ok(Input::StoreFailed { ticket: Ticket(7), .. })));
        tasks.all_ended().await;
    }

    #[tokio::test]
    async fn a_panic_of_the_thread_is_told() {
        let tasks = Tasks::new();
        let mut disk = Disk::of(|_: &[Write]| -> Result<(), String> { panic!("planted panic") }, &tasks);
        disk.write(Ticket(1), Vec::new()).await;
        assert!(matches!(disk.answer().await, Err(Panicked(why)) if why == "the disk's thread: planted panic"));
        tasks.all_ended().await;
    }
}
