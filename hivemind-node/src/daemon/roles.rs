//! The roles that the settings name, with their halves that touch the outside world: the one place that knows which roles there are.

use hivemind_core::ids::NodeName;
use hivemind_core::wire::config::Section;
use hivemind_dns_processor::memory::Memory;
use hivemind_dns_processor::role::DnsProcessor;
use hivemind_dns_processor::server::{BindError, Server};
pub(crate) use hivemind_dns_processor::zone::{DEFAULT_ZONE, ZoneSettings};
pub(crate) use hivemind_host::file::Rules;
use hivemind_host::watch::WatchError;
use hivemind_host::{FolderChange, FolderWatch, HostRole};
pub(crate) use hivemind_host::{check, check_parts};
use thiserror::Error;

use crate::http::Observer;
use crate::node::{NodeBuilder, NodeHandle, PublishFailure};
use crate::settings_file::NodeSettings;
use crate::tasks::Tasks;

/// What the DNS server keeps, in the data folder.
const LAST_GOOD: &str = "dns-last-good";

/// Why a role can not be performed. Nothing was started.
#[derive(Debug, Error)]
pub enum RoleFailure {
    /// The folder of host files can not be watched.
    #[error("roles.host.folder: {0}")]
    Host(#[from] WatchError),
    /// A DNS address can not be had.
    #[error("roles.dns_processor.listen: {0}")]
    Dns(#[from] BindError),
}

/// What roles hold outside the node, before it runs.
pub(crate) struct Roles {
    name: NodeName,
    host: Option<(FolderWatch, FolderChange)>,
    dns: Option<Server>,
}

impl Roles {
    /// Installs what the settings name.
    pub(crate) async fn install(mut builder: NodeBuilder, settings: &NodeSettings) -> Result<(NodeBuilder, Self), RoleFailure> {
        let mut roles = Roles { name: settings.name.clone(), host: None, dns: None };
        if let Some(part) = &settings.dns_processor {
            let memory = Memory::open(settings.data_dir.join(LAST_GOOD));
            let role = DnsProcessor::new(part.zones.clone()).remembering(memory.last_good());
            let server = Server::bind(&part.listen, role.empty_zone())?;
            builder = builder.role(role, server.applier().keeping(memory));
            roles.dns = Some(server);
        }
        if settings.observer {
            builder = builder.role_without_apply(Observer);
        }
        if let Some(part) = &settings.host {
            roles.host = Some(FolderWatch::start_parts(&part.folder, settings.name.clone(), part.rules.clone()).await?);
            builder = builder.role_without_apply(HostRole);
        }
        Ok((builder, roles))
    }

    /// Lets them work for a node that runs.
    pub(crate) fn start(self, handle: &NodeHandle) -> RunningRoles {
        let tasks = Tasks::new();
        let Roles { name, host, dns } = self;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        if let Some((mut watch, first)) = host {
            let handle = handle.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = publish(&name, &handle, &mut watch, first) => {}
                    _ = stopped => {}
                }
                watch.stop().await;
            });
        }
        RunningRoles { dns, stop, tasks }
    }

    /// Lets go of everything; for a node that did not start.
    pub(crate) async fn stop(self) {
        if let Some(server) = self.dns {
            server.stop().await;
        }
        if let Some((watch, _)) = self.host {
            watch.stop().await;
        }
    }
}

/// Roles of a node that runs.
pub(crate) struct RunningRoles {
    dns: Option<Server>,
    stop: tokio::sync::oneshot::Sender<()>,
    tasks: Tasks,
}

impl RunningRoles {
    /// Ends them; addresses are free afterwards.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.tasks.all_ended().await;
        if let Some(server) = self.dns {
            server.stop().await;
        }
    }
}

/// Publishes what the host files say together, for as long as the folder is watched.
async fn publish(name: &NodeName, handle: &NodeHandle, watch: &mut FolderWatch, first: FolderChange) {
    // What an earlier run published stands until the files say otherwise, be it that there are none any more.
    let mut is_published = handle.status().machine.own_seq.0 > 0;
    let mut change = first;
    loop {
        for error in &change.errors {
            tracing::warn!("{error}");
        }
        if let Some(host) = change.changed.first() {
            put(name, handle, host.sections()).await;
            is_published = true;
        } else if !change.removed.is_empty() && is_published {
            put(name, handle, nothing()).await;
        }
        match watch.next().await {
            Some(next) => change = next,
            None => {
                tracing::error!("the folder of host files is not watched any more; restart the daemon to publish further changes");
                return;
            }
        }
    }
}

/// Sections without content: they go away.
fn nothing() -> Vec<Section> {
    use hivemind_core::role::Role as _;
    HostRole.spec().publishes.into_iter().map(|kind| Section { kind, body: Default::default() }).collect()
}

async fn put(name: &NodeName, handle: &NodeHandle, sections: Vec<Section>) {
    match handle.publish(sections).await {
        Ok(seq) => tracing::info!(host = %name, %seq, "published"),
        Err(PublishFailure::Stopped) => {}
        Err(PublishFailure::Refused(error)) => tracing::error!(host = %name, "not published: {error}"),
    }
}
