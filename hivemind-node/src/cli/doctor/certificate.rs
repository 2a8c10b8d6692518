//! The node's key and certificate, and this machine's clock by its dates.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Finding, fail, ok, warn};
use crate::authority::{NodeIdentity, Validity, names_address};
use crate::enroll;
use crate::http::is_beyond_this_machine;
use crate::keys::Ed25519Keys;
use crate::settings_file::NodeSettings;
use crate::storage;

/// What the node shows to others, where it has it.
pub(super) fn look(settings: &NodeSettings, findings: &mut Vec<Finding>) -> Option<NodeIdentity> {
    let (_, key) = storage::inspect(&settings.data_dir).ok().flatten()?;
    let keys = match Ed25519Keys::from_pkcs8(key.as_pkcs8()) {
        Ok(keys) => Arc::new(keys),
        Err(error) => {
            findings.push(fail("key", format!("{error}; restore the data folder, or remove it and join with a new token")));
            return None;
        }
    };
    findings.push(ok("key", format!("it is there: {}", hivemind_core::keys::Keys::public(&*keys))));
    match enroll::load(&settings.data_dir, &keys) {
        Ok(Some(identity)) => {
            findings.extend(identity.validity().into_iter().flat_map(judge));
            findings.extend(https(settings, &identity));
            Some(identity)
        }
        Ok(None) => {
            findings.push(fail("certificate", "there is none; remove the data folder and join with a new token"));
            None
        }
        Err(error) => {
            findings.push(fail("certificate", error.to_string()));
            None
        }
    }
}

/// Whether programs that go by an address can know the node by it, where it serves HTTPS.
fn https(settings: &NodeSettings, identity: &NodeIdentity) -> Option<Finding> {
    let certificate = identity.chain().first().filter(|_| is_beyond_this_machine(settings.http.listen))?;
    let stated = if settings.addresses.is_empty() { std::slice::from_ref(&settings.listen) } else { &settings.addresses };
    let unnamed = enroll::certifiable(stated).into_iter().find(|ip| !names_address(certificate, *ip));
    Some(match unnamed {
        None => ok("https", format!("the certificate names {} and its addresses", settings.name)),
        Some(ip) => {
            let says = format!(
                "the certificate names {}, and not {ip}: it does soon after the daemon is a member, where no other one states this address; until then ask by name",
                settings.name
            );
            warn("https", says)
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "a certificate has dates")]
fn judge(validity: Validity) -> [Finding; 2] {
    judge_at(validity, SystemTime::now())
}

/// A certificate and a clock against each other: either may be wrong.
fn judge_at(validity: Validity, now: SystemTime) -> [Finding; 2] {
    if let Ok(ahead) = validity.from.duration_since(now)
        && !ahead.is_zero()
    {
        let says = format!("it is {} before the certificate was issued: set the clock, by NTP say", rough(ahead));
        return [warn("certificate", "it is not valid yet by this clock; the clock is wrong, not the certificate"), fail("clock", says)];
    }
    let clock = ok("clock", "it is later than the issue of the certificate, as it should be");
    match validity.until.duration_since(now) {
        Ok(left) if validity.is_late(now) => {
            let says = format!("it is valid for {} more, and should have been renewed: look at the daemon's log", rough(left));
            [warn("certificate", says), clock]
        }
        Ok(left) => [ok("certificate", format!("it is valid for {} more", rough(left))), clock],
        Err(_) => {
            let since = now.duration_since(validity.until).unwrap_or_default();
            let says = format!(
                "it expired {} ago, or this clock is ahead: start the daemon, which renews it within 90 days; later, join with a new token",
                rough(since)
            );
            [warn("certificate", says), warn("clock", "it is behind the end of the certificate: check it, by NTP say")]
        }
    }
}

fn rough(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes {
        0..120 => format!("{minutes} min"),
        120..2880 => format!("{} h", minutes / 60),
        2880.. => format!("{} days", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_and_a_certificate_are_judged_by_each_other() {
        let hour = Duration::from_secs(3600);
        let from = SystemTime::UNIX_EPOCH + hour * 1000;
        let validity = Validity { from, until: from + hour * 25 };
        let verdicts = |now| judge_at(validity, now).map(|finding| finding.verdict);
        assert_eq!(verdicts(SystemTime::UNIX_EPOCH), [Verdict::Warn, Verdict::Fail], "a board without a clock");
        assert_eq!(verdicts(from + hour), [Verdict::Ok, Verdict::Ok]);
        assert_eq!(verdicts(from + hour * 24), [Verdict::Warn, Verdict::Ok], "nobody renewed it");
        assert_eq!(verdicts(from + hour * 9000), [Verdict::Warn, Verdict::Warn], "it may be either");
    }
}
