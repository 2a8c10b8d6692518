//! What a node that enrolls and a voter say to each other, under the protocol name `hivemind-enroll/1`: one stream, one
//! request, one answer.

use std::net::SocketAddr;

use hivemind_core::ids::Digest256;
use hivemind_core::wire::access::SignedEnrollment;
use hivemind_core::wire::codec;
use hivemind_core::wire::command::Refusal;
use quinn::{RecvStream, SendStream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The largest request, and the largest answer.
pub(super) const LIMIT: usize = 16 << 10;
/// The most certificates in an answer: a node's own, and the bridge to whom its authority followed.
pub(super) const MAX_CERTIFICATES: usize = 2;
/// The most voters that an answer names.
pub(super) const MAX_VOTERS: usize = 16;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// A certificate, for a key that a token admits.
    Enroll {
        /// The proof that it does.
        enrollment: SignedEnrollment,
        /// The certificate request (PKCS#10), signed by the key.
        request: Vec<u8>,
    },
    /// A new certificate, for a key that is admitted already.
    Renew {
        /// The certificate request (PKCS#10), signed by the key.
        request: Vec<u8>,
    },
    /// The key of an authority, for a voter that has proven its own in the handshake.
    AuthorityKey {
        /// Which. `None`: the one that issues.
        authority: Option<Digest256>,
    },
}

/// What is answered.
#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    /// A certificate for the key of the request.
    Issued {
        /// It, and what is to be shown beside it. At most [`MAX_CERTIFICATES`].
        chain: Vec<Vec<u8>>,
    },
    /// No, and asking again will not help.
    Refused(Refusal),
    /// The asked issues no certificates. These may.
    Elsewhere {
        /// Where voters listen. At most [`MAX_VOTERS`].
        voters: Vec<SocketAddr>,
    },
    /// It can not be decided now: ask again.
    Later,
    /// The authority's key.
    AuthorityKey {
        /// Its certificate, its bridge if it has one, and its key, as PEM.
        pem: String,
    },
}

/// Why nothing was understood. The other side is at fault, or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unheard;

/// Says all that this side has to say.
pub(super) async fn say<T: Serialize>(stream: &mut SendStream, what: &T) -> Result<(), Unheard> {
    stream.write_all(&codec::encode(what)).await.map_err(|_| Unheard)?;
    stream.finish().map_err(|_| Unheard)
}

/// Hears all that the other side has to say.
pub(super) async fn hear<T: DeserializeOwned>(stream: &mut RecvStream) -> Result<T, Unheard> {
    let bytes = stream.read_to_end(LIMIT).await.map_err(|_| Unheard)?;
    codec::decode::<T, LIMIT>(&bytes).map_err(|_| Unheard)
}
