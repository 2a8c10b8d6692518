//! What each UDP port sends, as IP bytes: counted by the kernel's packet filter, in this program's network namespace.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

const TABLE: &str = "hivemind_benches";

/// Counters of some ports. They are taken away when this is dropped.
#[derive(Debug)]
pub struct Sent {
    ports: Vec<u16>,
}

impl Sent {
    /// Counts what these ports send from now on.
    ///
    /// # Errors
    /// `nft` is missing, or may not be used here.
    pub fn by(ports: Vec<u16>) -> Result<Self> {
        let sent = Sent { ports };
        let rules: String = sent.ports.iter().map(|port| format!("udp sport {port} counter comment \"{port}\"\n")).collect();
        let chain = "type filter hook output priority 0; policy accept;";
        nft(&["-f", "-"], &format!("table inet {TABLE} {{\nchain sent {{\n{chain}\n{rules}}}\n}}\n"))?;
        Ok(sent)
    }

    /// The bytes so far, in the order of the ports.
    ///
    /// # Errors
    /// Somebody took the counters away.
    pub fn bytes(&self) -> Result<Vec<f64>> {
        let listed: serde_json::Value = serde_json::from_str(&nft(&["-j", "list", "table", "inet", TABLE], "")?)?;
        let rules = || listed["nftables"].as_array().into_iter().flatten().map(|entry| &entry["rule"]);
        let of = |port: &u16| {
            let rule = rules().find(|rule| rule["comment"].as_str() == Some(port.to_string().as_str()))?;
            rule["expr"].as_array()?.iter().find_map(|part| part["counter"]["bytes"].as_f64())
        };
        self.ports.iter().map(|port| of(port).with_context(|| format!("no counter of port {port}"))).collect()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        // The namespace goes with its last process anyway.
        let _ = nft(&["delete", "table", "inet", TABLE], "");
    }
}

fn nft(arguments: &[&str], input: &str) -> Result<String> {
    let mut command = Command::new("nft");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("nft can not be started: install nftables")?;
    child.stdin.take().context("its input is piped")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "nft: {}; run this as root, in a network namespace of its own", said.trim());
    Ok(String::from_utf8(output.stdout)?)
}
