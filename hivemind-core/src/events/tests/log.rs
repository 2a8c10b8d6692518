use std::sync::LazyLock;

use imbl::OrdSet;

use crate::context::Recipient;
use crate::events::*;
use crate::fixture::{CheapKeys, Surround, birth, id, joined, member, voter};
use crate::keys::Keys;
use crate::wire::frame::Header;

const ALONE: [NodeId; 0] = [];

/// Nobody to tell.
pub(super) fn nobody() -> Peers<'static> {
    Peers { neighbors: &ALONE, far: &ALONE, unreachable: no_one() }
}

fn no_one() -> &'static OrdSet<NodeId> {
    static NONE: LazyLock<OrdSet<NodeId>> = LazyLock::new(OrdSet::new);
    &NONE
}

/// The first voter's log with `events` committed, and its surroundings.
pub(super) fn leader(events: &[Event]) -> (EventLog, Surround) {
    let mut around = Surround::new(1);
    let mut log = EventLog::new(birth(), 16 << 20);
    for event in events {
        let logged = LogEvent::new(log.position().index.next(), event);
        log.commit(vec![logged], true, &nobody(), &mut around.ctx());
        while log.poll_output().is_some() {}
    }
    (log, around)
}

pub(super) fn joins(from: u64, to: u64) -> Vec<Event> {
    (from..=to).map(|counter| joined(counter, false, counter - 1)).collect()
}

pub(super) fn range_after(log: &mut EventLog, around: &mut Surround, asker: u64, after: Position) -> Events {
    around.sent();
    log.handle_message(id(asker), Events::Pull { after }, &nobody(), &mut around.ctx());
    match around.sent().pop().expect("a pull is answered").message {
        Message::Events(answer) => answer,
        other => panic!("a pull is answered by events, not {other:?}"),
    }
}

pub(super) fn follower() -> (EventLog, Surround) {
    (EventLog::new(birth(), 64 << 10), Surround::new(2))
}

fn give(log: &mut EventLog, around: &mut Surround, message: Events) {
    log.handle_message(id(1), message, &nobody(), &mut around.ctx());
}

pub(super) fn batch_of(answer: Events) -> EventBatch {
    match answer {
        Events::Range(batch) => batch,
        other => panic!("not a range: {other:?}"),
    }
}

#[test]
fn a_range_that_a_voter_vouches_for_is_believed() {
    let (mut leads, mut at_leader) = leader(&joins(2, 9));
    let (mut log, mut around) = follower();
    let after = log.position();
    let range = range_after(&mut leads, &mut at_leader, 2, after);
    give(&mut log, &mut around, range);
    assert_eq!(log.position(), leads.position());
    assert_eq!(log.facts(), leads.facts());
}

#[test]
fn a_voter_says_that_its_own_group_commits_something_else_than_voters_signed() {
    let (mut log, mut around) = leader(&joins(2, 5));
    let known = LogEvent::new(Index(3), &joins(2, 5)[2]);
    log.commit(vec![known], false, &nobody(), &mut around.ctx());
    assert_eq!(around.out.reports.pop_front(), None, "it was heard from others before");
    log.commit(vec![LogEvent::new(Index(3), &joined(40, false, 2))], false, &nobody(), &mut around.ctx());
    assert_eq!(around.out.reports.pop_front(), Some(Report::Fork { with: id(1) }));
    assert_eq!(log.position().index, Index(4));
}

#[test]
fn a_relay_can_not_alter_an_event() {
    let (mut leads, mut at_leader) = leader(&joins(2, 5));
    let (mut log, mut around) = follower();
    let mut batch = batch_of(range_after(&mut leads, &mut at_leader, 2, log.position()));
    batch.events[1] = LogEvent::new(Index(2), &joined(40, false, 2));
    give(&mut log, &mut around, Events::Push(batch));
    assert_eq!(log.position().index, Index(0));
    assert!(around.out.reports.contains(&Report::Fork { with: id(1) }));
}

#[test]
fn a_relay_can_not_invent_an_event() {
    let (mut leads, mut at_leader) = leader(&joins(2, 3));
    let (mut log, mut around) = follower();
    let mut batch = batch_of(range_after(&mut leads, &mut at_leader, 2, log.position()));
    batch.events.push(LogEvent::new(Index(3), &joined(40, false, 3)));
    give(&mut log, &mut around, Events::Push(batch));
    assert_eq!(log.position().index, Index(0), "nothing vouches for the last event");
}

#[test]
fn a_range_can_not_appoint_its_own_witness() {
    let (mut log, mut around) = follower();
    let forger = CheapKeys::of(40);
    let events: Vec<LogEvent> =
        [joined(40, false, 1), voter(40)].iter().zip(1..).map(|(event, at)| LogEvent::new(Index(at), event)).collect();
    let mut facts = birth();
    events.iter().for_each(|logged| drop(facts.apply(logged).expect("folds")));
    let Position { epoch, index, chain } = facts.position();
    let signature = forger.sign(&Checkpoint::digest(facts.cluster(), epoch, index, &chain, id(40)));
    let checkpoint = Checkpoint { cluster: facts.cluster(), epoch, index, chain, voter: id(40), signature };
    give(&mut log, &mut around, Events::Push(EventBatch { events, checkpoints: vec![checkpoint] }));
    assert_eq!(log.position().index, Index(0));
}

#[test]
fn a_range_across_a_change_of_voters_carries_the_witness_of_each_part() {
    let (mut leads, mut at_leader) = leader(&[joins(2, 4), vec![voter(2)]].concat());
    // Member 2 leads from here on, and has told the first part as it heard it.
    let mut second = Surround::new(2);
    let mut log_of_second = EventLog::new(birth(), 16 << 20);
    let after = log_of_second.position();
    let first_part = batch_of(range_after(&mut leads, &mut at_leader, 2, after));
    log_of_second.handle_message(id(1), Events::Push(first_part), &nobody(), &mut second.ctx());
    let demoted = LogEvent::new(Index(5), &Event::Voter { member: member(1, false, 0), part: crate::wire::event::VoterPart::None });
    let later = LogEvent::new(Index(6), &joined(9, false, 6));
    log_of_second.commit(vec![demoted], true, &nobody(), &mut second.ctx());
    log_of_second.commit(vec![later], true, &nobody(), &mut second.ctx());
    let (mut log, mut around) = follower();
    around.node = id(3);
    let after = log.position();
    let range = range_after(&mut log_of_second, &mut second, 3, after);
    give(&mut log, &mut around, range);
    assert_eq!(log.position(), log_of_second.position());
}

#[test]
fn events_ahead_of_a_gap_wait_for_a_pull() {
    let (mut leads, mut at_leader) = leader(&joins(2, 6));
    let (mut log, mut around) = follower();
    let mut ahead = batch_of(range_after(&mut leads, &mut at_leader, 2, log.position()));
    ahead.events.drain(..2);
    give(&mut log, &mut around, Events::Push(ahead));
    assert_eq!(log.position().index, Index(0));
    let due = around.timers.next_due().expect("a pull is timed");
    let timer = around.timers.take_due(due).expect("it is due");
    log.handle_timer(timer, &nobody(), &mut around.ctx());
    let sent = around.sent();
    assert!(matches!(&sent[..], [out] if out.message == Message::Events(Events::Pull { after: log.position() })), "{sent:?}");
}

#[test]
fn what_was_collected_is_said_and_only_a_voter_fences() {
    let (mut leads, mut at_leader) = leader(&joins(2, 30));
    leads.set_tail_limit(1_000);
    let (mut log, mut around) = follower();
    let answer = range_after(&mut leads, &mut at_leader, 2, log.position());
    assert!(matches!(answer, Events::Collected { floor } if floor > Index(1)), "{answer:?}");
    log.handle_message(id(5), answer.clone(), &nobody(), &mut around.ctx());
    assert!(log.poll_output().is_none(), "a member that does not vote may have a short tail");
    log.handle_message(id(1), answer, &nobody(), &mut around.ctx());
    assert!(matches!(log.poll_output(), Some(Output::Fenced { by }) if by == id(1)));
}

#[test]
fn who_no_longer_holds_what_came_from_another_meanwhile_is_asked_on() {
    let (mut leads, mut at_leader) = leader(&joins(2, 30));
    let (mut log, mut around) = follower();
    let chain = Header::chain_prefix(&log.position());
    // Whom it pulls from before a pull would have lasted too long.
    let asked = |log: &mut EventLog, around: &mut Surround| {
        let until = around.now.time + around.settings.events.pull_timeout / 2;
        while let Some(due) = around.timers.next_due().filter(|due| *due < until) {
            around.now.time = due;
            let timer = around.timers.take_due(due).expect("it is due");
            log.handle_timer(timer, &nobody(), &mut around.ctx());
        }
        around.sent().into_iter().map(|out| out.to).collect::<Vec<_>>()
    };
    log.observe(id(1), Index(20), chain, &mut around.ctx());
    assert_eq!(asked(&mut log, &mut around), [Recipient::Node(id(1))]);
    let all = batch_of(range_after(&mut leads, &mut at_leader, 2, log.position()));
    give(&mut log, &mut around, Events::Push(all));
    give(&mut log, &mut around, Events::Collected { floor: Index(10) });
    log.observe(id(1), Index(99), chain, &mut around.ctx());
    assert_eq!(asked(&mut log, &mut around), [Recipient::Node(id(1))], "it was neither slow nor did it lie");
    give(&mut log, &mut around, Events::Collected { floor: Index(10) });
    assert_eq!(asked(&mut log, &mut around), [], "it does hold what follows");
}

#[test]
fn who_left_believes_the_farewell_that_says_so_and_gets_none_that_is_not_held() {
    let left = Event::Left { node: id(2), reason: LeaveReason::Asked, listed: vec![] };
    let (mut leads, mut at_leader) = leader(&[joins(2, 5), vec![left]].concat());
    let (mut log, mut around) = follower();
    let before = batch_of(range_after(&mut leads, &mut at_leader, 2, log.position()));
    log.commit(before.events[..2].to_vec(), false, &nobody(), &mut around.ctx());
    let farewell = leads.farewell(log.position().index, &at_leader.ctx()).expect("it is held");
    give(&mut log, &mut around, Events::Push(farewell));
    assert!(log.facts().member(id(2)).is_none());
    assert!(leads.farewell(Index(99), &at_leader.ctx()).is_none());
}

#[test]
fn who_lies_about_how_far_it_is_does_not_keep_others_pulling() {
    let (mut leads, mut at_leader) = leader(&joins(2, 5));
    let (mut log, mut around) = follower();
    let range = range_after(&mut leads, &mut at_leader, 2, log.position());
    give(&mut log, &mut around, range);
    let chain = Header::chain_prefix(&log.position());
    log.observe(id(4), Index(u64::MAX), chain, &mut around.ctx());
    let mut pulls = 0;
    while let Some(due) = around.timers.next_due() {
        around.now.time = due;
        while let Some(timer) = around.timers.take_due(due) {
            log.handle_timer(timer, &nobody(), &mut around.ctx());
        }
        for asked in around.sent() {
            let Recipient::Node(from) = asked.to else { panic!("{asked:?}") };
            pulls += 1;
            assert!(pulls < 5, "the voter said that there is nothing");
            log.handle_message(from, Events::Range(EventBatch::default()), &nobody(), &mut around.ctx());
        }
    }
    assert!((1..5).contains(&pulls));
}

#[test]
fn a_tail_keeps_few_checkpoints_and_serves_from_everywhere() {
    let (mut leads, mut at_leader) = leader(&[]);
    let (mut relay, mut at_relay) = follower();
    relay.set_tail_limit(1 << 20);
    let mut positions = vec![relay.position()];
    for counter in 2..=120 {
        let event = if counter % 25 == 0 { voter(counter - 1) } else { joined(counter, false, 0) };
        let logged = LogEvent::new(leads.position().index.next(), &event);
        leads.commit(vec![logged], true, &nobody(), &mut at_leader.ctx());
        let range = range_after(&mut leads, &mut at_leader, 2, relay.position());
        give(&mut relay, &mut at_relay, range);
        positions.push(relay.position());
    }
    assert_eq!(relay.position(), leads.position());
    let checkpoints = batch_of(range_after(&mut relay, &mut at_relay, 3, positions[0])).checkpoints;
    assert!(checkpoints.len() < 10, "{} checkpoints", checkpoints.len());
    for after in positions.iter().rev().skip(1) {
        let mut facts = birth();
        let all = batch_of(range_after(&mut leads, &mut at_leader, 3, positions[0]));
        let known = all.events.iter().take_while(|logged| logged.index <= after.index);
        known.for_each(|logged| drop(facts.apply(logged).expect("it folds")));
        let (mut log, mut around) = (EventLog::new(facts, 64 << 10), Surround::new(3));
        let range = range_after(&mut relay, &mut at_relay, 3, *after);
        give(&mut log, &mut around, range);
        assert_eq!(log.position(), relay.position(), "from {after}");
    }
}

#[test]
fn another_chain_at_the_same_index_shows_as_a_fork() {
    let (mut log, mut around) = follower();
    let chain = Header::chain_prefix(&log.position());
    log.observe(id(1), Index(0), chain, &mut around.ctx());
    assert!(around.out.reports.is_empty());
    log.observe(id(1), Index(0), chain ^ 1, &mut around.ctx());
    assert_eq!(around.out.reports.pop_front(), Some(Report::Fork { with: id(1) }));
}

#[test]
fn an_event_that_contradicts_the_members_changes_nothing() {
    let mut facts = birth();
    let before = facts.clone();
    let twice =
        Event::Joined { member: member(1, false, 1), neighborhood: crate::ids::NeighborhoodId(0), supersedes: None, listed: vec![] };
    let events = [
        twice,
        Event::Left { node: id(77), reason: crate::wire::event::LeaveReason::Asked, listed: vec![] },
        Event::Restarted { node: id(1) },
        voter(77),
    ];
    for event in events {
        assert_eq!(facts.apply(&LogEvent::new(Index(1), &event)), Err(crate::facts::FoldError::Contradiction { index: Index(1) }));
        assert_eq!(facts, before);
    }
}

#[test]
fn what_a_former_start_kept_is_told_as_far_as_it_leads_up_to_now_and_is_never_served() {
    let (first, _) = leader(&joins(2, 9));
    let events: Vec<LogEvent> = first.kept().collect();
    let indices = |log: &EventLog| log.kept().map(|logged| logged.index.0).collect::<Vec<_>>();
    let last = first.position().index.0;
    let anew = |limit: usize, events: Vec<LogEvent>| {
        let mut log = EventLog::new(first.facts().clone(), limit);
        log.recall(events);
        log
    };
    assert_eq!(indices(&anew(1 << 20, events.clone())), indices(&first));
    let mut torn = events.clone();
    torn.remove(4);
    assert_eq!(indices(&anew(1 << 20, torn)), (6..=last).collect::<Vec<_>>(), "what others do not follow is left out");
    let most = events.iter().rev().take(2).map(|logged| logged.payload.len()).sum();
    assert_eq!(indices(&anew(most, events.clone())), [last - 1, last], "bounded as the tail is");
    let mut ahead = events.clone();
    ahead.push(LogEvent::new(first.position().index.next(), &joins(10, 10)[0]));
    assert_eq!(indices(&anew(1 << 20, ahead)), indices(&first), "what was not folded is not told");

    let mut log = anew(1 << 20, events.clone());
    assert_eq!(log.floor().0, last + 1, "nobody's word for it is at hand");
    let mut around = Surround::new(1);
    log.commit(vec![LogEvent::new(log.position().index.next(), &joins(10, 10)[0])], true, &nobody(), &mut around.ctx());
    assert_eq!(indices(&log), (events[0].index.0..=last + 1).collect::<Vec<_>>(), "what came since follows");
    let facts = log.facts().clone();
    log.replace(facts, &around.ctx());
    assert!(indices(&log).is_empty(), "another story begins");
}
