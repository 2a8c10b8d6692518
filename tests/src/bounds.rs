//! How long something may take at most, derived from the settings of the nodes that do it: on a machine
//! that is not busy, over a LAN that loses one packet in a hundred.

use std::time::Duration;

use hivemind_core::settings::Settings;

/// Until a leader is there: two rounds of an election at its longest timeout.
pub fn election(settings: &Settings) -> Duration {
    let control = &settings.control;
    control.tick * u32::try_from(control.election_ticks * 4).unwrap_or(u32::MAX)
}

/// Until a committed event, a beat or a config is known to every node of one neighborhood: it is pushed and
/// gossiped, and who missed it compares or pulls, twice if the first try is lost.
pub fn spread(settings: &Settings) -> Duration {
    let events = settings.events.pull_jitter + settings.events.pull_timeout * 2;
    let configs = settings.configs.offer_retry * 2 + settings.configs.compare * 3;
    settings.membership.gossip_period * 10 + events.max(configs)
}

/// Until a node that asks for it is a member, and all know: three tries, with their jitter, and a proposal
/// that was lost.
pub fn join(settings: &Settings) -> Duration {
    settings.admission_retry * 5 + election(settings) + settings.control.proposal_timeout + spread(settings)
}

/// Until the leave of a node that crashed is known to all of `members`: each is probed within as many
/// periods as there are members; a probe that is lost costs one more; then come suspicion, the observers'
/// own pings, and the evidence.
pub fn leave(settings: &Settings, members: u32) -> Duration {
    let swim = &settings.membership;
    let found = swim.probe_period * (members + 2) + swim.suspicion;
    let confirmed = swim.confirm_interval * swim.confirm_pings * 2 + swim.evidence_interval * 4;
    found + confirmed + election(settings) + spread(settings)
}

/// Until every node says that there is no quorum: the last beat may still be on its way, voters wait for
/// the leader to notice, and all look once per beat.
pub fn degraded(settings: &Settings) -> Duration {
    let control = &settings.control;
    let voters = election(settings) + control.voter_degraded_after;
    let others = settings.membership.gossip_period * 10 + control.degraded_after;
    voters.max(others) + control.beat * 2
}
