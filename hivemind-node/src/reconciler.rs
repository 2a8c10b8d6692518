//! Makes the outside world as a role wants it: the latest wish, again and again until it succeeds. One
//! task per role, so that one role's trouble is no other's.

use std::any::type_name;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hivemind_core::role::{AnyDesired, Apply};
use tokio::sync::watch;

use crate::tasks::Tasks;

/// The first pause after a failure; doubled with each further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// The longest.
const BACKOFF_MOST: Duration = Duration::from_secs(30);
/// An apply that is under way when the node stops may take so long to end.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How the io half of a role fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyStatus {
    /// How often it was applied.
    pub applied: u64,
    /// How often that failed or panicked.
    pub failures: u64,
    /// What the last failure said, until one succeeds.
    pub failing: Option<String>,
}

/// The io half of a role, its types forgotten.
pub(crate) trait Reconcile: Send {
    /// Applies whatever `desired` shows, until its sender is gone.
    fn start(self: Box<Self>, desired: watch::Receiver<Option<AnyDesired>>, status: watch::Sender<ApplyStatus>, tasks: &Tasks);
}

/// An [`Apply`] to be run.
pub(crate) struct Reconciler<D, A> {
    apply: A,
    wants: std::marker::PhantomData<fn(D)>,
}

impl<D, A> Reconciler<D, A> {
    pub(crate) fn new(apply: A) -> Self {
        Reconciler { apply, wants: std::marker::PhantomData }
    }
}

impl<D: Send + Sync + 'static, A: Apply<D>> Reconcile for Reconciler<D, A> {
    fn start(self: Box<Self>, desired: watch::Receiver<Option<AnyDesired>>, status: watch::Sender<ApplyStatus>, tasks: &Tasks) {
        tasks.spawn(reconcile(self.apply, desired, status));
    }
}

async fn reconcile<D: Send + Sync + 'static, A: Apply<D>>(
    mut apply: A,
    mut desired: watch::Receiver<Option<AnyDesired>>,
    status: watch::Sender<ApplyStatus>,
) {
    let mut pause = None;
    loop {
        let changed = match pause {
            None => desired.changed().await,
            // A new wish is no reason to hope that the outside world works again, so it waits too.
            Some(pause) => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => Ok(()),
                    () = closed(desired.clone()) => return,
                }
            }
        };
        if changed.is_err() {
            return;
        }
        let Some(wish) = desired.borrow_and_update().clone() else { continue };
        let wish = wish.downcast::<D>().expect("a role's two halves are installed with one type");
        let closing = async {
            closed(desired.clone()).await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        let applied = tokio::select! {
            applied = run(&mut apply, wish) => applied,
            () = closing => return,
        };
        pause = report(applied, pause, &status);
    }
}

/// Waits until no wish can come any more.
async fn closed(mut desired: watch::Receiver<Option<AnyDesired>>) {
    while desired.changed().await.is_ok() {}
}

/// The pause before the next try, where one is needed.
fn report(applied: Result<(), String>, pause: Option<Duration>, status: &watch::Sender<ApplyStatus>) -> Option<Duration> {
    match applied {
        Ok(()) => {
            status.send_modify(|status| {
                status.applied += 1;
                status.failing = None;
            });
            None
        }
        Err(why) => {
            status.send_modify(|status| {
                status.failures += 1;
                status.failing = Some(why);
            });
            Some(pause.map_or(BACKOFF_FIRST, |pause| (pause * 2).min(BACKOFF_MOST)))
        }
    }
}

/// One apply; an error or a panic as text.
async fn run<D: Send + Sync + 'static, A: Apply<D>>(apply: &mut A, wish: Arc<D>) -> Result<(), String> {
    let started = catch_unwind(AssertUnwindSafe(|| apply.apply(wish))).map_err(panicked::<A>)?;
    let mut applying = pin!(started);
    let ended = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| applying.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => std::task::Poll::Ready(Err(panicked::<A>(payload))),
    });
    ended.await?.map_err(|error| describe(&error))
}

/// An error and what caused it.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn panicked<A>(payload: Box<dyn std::any::Any + Send>) -> String {
    format!("{} panicked: {}", type_name::<A>(), crate::driver::panic_text(payload.as_ref()))
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("planted failure of {0}")]
    struct Planted(u32);

    /// Fails on odd numbers for a while, panics on multiples of ten once; tells what it applied.
    struct Moody {
        tries: u32,
        applied: mpsc::Sender<u32>,
    }

    impl Apply<u32> for Moody {
        type Error = Planted;

        async fn apply(&mut self, desired: Arc<u32>) -> Result<(), Planted> {
            self.tries += 1;
            tokio::task::yield_now().await;
            assert!(!desired.is_multiple_of(10) || self.tries > 1, "planted panic");
            if !desired.is_multiple_of(2) && self.tries < 3 {
                return Err(Planted(*desired));
            }
            self.tries = 0;
            self.applied.send(*desired).await.unwrap();
            Ok(())
        }
    }

    struct Rig {
        wishes: watch::Sender<Option<AnyDesired>>,
        status: watch::Receiver<ApplyStatus>,
        applied: mpsc::Receiver<u32>,
        tasks: Tasks,
    }

    fn rig() -> Rig {
        let (applied_in, applied) = mpsc::channel(16);
        let (wishes, desired) = watch::channel(None);
        let (status_in, status) = watch::channel(ApplyStatus::default());
        let tasks = Tasks::new();
        let moody = Moody { tries: 0, applied: applied_in };
        Box::new(Reconciler::<u32, _>::new(moody)).start(desired, status_in, &tasks);
        Rig { wishes, status, applied, tasks }
    }

    fn wish(number: u32) -> Option<AnyDesired> {
        Some(Arc::new(number))
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shown_and_tried_again_until_it_succeeds() {
        let mut rig = rig();
        rig.wishes.send(wish(3)).unwrap();
        let failing = rig.status.wait_for(|status| status.failures == 1).await.unwrap().clone();
        assert_eq!(failing.failing.as_deref(), Some("planted failure of 3"));
        assert_eq!(rig.applied.recv().await, Some(3));
        let status = rig.status.wait_for(|status| status.applied == 1).await.unwrap();
        assert_eq!((status.failures, status.failing.as_deref()), (2, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_shown_and_the_next_try_succeeds() {
        let mut rig = rig();
        rig.wishes.send(wish(10)).unwrap();
        let failing = rig.status.wait_for(|status| status.failures == 1).await.unwrap().clone();
        assert!(failing.failing.unwrap().ends_with("Moody panicked: planted panic"));
        assert_eq!(rig.applied.recv().await, Some(10));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_latest_wish_is_applied() {
        let mut rig = rig();
        for number in [2, 4, 6] {
            rig.wishes.send(wish(number)).unwrap();
        }
        assert_eq!(rig.applied.recv().await, Some(6));
        assert!(rig.applied.try_recv().is_err());
    }

    /// Writes one wish slowly, as the delayed enactor of Amazon DynamoDB's outage of October 2025 did.
    struct Slow {
        world: mpsc::Sender<(&'static str, u32)>,
    }

    impl Apply<u32> for Slow {
        type Error = Planted;

        async fn apply(&mut self, desired: Arc<u32>) -> Result<(), Planted> {
            self.world.send(("begins", *desired)).await.unwrap();
            tokio::time::sleep(Duration::from_secs(3600 / u64::from(*desired))).await;
            self.world.send(("ends", *desired)).await.unwrap();
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_wish_that_takes_long_never_ends_after_a_newer_one() {
        let (world_in, mut world) = mpsc::channel(16);
        let (wishes, desired) = watch::channel(None);
        let (status_in, _status) = watch::channel(ApplyStatus::default());
        let tasks = Tasks::new();
        Box::new(Reconciler::<u32, _>::new(Slow { world: world_in })).start(desired, status_in, &tasks);
        wishes.send(wish(1)).unwrap();
        assert_eq!(world.recv().await, Some(("begins", 1)));
        for newer in 2..=60 {
            wishes.send(wish(newer)).unwrap();
        }
        for expected in [("ends", 1), ("begins", 60), ("ends", 60)] {
            assert_eq!(world.recv().await, Some(expected), "one at a time, and the newest last");
        }
        drop(wishes);
        tasks.all_ended().await;
        assert_eq!(world.try_recv(), Err(mpsc::error::TryRecvError::Disconnected), "nothing of the old comes after it");
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_its_node_even_while_it_waits_to_try_again() {
        let mut rig = rig();
        rig.wishes.send(wish(3)).unwrap();
        rig.status.wait_for(|status| status.failures == 1).await.unwrap();
        drop(rig.wishes);
        rig.tasks.all_ended().await;
    }
}
