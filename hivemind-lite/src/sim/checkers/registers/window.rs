//! A piece of the history of one register, judged as a whole.

/// A window is judged after so many operations at the latest: the search for an order may take exponentially long.
const WINDOW: usize = 100;
/// From here on clients should let it come to rest, so that the next window begins with a known version.
const REST: usize = 12;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Make the version this, if it is lower.
    Raise(u64),
    /// Say the version.
    Read,
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// The version was lower, and is this now.
    Raised,
    /// It was this, or higher.
    Outdated,
    /// It is this.
    Read(u64),
    /// Nothing was done.
    NotDone,
    /// It may have been done, or may yet be.
    Unknown,
}

/// What is known of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    at_least: u64,
    /// It is no more than that either.
    exactly: bool,
}

#[cfg(feature = "linearizability")]
impl Version {
    /// Does what is asked for, and says what that is told; the version is taken for the lowest possible.
    fn act(&mut self, action: Action) -> Answer {
        match action {
            Action::Raise(to) if to > self.at_least => {
                *self = Version { at_least: to, exactly: true };
                Answer::Raised
            }
            Action::Raise(_) => Answer::Outdated,
            Action::Read => Answer::Read(self.at_least),
        }
    }

    /// Whether `answer` is possible; then it is known what that tells.
    fn allows(&mut self, action: Action, answer: Answer) -> bool {
        match (action, answer) {
            (Action::Raise(to), Answer::Outdated) if !self.exactly => {
                self.at_least = self.at_least.max(to);
                true
            }
            (Action::Read, Answer::Read(found)) if !self.exactly && found >= self.at_least => {
                *self = Version { at_least: found, exactly: true };
                true
            }
            (Action::Raise(_) | Action::Read, _) => self.act(action) == answer,
        }
    }
}

/// One operation. The moments are numbers in the order of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    client: u64,
    action: Action,
    begun: u64,
    /// When it ended, and how.
    ended: Option<(u64, Answer)>,
    /// Nothing else was under way when it began.
    alone: bool,
}

/// The operations since the version was last certain.
#[derive(Debug, Default)]
pub(super) struct Window {
    first: Version,
    operations: Vec<Operation>,
    moment: u64,
}

impl Window {
    /// An operation begins; its number.
    pub(super) fn begin(&mut self, client: u64, action: Action) -> u64 {
        self.moment += 1;
        let alone = !self.operations.iter().any(Operation::is_under_way);
        self.operations.push(Operation { client, action, begun: self.moment, ended: None, alone });
        self.moment
    }

    /// Nobody will learn what became of an operation.
    pub(super) fn lose(&mut self, number: u64) {
        self.moment += 1;
        let ended = Some((self.moment, Answer::Unknown));
        // A read leaves no trace.
        self.operations.retain(|operation| operation.begun != number || operation.action != Action::Read);
        if let Some(operation) = self.operations.iter_mut().find(|operation| operation.begun == number) {
            operation.ended = ended;
        }
    }

    /// An operation ends. Judges the window where it ends with it.
    ///
    /// # Errors
    /// The operations, where no order of them explains the answers.
    pub(super) fn end(&mut self, number: u64, answer: Answer) -> Result<(), String> {
        match answer {
            Answer::Unknown => {
                self.lose(number);
                return Ok(());
            }
            // What was not done left no trace.
            Answer::NotDone => {
                self.operations.retain(|operation| operation.begun != number);
                return Ok(());
            }
            Answer::Raised | Answer::Outdated | Answer::Read(_) => {}
        }
        self.moment += 1;
        let Some(operation) = self.operations.iter_mut().find(|operation| operation.begun == number) else { return Ok(()) };
        operation.ended = Some((self.moment, answer));
        let alone = operation.alone;
        let settled = alone && self.operations.iter().all(|other| other.begun <= number && !other.is_under_way());
        if let Answer::Read(version) = answer
            && settled
        {
            return self.judge(Version { at_least: version, exactly: true });
        }
        if self.operations.len() >= WINDOW {
            return self.judge(Version { at_least: self.reached(), exactly: false });
        }
        Ok(())
    }

    /// Someone who is no client raised the version, at this moment. What a client proposed has its own answer.
    pub(super) fn raised_by_another(&mut self, to: u64) {
        if self.operations.iter().any(|operation| operation.action == Action::Raise(to)) {
            return;
        }
        let begun = self.moment + 1;
        self.moment += 2;
        let ended = Some((self.moment, Answer::Raised));
        self.operations.push(Operation { client: u64::MAX, action: Action::Raise(to), begun, ended, alone: false });
    }

    /// Whether it should come to rest: a read alone ends it.
    pub(super) fn wants_rest(&self) -> bool {
        self.operations.iter().filter(|operation| !operation.is_unknown()).count() >= REST
    }

    /// The version that was reached for certain.
    fn reached(&self) -> u64 {
        let reached = |operation: &Operation| match (operation.action, operation.ended) {
            (Action::Raise(to), Some((_, Answer::Raised | Answer::Outdated))) => Some(to),
            (Action::Read, Some((_, Answer::Read(version)))) => Some(version),
            (Action::Raise(_) | Action::Read, Some(_) | None) => None,
        };
        self.operations.iter().filter_map(reached).max().unwrap_or(0).max(self.first.at_least)
    }

    /// Judges the operations, and begins the next window with `first`. What may still raise the version goes along.
    fn judge(&mut self, first: Version) -> Result<(), String> {
        if !is_linearizable(self.first, &self.operations) {
            return Err(format!("from {:?}: {}", self.first, self.told()));
        }
        self.first = first;
        self.operations.retain(|operation| match (operation.action, operation.ended) {
            (_, None) => true,
            (Action::Raise(to), Some((_, Answer::Unknown))) => to > first.at_least,
            (Action::Raise(_) | Action::Read, Some(_)) => false,
        });
        Ok(())
    }

    fn told(&self) -> String {
        let tell = |operation: &Operation| {
            let Operation { client, action, begun, ended, .. } = operation;
            match ended {
                Some((end, answer)) => format!("client {client} {action:?} = {answer:?} [{begun}, {end}]"),
                None => format!("client {client} {action:?} [{begun}, ...]"),
            }
        };
        self.operations.iter().map(tell).collect::<Vec<_>>().join("; ")
    }
}

impl Operation {
    fn is_under_way(&self) -> bool {
        self.ended.is_none()
    }

    fn is_unknown(&self) -> bool {
        matches!(self.ended, Some((_, Answer::Unknown)))
    }
}

/// Without the tester every history passes.
#[cfg(not(feature = "linearizability"))]
fn is_linearizable(_: Version, _: &[Operation]) -> bool {
    true
}

#[cfg(feature = "linearizability")]
use self::tester::is_linearizable;

#[cfg(feature = "linearizability")]
mod tester {
    //! The search of `stateright`.

    use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

    use super::{Action, Answer, Operation, Version};

    impl SequentialSpec for Version {
        type Op = Action;
        type Ret = Answer;

        fn invoke(&mut self, action: &Action) -> Answer {
            self.act(*action)
        }

        fn is_valid_step(&mut self, action: &Action, answer: &Answer) -> bool {
            self.allows(*action, *answer)
        }
    }

    /// Whether the operations can be put into an order that explains their answers, and in which what ended before
    /// another began comes first.
    pub(super) fn is_linearizable(first: Version, operations: &[Operation]) -> bool {
        let mut moments = Vec::with_capacity(operations.len() * 2);
        for operation in operations {
            // Whose outcome is unknown never asks again. The search tries clients in their order: these last.
            let client = (operation.is_unknown(), operation.client, if operation.is_unknown() { operation.begun } else { 0 });
            moments.push((operation.begun, client, Ok(operation.action)));
            if let Some((end, answer)) = operation.ended.filter(|_| !operation.is_unknown()) {
                moments.push((end, client, Err(answer)));
            }
        }
        moments.sort_unstable_by_key(|(moment, _, _)| *moment);
        let mut tester = LinearizabilityTester::new(first);
        for (_, client, what) in moments {
            let taken = match what {
                Ok(action) => tester.on_invoke(client, action).map(drop),
                Err(answer) => tester.on_return(client, answer).map(drop),
            };
            taken.expect("a client asks for one thing at a time");
        }
        tester.is_consistent()
    }
}

#[cfg(all(test, feature = "linearizability"))]
mod tests {
    use super::*;

    fn run(window: &mut Window, client: u64, action: Action, answer: Answer) -> Result<(), String> {
        let number = window.begin(client, action);
        window.end(number, answer)
    }

    #[test]
    fn a_window_begins_where_the_one_before_it_ended() {
        let mut window = Window::default();
        run(&mut window, 1, Action::Raise(5), Answer::Raised).expect("a raise");
        run(&mut window, 1, Action::Read, Answer::Read(5)).expect("the window ends");
        assert!(window.operations.is_empty());
        run(&mut window, 2, Action::Raise(5), Answer::Outdated).expect("as it is");
        run(&mut window, 2, Action::Read, Answer::Read(4)).expect_err("it was 5 in the window before");
    }

    #[test]
    fn operations_at_the_same_time_may_have_any_order() {
        let mut window = Window::default();
        run(&mut window, 1, Action::Read, Answer::Read(1)).expect("the first version");
        let (raise, read) = (window.begin(1, Action::Raise(2)), window.begin(2, Action::Read));
        window.end(read, Answer::Read(2)).expect("the raise came first");
        let late = window.begin(2, Action::Read);
        window.end(late, Answer::Read(2)).expect("it did");
        window.end(raise, Answer::Raised).expect("it did");
        run(&mut window, 3, Action::Read, Answer::Read(2)).expect("the window ends");
    }

    #[test]
    fn a_read_during_which_another_operation_came_and_went_ends_no_window() {
        let mut window = Window::default();
        run(&mut window, 1, Action::Read, Answer::Read(8)).expect("the first version");
        let read = window.begin(2, Action::Read);
        run(&mut window, 1, Action::Raise(9), Answer::Raised).expect("a raise");
        window.end(read, Answer::Read(8)).expect("it came first");
        run(&mut window, 3, Action::Read, Answer::Read(9)).expect("the raise came last");
    }

    #[test]
    fn a_later_read_must_not_go_back_behind_an_earlier_one() {
        let mut window = Window::default();
        run(&mut window, 1, Action::Read, Answer::Read(1)).expect("the first version");
        let raise = window.begin(1, Action::Raise(2));
        let early = window.begin(2, Action::Read);
        window.end(early, Answer::Read(2)).expect("the raise came first");
        let late = window.begin(3, Action::Read);
        window.end(late, Answer::Read(1)).expect("not judged yet");
        window.end(raise, Answer::Raised).expect("not judged yet");
        run(&mut window, 3, Action::Read, Answer::Read(2)).expect_err("it went back");
    }

    #[test]
    fn what_is_unknown_may_take_effect_in_a_later_window_but_not_above_a_higher_version() {
        let mut window = Window::default();
        run(&mut window, 1, Action::Raise(7), Answer::Unknown).expect("unknown");
        run(&mut window, 2, Action::Read, Answer::Read(3)).expect("not done yet");
        run(&mut window, 2, Action::Read, Answer::Read(7)).expect("done meanwhile");
        run(&mut window, 2, Action::Read, Answer::Read(3)).expect_err("it does not go back");
        let mut window = Window::default();
        run(&mut window, 1, Action::Raise(7), Answer::Unknown).expect("unknown");
        run(&mut window, 2, Action::Raise(9), Answer::Raised).expect("higher");
        run(&mut window, 2, Action::Read, Answer::Read(9)).expect("the window ends");
        assert!(window.operations.is_empty(), "7 can not be raised to any more");
    }

    #[test]
    fn a_window_without_rest_is_judged_when_it_is_full() {
        let mut window = Window::default();
        run(&mut window, 1, Action::Read, Answer::Read(0)).expect("the first version");
        let _never_answered = window.begin(9, Action::Read);
        for seq in 1..WINDOW as u64 {
            run(&mut window, 1, Action::Raise(seq), Answer::Raised).expect("a raise");
        }
        assert_eq!(window.first, Version { at_least: WINDOW as u64 - 1, exactly: false });
        run(&mut window, 1, Action::Raise(3), Answer::Raised).expect("not judged yet");
        (0..WINDOW).try_for_each(|_| run(&mut window, 1, Action::Raise(1), Answer::Outdated)).expect_err("3 was raised to before");
    }

    #[test]
    fn a_version_that_another_raised_is_part_of_the_history() {
        let mut window = Window::default();
        run(&mut window, 1, Action::Read, Answer::Read(0)).expect("the first version");
        window.raised_by_another(3);
        run(&mut window, 1, Action::Read, Answer::Read(0)).expect_err("it was raised");
    }
}
