//! What the server counts.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::answer::{Code, Outcome};

/// The counters, as the server's tasks raise them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    answers: AtomicU64,
    no_data: AtomicU64,
    nx_domain: AtomicU64,
    serv_fail: AtomicU64,
    refused: AtomicU64,
    form_err: AtomicU64,
    not_imp: AtomicU64,
    bad_vers: AtomicU64,
    truncated: AtomicU64,
    malformed: AtomicU64,
    unsent: AtomicU64,
    connections_displaced: AtomicU64,
    connections_dropped: AtomicU64,
}

/// What the server did since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Responses with records.
    pub answers: u64,
    /// Responses that a name has no records of a type.
    pub no_data: u64,
    /// Responses that a name does not exist.
    pub nx_domain: u64,
    /// Responses that the zone is not complete.
    pub serv_fail: u64,
    /// Responses that it does not answer for that.
    pub refused: u64,
    /// Responses to malformed queries.
    pub form_err: u64,
    /// Responses to operations that are not implemented.
    pub not_imp: u64,
    /// Responses to unknown versions of EDNS.
    pub bad_vers: u64,
    /// Responses, of those above, that were truncated.
    pub truncated: u64,
    /// Packets without a response: too short, or responses themselves.
    pub malformed: u64,
    /// Responses that the system would not send.
    pub unsent: u64,
    /// TCP connections closed in favor of newer ones, for there were too many.
    pub connections_displaced: u64,
    /// TCP connections closed because the client was silent or slow, or broke the framing.
    pub connections_dropped: u64,
}

impl Counters {
    pub(super) fn count(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Short | Outcome::NotAQuery => &self.malformed,
            Outcome::Responded { code, truncated } => {
                if truncated {
                    raise(&self.truncated);
                }
                match code {
                    Code::Answer => &self.answers,
                    Code::NoData => &self.no_data,
                    Code::NxDomain => &self.nx_domain,
                    Code::ServFail => &self.serv_fail,
                    Code::Refused => &self.refused,
                    Code::FormErr => &self.form_err,
                    Code::NotImp => &self.not_imp,
                    Code::BadVers => &self.bad_vers,
                }
            }
        };
        raise(counter);
    }

    pub(super) fn count_unsent(&self) {
        raise(&self.unsent);
    }

    pub(super) fn count_connection_displaced(&self) {
        raise(&self.connections_displaced);
    }

    pub(super) fn count_connection_dropped(&self) {
        raise(&self.connections_dropped);
    }

    pub(super) fn read(&self) -> Statistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            answers: read(&self.answers),
            no_data: read(&self.no_data),
            nx_domain: read(&self.nx_domain),
            serv_fail: read(&self.serv_fail),
            refused: read(&self.refused),
            form_err: read(&self.form_err),
            not_imp: read(&self.not_imp),
            bad_vers: read(&self.bad_vers),
            truncated: read(&self.truncated),
            malformed: read(&self.malformed),
            unsent: read(&self.unsent),
            connections_displaced: read(&self.connections_displaced),
            connections_dropped: read(&self.connections_dropped),
        }
    }
}

fn raise(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
