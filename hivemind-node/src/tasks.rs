//! The tasks of one node: counted, so that a stop can wait until none is left.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

/// Counts the tasks that it spawned and that still run.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    running: Arc<watch::Sender<usize>>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Tasks { running: Arc::new(watch::Sender::new(0)) }
    }

    /// Spawns a task that is counted until it ends, is dropped or panics.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let counted = Counted::new(self.running.clone());
        tokio::spawn(async move {
            let _counted = counted;
            task.await;
        });
    }

    /// Runs `work`, which may block, on a thread of its own, and counts it too.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        let counted = Counted::new(self.running.clone());
        tokio::task::spawn_blocking(move || {
            // Dropped after all that `work` holds.
            let _counted = counted;
            work();
        });
    }

    /// Waits until none runs.
    pub(crate) async fn all_ended(&self) {
        let mut running = self.running.subscribe();
        running.wait_for(|running| *running == 0).await.expect("this value holds the sender");
    }
}

struct Counted(Arc<watch::Sender<usize>>);

impl Counted {
    fn new(running: Arc<watch::Sender<usize>>) -> Self {
        running.send_modify(|running| *running += 1);
        Counted(running)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_no_longer_counted() {
        let tasks = Tasks::new();
        tasks.spawn(async { panic!("planted") });
        tasks.spawn(async {});
        tasks.all_ended().await;
    }
}
