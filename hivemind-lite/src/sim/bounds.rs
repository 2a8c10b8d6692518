//! How long things may take once faults have stopped: the bounds of L1 and L2, each derived from the settings.
//!
//! `docs/bounds.md` derives each formula in words, with its figure at the default settings; a test compares the two.

use std::time::Duration;

use hivemind_core::settings::Settings;

/// What is left of the faults in the links: a connection to a process that died in the meantime is given up after this.
/// It is the transport's to set, and the longest that the simulator has (`Profile::idle_timeout`).
pub const LINKS: Duration = Duration::from_secs(30);
/// One election in two may fail, by split votes or by a candidate whose log is behind: eight in a row do once in 256.
const ELECTIONS: u32 = 8;
/// A question that finds nobody who can answer is asked so often before it finds one who can, about.
const TRIES: u32 = 4;

/// The bounds of a cluster of a given size.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    settings: &'a Settings,
    nodes: u32,
}

impl<'a> Bounds<'a> {
    /// Of a cluster of `nodes` nodes, dead ones included.
    pub fn new(settings: &'a Settings, nodes: usize) -> Self {
        Bounds { settings, nodes: u32::try_from(nodes).expect("a cluster has fewer than 2^32 nodes") }
    }

    /// Until there is one leader whom every voter follows.
    pub fn leader(&self) -> Duration {
        let control = &self.settings.control;
        let longest = control.tick * u32::try_from(2 * control.election_ticks).expect("an election takes fewer than 2^31 ticks");
        LINKS + longest * ELECTIONS
    }

    /// Until a process that was put out, or never was in, is a member.
    pub fn admission(&self) -> Duration {
        self.settings.admission_retry * TRIES + self.settings.control.proposal_timeout * 2
    }

    /// Until a node that hears of an event has it.
    pub fn catching_up(&self) -> Duration {
        let events = &self.settings.events;
        (events.pull_jitter + events.pull_timeout) * TRIES + self.settings.control.degraded_after
    }

    /// L1: until every running node is a member, at the position of all, and knows that it is.
    pub fn position(&self) -> Duration {
        self.leader() + self.admission() + self.catching_up()
    }

    /// L1: until every consumer answers with every host's version.
    pub fn configs(&self) -> Duration {
        let configs = &self.settings.configs;
        self.position() + configs.offer_retry * TRIES + configs.compare * TRIES + self.settings.role_coalesce
    }

    /// Until a crash is seen, and enough members say so.
    pub fn detection(&self) -> Duration {
        let membership = &self.settings.membership;
        let probes = membership.probe_period * self.neighborhood();
        let confirmed = membership.confirm_interval * (membership.confirm_pings + 1);
        probes + membership.suspicion + confirmed + membership.evidence_interval + self.settings.control.evidence_window
    }

    /// L2: until crashed members have left, and those who live reach each other.
    pub fn leaves(&self) -> Duration {
        let control = &self.settings.control;
        let windows = 1 + self.nodes / u32::try_from(control.max_leaves.max(1)).expect("a small number");
        self.position() + self.detection() * 2 + control.leave_window * windows
    }

    /// L1: until as many vote as are wanted, where there are so many.
    pub fn voters(&self) -> Duration {
        let wanted = u32::try_from(self.settings.control.voters.max(1)).expect("a small number");
        self.leaves() + self.settings.control.proposal_timeout * 2 * wanted
    }

    /// The longest that anything may take which a run measures: what is not there by then is missing.
    pub fn longest(&self) -> Duration {
        self.voters().max(self.configs())
    }

    /// How many nodes probe each other, at most.
    fn neighborhood(&self) -> u32 {
        let most = u32::from(self.settings.control.neighborhoods.most);
        self.nodes.min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of the table in `docs/bounds.md` and what they speak of.
    #[test]
    fn the_document_says_what_the_code_says() {
        let settings = Settings::default();
        let text = include_str!("../../../docs/bounds.md");
        for nodes in [12, 48, 1_000] {
            let bounds = Bounds::new(&settings, nodes);
            let all = [
                ("leader", bounds.leader()),
                ("admission", bounds.admission()),
                ("catching up", bounds.catching_up()),
                ("position", bounds.position()),
                ("configs", bounds.configs()),
                ("detection", bounds.detection()),
                ("leaves", bounds.leaves()),
                ("voters", bounds.voters()),
            ];
            for (name, bound) in all {
                let row = text.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap_or_else(|| panic!("no row {name}"));
                let figure = format!("{nodes}: {} s", bound.as_millis() as f64 / 1_000.0);
                assert!(row.contains(&figure), "{name}: {figure} is not in {row}");
            }
        }
    }

    #[test]
    fn slower_settings_have_longer_bounds() {
        let (settings, mut slower) = (Settings::default(), Settings::default());
        slower.control.proposal_timeout *= 2;
        slower.membership.probe_period *= 2;
        let (bounds, longer) = (Bounds::new(&settings, 48), Bounds::new(&slower, 48));
        assert!(longer.position() > bounds.position() && longer.leaves() > bounds.leaves() && longer.longest() > bounds.longest());
        assert!(Bounds::new(&settings, 200).leaves() > bounds.leaves(), "many leaves are held to a rate");
    }
}
