//! What the transport adds to a frame on the wire: IP, UDP and QUIC with its acknowledgements.
//!
//! `wire_overhead [--frames N] [--length BYTES]` (defaults: 200, 80). Two real endpoints on loopback exchange frames as two
//! neighbors do on a quiet day: one asks, the other answers, then both are silent. The bytes are those that the interface
//! `lo` counted, so nothing else may use it meanwhile: `unshare -rn sh -c 'ip link set lo up && target/release/wire_overhead'`.
//! Prints a line of JSON per channel. The simulator's summary uses these figures (`hivemind-lite/src/sim/traffic.rs`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hivemind_core::ids::{ClusterId, NodeName};
use hivemind_core::machine::Destination;
use hivemind_core::wire::frame::Channel;
use hivemind_node::authority::Authority;
use hivemind_node::keys::Ed25519Keys;
use hivemind_node::transport::{Inbox, Incoming, Transport, TransportSettings};

/// Between two exchanges: acknowledgements that wait for a frame to travel with give up (25 ms, RFC 9000 section 18.2).
const PAUSE: Duration = Duration::from_millis(60);
/// What Linux counts for loopback beside the IP packet.
const ETHERNET: u64 = 14;

#[tokio::main]
async fn main() -> Result<()> {
    let (mut frames, mut length) = (200, 80);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--frames" => frames = value.parse()?,
            [name, value] if name == "--length" => length = value.parse()?,
            _ => bail!("unknown option {pair:?}; known are --frames N and --length BYTES"),
        }
    }
    let authority = Authority::new(ClusterId(1))?;
    let (one, mut one_hears) = endpoint(&authority, "one")?;
    let (other, mut other_hears) = endpoint(&authority, "other")?;
    for (name, channel) in [("datagram", Channel::Datagram), ("ordered", Channel::Ordered)] {
        exchange(&one, &mut one_hears, &other, &mut other_hears, channel, length).await?;
        tokio::time::sleep(PAUSE).await;
        let before = loopback()?;
        for _ in 0..frames {
            exchange(&one, &mut one_hears, &other, &mut other_hears, channel, length).await?;
            tokio::time::sleep(PAUSE).await;
        }
        let after = loopback()?;
        let packets = after.packets - before.packets;
        let bytes = after.bytes - before.bytes - packets * ETHERNET;
        let (sent, payload) = (2 * frames, 2 * frames * length as u64);
        let row = serde_json::json!({
            "channel": name, "frames": sent, "length": length,
            "packets_per_frame": packets as f64 / sent as f64,
            "overhead_per_frame": (bytes as f64 - payload as f64) / sent as f64,
        });
        println!("{row}");
    }
    one.close().await;
    other.close().await;
    Ok(())
}

fn endpoint(authority: &Authority, name: &str) -> Result<(Transport, Inbox)> {
    let identity = authority.issue(Arc::new(Ed25519Keys::generate()?), &NodeName::new(name)?)?;
    let listen: SocketAddr = "127.0.0.1:0".parse()?;
    Ok(Transport::bind(listen, &identity, TransportSettings::default())?)
}

/// One asks, the other answers.
async fn exchange(
    one: &Transport,
    one_hears: &mut Inbox,
    other: &Transport,
    other_hears: &mut Inbox,
    channel: Channel,
    length: usize,
) -> Result<()> {
    let frame = vec![0x5A; length];
    for (from, to, heard) in [(one, other, other_hears), (other, one, one_hears)] {
        let to = Destination { key: Some(to.public()), addresses: vec![to.local_addr()] };
        from.send(&to, channel, frame.clone().into());
        match tokio::time::timeout(Duration::from_secs(5), heard.recv()).await.context("a frame was lost on loopback")? {
            Some(Incoming::Frame { .. }) => {}
            heard => bail!("{heard:?} came instead of a frame"),
        }
    }
    Ok(())
}

/// What the loopback interface sent since the system started.
struct Loopback {
    bytes: u64,
    packets: u64,
}

fn loopback() -> Result<Loopback> {
    let table = std::fs::read_to_string("/proc/net/dev").context("the counters of the interfaces")?;
    let row = table.lines().find_map(|line| line.trim().strip_prefix("lo:")).context("there is no loopback interface")?;
    let columns: Vec<u64> = row.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let (bytes, packets) = (columns.get(8), columns.get(9));
    Ok(Loopback { bytes: *bytes.context("sent bytes")?, packets: *packets.context("sent packets")? })
}
