//! The task that keeps a node: it owns the node, and carries out what is ordered, one after the other.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hivemind_core::ids::{NodeId, Seq};
use hivemind_core::wire::command::{Command, Outcome};
use hivemind_core::wire::config::Section;
use hivemind_core::wire::event::LeaveReason;
use hivemind_dns_processor::role::DnsProcessor;
use hivemind_dns_processor::server::Server;
use hivemind_host::HostRole;
use hivemind_node::http::Observer;
use hivemind_node::{Heard, Node, NodeBuilder, NodeHandle, PublishFailure, StartFailure, StopReason};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::gauge::{Gauged, Served};
use super::keeper::{Order, OrderError, Plan, ServerSlot, Shown};
use super::shared::Shared;
use crate::args::voter_name;
use crate::show::{Kind, Life};

/// A node, as its task keeps it.
pub(super) struct Kept {
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    shown: watch::Sender<Shown>,
    served: watch::Sender<Served>,
    server: ServerSlot,
    node: Option<Node>,
    /// What the host file says.
    wanted: Option<Wanted>,
    /// Whether the file is wrong since before the start: then what was published before stays in force.
    stands: bool,
    /// At most one at a time.
    publishing: JoinSet<Result<Seq, PublishFailure>>,
}

struct Wanted {
    sections: Vec<Section>,
    /// Whether the running node was asked to publish them.
    is_asked: bool,
}

impl Kept {
    /// A node that does not run yet.
    pub(super) fn new(
        plan: Arc<Plan>,
        shared: Arc<Shared>,
        shown: watch::Sender<Shown>,
        served: watch::Sender<Served>,
        server: ServerSlot,
    ) -> Self {
        Kept { plan, shared, shown, served, server, node: None, wanted: None, stands: false, publishing: JoinSet::new() }
    }

    /// Carries out orders until it is told to stop for good.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            self.publish_wanted();
            let handle = self.node.as_ref().map(|node| node.handle().clone());
            let stopped = async {
                match &handle {
                    Some(handle) => handle.stopped().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => match order {
                    None => return,
                    Some(Order::Stop(answer)) => {
                        self.end(Ending::Stop, Life::Left).await;
                        let _ = answer.send(Ok(()));
                        return;
                    }
                    Some(order) => self.carry_out(order).await,
                },
                reason = stopped => self.stopped_by_itself(reason).await,
                Some(published) = self.publishing.join_next() => self.published(published),
            }
        }
    }

    async fn carry_out(&mut self, order: Order) {
        // Whoever gave up waiting for an answer is not told.
        let _ = match order {
            Order::Start(answer) => answer.send(self.start().await),
            Order::Resume(answer) => {
                self.stands = true;
                answer.send(self.start().await)
            }
            Order::Kill(answer) => answer.send(self.kill().await),
            Order::Leave { member, answer } => answer.send(self.leave(member, Life::Left).await),
            Order::Retire { member, answer } => {
                self.wanted = None;
                self.stands = false;
                answer.send(self.retire(member).await)
            }
            Order::Publish(sections) => {
                self.wanted = Some(Wanted { sections, is_asked: false });
                let life = self.shown.borrow().life.clone();
                if matches!(life, Life::Gone | Life::Starting)
                    && let Err(error) = self.start().await
                {
                    self.shared.screen.error(&error.to_string());
                }
                Ok(())
            }
            Order::Isolate(isolated, answer) => {
                self.show(|shown| shown.isolated = isolated);
                self.set_filter();
                answer.send(Ok(()))
            }
            Order::Stop(answer) => answer.send(Err(OrderError::Stopping)),
        };
    }

    async fn start(&mut self) -> Result<(), OrderError> {
        let name = self.plan.name.clone();
        if self.node.is_some() {
            return Err(OrderError::Running(name));
        }
        if self.plan.kind == Kind::Host && self.wanted.is_none() && !self.stands {
            return Err(OrderError::NoFile(name));
        }
        let started = self.try_start().await;
        if let Err(error) = &started {
            let why = error.to_string();
            self.server.stop().await;
            self.show(|shown| shown.life = Life::Failed(why));
        }
        started
    }

    async fn try_start(&mut self) -> Result<(), OrderError> {
        let name = &self.plan.name;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let last = self.shared.place_of(name);
        let mut started = self.builder(last.unwrap_or(any))?.start().await;
        if last.is_some() && matches!(started, Err(StartFailure::Bind(_))) {
            started = self.builder(any)?.start().await;
        }
        let node = started.map_err(|source| OrderError::Start { name: name.clone(), source })?;
        self.shared.place(name, self.plan.kind, node.local_addr());
        let handle = node.handle().clone();
        if self.serves_http() {
            self.shared.front.open(handle.clone())?;
        }
        tokio::spawn(listen(handle.clone(), self.shared.clone()));
        self.node = Some(node);
        self.set_filter();
        if let Some(wanted) = &mut self.wanted {
            wanted.is_asked = false;
        }
        let stands = (self.stands && self.wanted.is_none()).then(|| (handle.status().machine.own_seq, Instant::now()));
        self.show(|shown| {
            shown.life = Life::Running;
            shown.published = shown.published.or(stands);
            shown.handle = Some(handle);
        });
        Ok(())
    }

    /// The first node of a cluster is the one that programs speak to.
    fn serves_http(&self) -> bool {
        self.plan.name == voter_name(1)
    }

    fn builder(&self, listen: SocketAddr) -> Result<NodeBuilder, OrderError> {
        let Plan { name, kind, dns } = &*self.plan;
        let shared = &self.shared;
        let mut builder = Node::builder(name.clone())
            .data_dir(shared.home.node(name))
            .authority(shared.authority.clone())
            .listen(listen)
            .seeds(shared.seeds(name))
            .voter(*kind == Kind::Voter)
            .settings(shared.settings.clone());
        if let Some(birth) = shared.birth.filter(|_| *name == voter_name(1)) {
            builder = builder.birth(birth);
        }
        if self.serves_http() {
            // So that it can tell what the hosts publish.
            builder = builder.role_without_apply(Observer);
        }
        match (kind, dns) {
            (Kind::Host, _) => builder = builder.role_without_apply(HostRole),
            (Kind::Dns, Some(address)) => {
                let role = DnsProcessor::new(shared.zones.clone());
                let mut slot = self.server.lock();
                if slot.is_none() {
                    *slot = Some(Server::bind(&[*address], role.empty_zone())?);
                }
                let applier = slot.as_ref().expect("it was just bound").applier();
                builder = builder.role(role, Gauged { applier, served: self.served.clone(), moved: shared.moved.clone() });
            }
            (Kind::Voter, _) | (Kind::Dns, None) => {}
        }
        Ok(builder)
    }

    fn set_filter(&self) {
        if let Some(node) = &self.node {
            if self.shown.borrow().isolated {
                node.filter().isolate([]);
            } else {
                node.filter().heal();
            }
        }
    }

    async fn kill(&mut self) -> Result<(), OrderError> {
        if self.node.is_none() {
            return Err(OrderError::NotRunning(self.plan.name.clone()));
        }
        self.end(Ending::Kill, Life::Killed).await;
        Ok(())
    }

    /// A host whose file is gone does not run on, whatever the control plane says: where it can not leave
    /// now, its silence makes it leave later.
    async fn retire(&mut self, member: Option<(NodeId, NodeHandle)>) -> Result<(), OrderError> {
        let left = self.leave(member, Life::Gone).await;
        self.end(Ending::Stop, Life::Gone).await;
        left
    }

    async fn leave(&mut self, member: Option<(NodeId, NodeHandle)>, life: Life) -> Result<(), OrderError> {
        let name = self.plan.name.clone();
        let not_left = |why: String| OrderError::NotLeft { name: name.clone(), why };
        let (node, through) = member.ok_or_else(|| not_left("no running node knows it as a member".to_owned()))?;
        match through.propose(Command::Leave { node, reason: LeaveReason::Asked }).await {
            Outcome::Committed { position: _ } => {
                self.end(Ending::Stop, life).await;
                Ok(())
            }
            Outcome::Refused(refusal) => Err(not_left(refusal.to_string())),
            Outcome::OutcomeUnknown => {
                Err(not_left("the control plane did not answer in time; `members` shows what became of it".to_owned()))
            }
        }
    }

    async fn end(&mut self, ending: Ending, life: Life) {
        self.publishing.abort_all();
        while self.publishing.join_next().await.is_some() {}
        self.show(|shown| {
            shown.life = life;
            shown.handle = None;
        });
        if self.serves_http() {
            self.shared.front.close().await;
        }
        if let Some(node) = self.node.take() {
            match ending {
                Ending::Kill => node.kill().await,
                Ending::Stop => node.stop().await,
            };
        }
        self.server.stop().await;
        self.served.send_replace(Served::default());
    }

    async fn stopped_by_itself(&mut self, reason: StopReason) {
        let why = reason.to_string();
        self.shared.screen.error(&format!("{} stopped: {why}", self.plan.name));
        self.end(Ending::Stop, Life::Failed(why)).await;
    }

    fn publish_wanted(&mut self) {
        let Some((wanted, node)) = self.wanted.as_mut().zip(self.node.as_ref()) else { return };
        if wanted.is_asked || !self.publishing.is_empty() {
            return;
        }
        wanted.is_asked = true;
        let (handle, sections) = (node.handle().clone(), wanted.sections.clone());
        self.publishing.spawn(async move { handle.publish(sections).await });
    }

    fn published(&mut self, published: Result<Result<Seq, PublishFailure>, JoinError>) {
        match published {
            Ok(Ok(seq)) => {
                tracing::info!(node = %self.plan.name, %seq, "published");
                self.show(|shown| shown.published = Some((seq, Instant::now())));
            }
            // The node's stop is told of by itself.
            Ok(Err(PublishFailure::Stopped)) => {}
            Ok(Err(PublishFailure::Refused(error))) => self.shared.screen.error(&format!("{}: {error}", self.plan.name)),
            Err(error) => self.shared.screen.error(&format!("{}: publishing failed: {error}", self.plan.name)),
        }
    }

    fn show(&self, change: impl FnOnce(&mut Shown)) {
        self.shown.send_modify(change);
        self.shared.moved.send_replace(());
    }
}

#[derive(Clone, Copy)]
enum Ending {
    /// As a crash.
    Kill,
    /// In order.
    Stop,
}

/// Passes on what a node tells, until it has stopped.
async fn listen(handle: NodeHandle, shared: Arc<Shared>) {
    let mut events = handle.events();
    let mut views = handle;
    let journal = async {
        while let Some(heard) = events.next().await {
            // What this node was too slow to tell, others tell.
            if let Heard::Happened(applied) = heard {
                shared.journal.note(applied);
            }
        }
    };
    let moved = async {
        while views.changed().await.is_some() {
            shared.moved.send_replace(());
        }
    };
    tokio::join!(journal, moved);
}
