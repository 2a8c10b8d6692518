//! The view is put together where something moved, and the roles are run over it.

use std::sync::Arc;

use super::{Effect, Machine};
use crate::ids::NodeId;
use crate::planted;
use crate::role::{Requests, RoleEvent};
use crate::timers::Timer;
use crate::view::View;

impl Machine {
    /// Makes the new view, if anything moved.
    pub(super) fn refresh_view(&mut self) {
        let Some(log) = self.log.as_ref().filter(|_| !self.changed.is_empty()) else { return };
        let mut changed = std::mem::take(&mut self.changed);
        let mut view = View {
            node: self.identity.as_ref().map_or(NodeId::NONE, |identity| identity.node),
            facts: log.facts().clone(),
            configs: self.configs.held().clone(),
            unreachable: self.membership.unreachable().clone(),
            condition: self.condition,
        };
        planted::spoil(&self.settings, &mut view, &mut changed);
        let view = Arc::new(view);
        self.view = Some(Arc::clone(&view));
        if self.roles.gather(changed.clone()) {
            self.timers.set(self.now.time + self.settings.role_coalesce, Timer::Roles);
        }
        self.effects.push_back(Effect::View { view, changed });
    }

    pub(super) fn run_roles(&mut self) {
        self.refresh_view();
        let Some(view) = &self.view else { return };
        for state in self.roles.run(view, self.now.time) {
            self.effects.push_back(Effect::Desired { role: state.role, desired: state.desired });
        }
        self.time_retry();
    }

    /// A role that panicked is run again after its pause, even where nothing moves.
    pub(super) fn time_retry(&mut self) {
        if let Some(due) = self.roles.next_retry()
            && self.role_retry.is_none_or(|timed| timed <= self.now.time || due < timed)
        {
            self.role_retry = Some(due);
            self.timers.set(due, Timer::Roles);
        }
    }

    /// Does what a role asks for.
    pub(super) fn serve_role(&mut self, role: usize, requests: Requests) {
        if !requests.publish.is_empty() {
            self.publish_for_role(requests.publish);
        }
        for (request, command) in requests.propose {
            self.propose_for_role(role, request, command);
        }
    }

    pub(super) fn tell_role(&mut self, role: usize, event: RoleEvent<'_>) {
        let Some(view) = self.view.clone() else { return };
        let requests = self.roles.hear_one(role, event, &view, self.now.time);
        self.time_retry();
        self.serve_role(role, requests);
    }
}
