//! Making connections, and taking those of others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hivemind_core::ids::PublicKey;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{CloseCode, Established, establish, refusal, start};
use super::counters::{Discard, Refused};
use super::registry::Target;
use super::tls::{Protocol, protocol_of};
use super::{Incoming, Shared};

/// The name in the handshake's SNI. Nobody looks at it: keys decide.
const SERVER_NAME: &str = "hivemind";

/// Tries the addresses one after another until one answers with the right key.
pub(super) async fn dial(shared: Arc<Shared>, target: Target, addresses: Vec<SocketAddr>) {
    let slot = shared.dials.acquire().await.expect("the semaphore is never closed");
    for address in addresses {
        if !shared.registry().is_lost(&target) {
            break;
        }
        match call(&shared, &target, address).await {
            Ok(established) => {
                start(&shared, established, true);
                break;
            }
            Err(reason) => {
                shared.counters.dial_failures.fetch_add(1, Ordering::Relaxed);
                if !matches!(reason, Refused::Handshake) {
                    shared.counters.refused(reason);
                }
                shared.registry().failed(address, &shared.settings);
            }
        }
    }
    drop(slot);
    let waited = shared.registry().dialed(&target);
    shared.counters.discarded(Discard::Unreachable, waited.len());
    let lost = shared.registry().is_lost(&target);
    if let (true, Target::Key(peer)) = (lost, target) {
        // Where nobody listens any more, nobody needs to know.
        let _ = shared.inbox.put(Incoming::Lost { peer }).await;
    }
}

async fn call(shared: &Shared, target: &Target, address: SocketAddr) -> Result<Established, Refused> {
    let connecting = shared.endpoint.connect(address, SERVER_NAME).map_err(|_| Refused::Handshake)?;
    let connect = async {
        let connection = connecting.await.map_err(|error| refusal(&error))?;
        establish(connection, &shared.greeting).await
    };
    let established = tokio::time::timeout(shared.settings.handshake_timeout, connect).await.map_err(|_| Refused::Handshake)??;
    let wanted = match target {
        Target::Key(key) => established.peer == *key,
        Target::Address(_) => true,
    };
    match check_peer(shared, established.peer, wanted) {
        Ok(()) => Ok(established),
        Err(reason) => {
            CloseCode::NotWanted.close(&established.connection);
            Err(reason)
        }
    }
}

fn check_peer(shared: &Shared, peer: PublicKey, wanted: bool) -> Result<(), Refused> {
    if peer == shared.own {
        return Err(Refused::Own);
    }
    if wanted { Ok(()) } else { Err(Refused::OtherKey) }
}

/// Takes connections until the endpoint is closed.
pub(super) async fn accept(shared: Arc<Shared>) {
    let handshakes = Arc::new(Semaphore::new(shared.settings.max_handshakes));
    while let Some(incoming) = shared.endpoint.accept().await {
        if shared.registry().open() >= shared.settings.max_connections {
            shared.counters.refused(Refused::TooMany);
            incoming.refuse();
            continue;
        }
        let busy = handshakes.available_permits() <= shared.settings.max_handshakes / 2;
        if busy && incoming.may_retry() && !incoming.remote_address_validated() {
            incoming.retry().expect("it was asked whether it may");
            continue;
        }
        match handshakes.clone().try_acquire_owned() {
            Ok(slot) => shared.tasks.spawn(answer(shared.clone(), incoming, slot)),
            Err(_) => {
                shared.counters.refused(Refused::TooMany);
                incoming.refuse();
            }
        }
    }
}

async fn answer(shared: Arc<Shared>, incoming: quinn::Incoming, slot: OwnedSemaphorePermit) {
    let handshake = async {
        let connecting = incoming.accept().map_err(|error| refusal(&error))?;
        let connection = connecting.await.map_err(|error| refusal(&error))?;
        match protocol_of(&connection).ok_or(Refused::Handshake)? {
            Protocol::Enrollment => return shared.pass_on(connection).map(|()| None),
            Protocol::Peers => {}
        }
        let established = establish(connection, &shared.greeting).await?;
        check_peer(&shared, established.peer, true).map(|()| Some(established))
    };
    let answered = tokio::time::timeout(shared.settings.handshake_timeout, handshake).await;
    drop(slot);
    match answered.unwrap_or(Err(Refused::Handshake)) {
        Ok(Some(established)) => start(&shared, established, false),
        Ok(None) => {}
        Err(reason) => shared.counters.refused(reason),
    }
}
