//! Snapshots in the course of things: when one is made, and how one comes to who needs it.

use super::Control;
use super::making::Making;
use super::output::Output;
use crate::context::Context;
use crate::ids::NodeId;
use crate::rng::split_mix;
use crate::settings::ControlSettings;
use crate::wire::frame::Channel;
use crate::wire::message::{self, Message, SnapshotPart, SnapshotWant};

/// A snapshot is encoded by so many bytes at a time: about a millisecond.
const SLICE: usize = 256 << 10;
/// Of the entries between two snapshots this part is kept below the later one.
const KEPT_PART: u64 = 4;
/// So many times the entries between two snapshots are kept at most, for those who are being sent one.
const MOST_KEPT: u64 = 8;

impl Control {
    /// Begins a snapshot when the log is long, or a follower needs one that names it. A small state is
    /// encoded at once, a large one slice by slice, with each tick.
    pub(super) fn snapshot_if_due(&mut self, ctx: &Context<'_>) {
        let is_wanted = self.raw.take_snapshot_wanted();
        let behind = self.raw.applied().saturating_sub(self.raw.snapshot_index());
        let is_due = is_wanted || behind >= self.interval(&ctx.settings.control);
        let Some(applied) = self.applied.as_ref().filter(|_| behind > 0 && is_due && self.making.is_none()) else { return };
        self.making = Some(Making::begin(applied.clone(), self.raw.applied()));
        self.make(ctx);
    }

    /// After so many entries this node makes its next snapshot: each voter at its own time, so that they
    /// are not all busy with it at once.
    fn interval(&self, settings: &ControlSettings) -> u64 {
        let mut state = self.node.as_u64() ^ self.raw.snapshot_index();
        settings.snapshot_entries + split_mix(&mut state) % (settings.snapshot_entries / 2).max(1)
    }

    /// Encodes the next slice of the snapshot in the making, and gives it out when it is whole.
    fn make(&mut self, ctx: &Context<'_>) {
        // One that the leader sent since covers more, and the log behind it is gone.
        let Some(mut making) = self.making.take().filter(|making| making.index() > self.raw.snapshot_index()) else { return };
        if !making.go_on(SLICE) {
            self.making = Some(making);
            return;
        }
        let entries = ctx.settings.control.snapshot_entries;
        let (number, writes) = self.raw.snapshot(making.made(), entries / KEPT_PART, entries * MOST_KEPT);
        self.outputs.push_back(Output::Persist { number, writes });
    }

    /// What goes on with the ticks: a snapshot in the making, and one that is waited for.
    pub(super) fn go_on_with_snapshots(&mut self, ctx: &mut Context<'_>) {
        self.make(ctx);
        if let Some((from, want)) = self.raw.retry_part(ctx.now.time) {
            ctx.send(from, Channel::Ordered, Message::Control(message::Control::SnapshotWant(want)));
        }
    }

    pub(super) fn handle_part(&mut self, from: NodeId, part: &SnapshotPart, ctx: &mut Context<'_>) {
        if !self.may_speak(from) {
            return self.junk(from, "a snapshot of one that has no part in the group", ctx);
        }
        match self.raw.take_part(from, part, ctx.now.time) {
            Ok(want) => {
                self.hear(from, ctx.now.time);
                if let Some(want) = want {
                    ctx.send(from, Channel::Ordered, Message::Control(message::Control::SnapshotWant(want)));
                }
            }
            Err(why) => self.junk(from, why, ctx),
        }
    }

    /// A follower asks for the next part. One that comes late gets nothing.
    pub(super) fn handle_want(&mut self, from: NodeId, want: SnapshotWant, ctx: &mut Context<'_>) {
        if !self.may_speak(from) {
            return self.junk(from, "a wish of a snapshot by one that has no part in the group", ctx);
        }
        if let Some(part) = self.raw.part_wanted(from, want, ctx.now.time) {
            ctx.send(from, Channel::Bulk, Message::Control(message::Control::SnapshotPart(part)));
        }
    }
}
