//! Where voter1 is spoken to over HTTP, while it runs.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hivemind_node::NodeHandle;
use hivemind_node::http::{Anonymous, BindFailure, HttpListener, HttpServer, HttpSettings};

/// An address, and what is there now.
#[derive(Debug)]
pub(super) struct Front {
    settings: HttpSettings,
    now: Mutex<Now>,
}

#[derive(Debug)]
enum Now {
    /// The address is taken, and nobody answers yet.
    Bound(Box<HttpListener>),
    /// A node answers.
    Open(HttpServer),
    /// Nobody is there.
    Closed,
}

impl Front {
    /// Takes the address, so that it is known from the start whether it can be had.
    pub(super) fn bind(listen: SocketAddr) -> Result<Self, BindFailure> {
        let settings = HttpSettings { listen, anonymous: Anonymous::Write, ..HttpSettings::default() };
        let listener = HttpListener::bind(settings.clone())?;
        // Whoever found it once finds it there again.
        let settings = HttpSettings { listen: listener.local_addr(), ..settings };
        Ok(Front { settings, now: Mutex::new(Now::Bound(Box::new(listener))) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.settings.listen
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a node be spoken to.
    pub(super) fn open(&self, handle: NodeHandle) -> Result<(), BindFailure> {
        let mut now = self.lock();
        let listener = match std::mem::replace(&mut *now, Now::Closed) {
            Now::Bound(listener) => *listener,
            Now::Closed => HttpListener::bind(self.settings.clone())?,
            open @ Now::Open(_) => {
                *now = open;
                return Ok(());
            }
        };
        *now = Now::Open(listener.serve(handle));
        Ok(())
    }

    /// Nobody is spoken to any more; the address is free.
    pub(super) async fn close(&self) {
        let was = std::mem::replace(&mut *self.lock(), Now::Closed);
        if let Now::Open(server) = was {
            server.stop().await;
        }
    }
}
