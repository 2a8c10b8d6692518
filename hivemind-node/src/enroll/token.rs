//! Join tokens: the line that an operator copies to a bare host.
//!
//! `hm1-`, then base64url (RFC 4648 section 5, without padding) of: a version, the fingerprint of the authority, the seed
//! of the token's key, how many addresses, the addresses, and a CRC-32 of all that.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use data_encoding::BASE64URL_NOPAD;
use hivemind_core::ids::PublicKey;
use hivemind_core::keys::Keys;
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use crate::authority::Fingerprint;
use crate::keys::{Ed25519Keys, KeyError};

const PREFIX: &str = "hm1-";
const VERSION: u8 = 1;
/// The most addresses in a token.
pub const MAX_TOKEN_ADDRESSES: usize = 4;
/// No token is longer: 70 bytes and four addresses of 19, encoded.
const MAX_LINE: usize = 256;
const CHECKSUM: usize = 4;

/// Why a text is no join token. Whoever copied it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// There is nothing.
    #[error("there is no join token in it; copy the whole line that `token create` printed")]
    Empty,
    /// It does not begin as one.
    #[error("a join token begins with {PREFIX:?}; copy the whole line that `token create` printed")]
    Prefix,
    /// Something in it is no character of a token.
    #[error("the join token has a character that none has, or an end that was cut off; copy the whole line again")]
    Encoding,
    /// Its end is missing.
    #[error("the join token is cut off; copy the whole line again")]
    Truncated,
    /// It is longer than any.
    #[error("the text is longer than any join token; copy that line alone")]
    TooLong,
    /// A character was altered.
    #[error("the join token was altered (its checksum does not match); copy it again")]
    Checksum,
    /// A later program made it.
    #[error("the join token is of version {found}, and this program knows version {VERSION}; install the version that the cluster runs")]
    Version {
        /// Its version.
        found: u8,
    },
    /// The checksum holds and the content is none.
    #[error("the join token holds no address, or more than {MAX_TOKEN_ADDRESSES}; make a new one")]
    Addresses,
}

/// What a bare host needs to become a member: a secret, where to ask, and how to know that the answer is its cluster's.
///
/// Neither `Debug` nor any error shows the secret; [`JoinToken::line`] alone does.
#[derive(Clone)]
pub struct JoinToken {
    authority: Fingerprint,
    seed: [u8; 32],
    addresses: Vec<SocketAddr>,
}

impl JoinToken {
    /// Makes a token with a new secret, for the cluster of this authority, whose members are asked at `addresses`: the first
    /// [`MAX_TOKEN_ADDRESSES`] of them. The control plane must be told of [`JoinToken::id`].
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate(authority: Fingerprint, addresses: &[SocketAddr]) -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::NoRandomness)?;
        let addresses = addresses.iter().copied().take(MAX_TOKEN_ADDRESSES).collect();
        Ok(JoinToken { authority, seed, addresses })
    }

    /// By what the joiner knows the cluster.
    pub fn authority(&self) -> Fingerprint {
        self.authority
    }

    /// Where to ask.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The public half of its key: the name that the control plane knows it by.
    pub fn id(&self) -> PublicKey {
        self.keys().public()
    }

    /// The key that proves an enrollment.
    pub(crate) fn keys(&self) -> Ed25519Keys {
        Ed25519Keys::from_seed(&self.seed)
    }

    /// The line to be copied. It holds the secret: it is for the eyes of who is to use it, never for a log.
    pub fn line(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.authority.0);
        bytes.extend(self.seed);
        bytes.push(u8::try_from(self.addresses.len()).expect("at most four"));
        for address in &self.addresses {
            match address.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(4);
                    bytes.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(6);
                    bytes.extend(ip.octets());
                }
            }
            bytes.extend(address.port().to_be_bytes());
        }
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }

    /// Reads a line. Blanks around it do not matter.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(line: &str) -> Result<Self, TokenError> {
        let line = line.trim();
        if line.is_empty() {
            return Err(TokenError::Empty);
        }
        let encoded = line.strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        if line.len() > MAX_LINE {
            return Err(TokenError::TooLong);
        }
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| TokenError::Encoding)?;
        match bytes.first() {
            None => return Err(TokenError::Truncated),
            Some(&VERSION) => {}
            Some(&found) => return Err(TokenError::Version { found }),
        }
        let mut rest = Rest(&bytes[1..]);
        let authority = Fingerprint(rest.take()?);
        let seed = rest.take()?;
        let [count] = rest.take()?;
        let mut addresses = Vec::new();
        for _ in 0..count {
            let ip: IpAddr = match rest.take()? {
                [4] => Ipv4Addr::from(rest.take::<4>()?).into(),
                [6] => Ipv6Addr::from(rest.take::<16>()?).into(),
                [_] => return Err(TokenError::Checksum),
            };
            addresses.push(SocketAddr::new(ip, u16::from_be_bytes(rest.take()?)));
        }
        let checksum = u32::from_be_bytes(rest.take()?);
        if !rest.0.is_empty() || checksum != crc32fast::hash(&bytes[..bytes.len() - CHECKSUM]) {
            return Err(TokenError::Checksum);
        }
        if !(1..=MAX_TOKEN_ADDRESSES).contains(&addresses.len()) {
            return Err(TokenError::Addresses);
        }
        Ok(JoinToken { authority, seed, addresses })
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken").field("authority", &self.authority).field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], TokenError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(TokenError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        let addresses = ["10.0.0.1:6550".parse().unwrap(), "[2001:db8::1]:6551".parse().unwrap()];
        JoinToken::generate(Fingerprint([7; 32]), &addresses).unwrap()
    }

    #[test]
    fn a_line_gives_back_its_token() {
        let token = token();
        let again = JoinToken::parse(&format!("  {}\n", token.line())).unwrap();
        assert_eq!((again.authority(), again.addresses(), again.id()), (token.authority(), token.addresses(), token.id()));
        let many = vec!["[2001:db8::1]:6551".parse().unwrap(); 9];
        let long = JoinToken::generate(Fingerprint([7; 32]), &many).unwrap();
        assert!(long.line().len() <= MAX_LINE);
        assert_eq!(JoinToken::parse(&long.line()).unwrap().addresses().len(), MAX_TOKEN_ADDRESSES);
    }

    #[test]
    fn whatever_is_missing_or_altered_is_noticed() {
        let line = token().line();
        for length in 0..line.len() {
            assert!(JoinToken::parse(&line[..length]).is_err(), "cut at {length}");
        }
        for at in PREFIX.len()..line.len() {
            let other = if line.as_bytes()[at] == b'A' { "B" } else { "A" };
            let altered = format!("{}{other}{}", &line[..at], &line[at + 1..]);
            assert!(JoinToken::parse(&altered).is_err(), "altered at {at}");
        }
    }

    #[test]
    fn each_fault_has_its_own_words() {
        let line = token().line();
        assert_eq!(JoinToken::parse("hm2-AAAA").unwrap_err(), TokenError::Prefix);
        assert_eq!(JoinToken::parse("hm1-").unwrap_err(), TokenError::Truncated);
        assert_eq!(JoinToken::parse("hm1-%%%%").unwrap_err(), TokenError::Encoding);
        assert_eq!(JoinToken::parse(&line[..40]).unwrap_err(), TokenError::Truncated);
        assert_eq!(JoinToken::parse(&line.repeat(3)).unwrap_err(), TokenError::TooLong);
        assert_eq!(JoinToken::parse(&format!("hm1-{}", BASE64URL_NOPAD.encode(&[9; 80]))).unwrap_err(), TokenError::Version { found: 9 });
        let none = JoinToken { addresses: Vec::new(), ..token() };
        assert_eq!(JoinToken::parse(&none.line()).unwrap_err(), TokenError::Addresses);
    }

    #[test]
    fn no_account_of_a_token_shows_its_secret() {
        let token = token();
        let shown = format!("{token:?}");
        let secret: String = token.seed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!shown.contains(&secret) && !shown.contains("seed") && !shown.contains(&token.line()[60..80]), "{shown}");
    }
}
