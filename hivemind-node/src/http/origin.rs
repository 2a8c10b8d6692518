//! Which host is asked for, and by which site: a page in a browser on this machine must not speak to a node through a name
//! that its author has pointed here (DNS rebinding).

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Uri, header};

use super::failure::Failure;
use super::model::ProblemKind;

/// What a proxy adds to what it passes on (RFC 7239, its forerunner, and RFC 9110 section 7.6.3).
const PASSED_ON: [HeaderName; 3] = [header::FORWARDED, HeaderName::from_static("x-forwarded-for"), header::VIA];

/// Whether a request says that it began elsewhere. One that does not may have begun elsewhere all the same.
pub(super) fn is_passed_on(headers: &HeaderMap) -> bool {
    PASSED_ON.iter().any(|name| headers.contains_key(name))
}

/// Judges a request that came over loopback. `hosts` are further names of this machine.
pub(super) fn check(headers: &HeaderMap, uri: &Uri, hosts: &[String]) -> Result<(), Failure> {
    let misdirected = |host: &str| {
        let host: String = host.chars().take(64).collect();
        Failure::new(
            ProblemKind::Misdirected,
            format!("the host `{host}` is not this machine; ask for localhost, or name it in `http.hosts`"),
        )
    };
    if let Some(authority) = uri.authority()
        && !is_ours(authority, hosts)
    {
        return Err(misdirected(authority.as_str()));
    }
    let mut named = headers.get_all(header::HOST).iter();
    let host = match (named.next(), named.next()) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        (None, _) => return Err(Failure::new(ProblemKind::BadRequest, "the `Host` header is missing")),
        (Some(_), Some(_)) => return Err(Failure::new(ProblemKind::BadRequest, "there is more than one `Host` header")),
    };
    if !host.parse::<Authority>().is_ok_and(|authority| is_ours(&authority, hosts)) {
        return Err(misdirected(host));
    }
    let is_foreign = |origin: &axum::http::HeaderValue| {
        let site = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
        let authority = site.and_then(|site| site.parse::<Authority>().ok());
        !authority.is_some_and(|authority| is_ours(&authority, hosts))
    };
    if headers.get_all(header::ORIGIN).iter().any(is_foreign) {
        return Err(Failure::new(ProblemKind::ForeignOrigin, "pages of other sites may not speak to this node"));
    }
    Ok(())
}

fn is_ours(authority: &Authority, hosts: &[String]) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_loopback = bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    let is_named = |name: &String| name.eq_ignore_ascii_case(host);
    !authority.as_str().contains('@') && (is_loopback || host.eq_ignore_ascii_case("localhost") || hosts.iter().any(is_named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(uri: &str, headers: &[(&'static str, &str)]) -> Option<ProblemKind> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        check(&map, &uri.parse().unwrap(), &["node1.example".to_owned()]).err().map(|failure| failure.kind)
    }

    #[test]
    fn this_machine_is_asked_for_by_its_own_names() {
        for host in ["localhost", "LocalHost:6553", "127.0.0.1:6553", "127.9.9.9", "[::1]:6553", "Node1.Example:80"] {
            assert_eq!(ask("/", &[("host", host)]), None, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1@evil.example", "evil@localhost", "[::2]", "", "a b"] {
            assert_eq!(ask("/", &[("host", host)]), Some(ProblemKind::Misdirected), "{host}");
        }
        assert_eq!(ask("/", &[]), Some(ProblemKind::BadRequest));
        assert_eq!(ask("/", &[("host", "localhost"), ("host", "localhost")]), Some(ProblemKind::BadRequest));
        assert_eq!(ask("http://evil.example/", &[("host", "localhost")]), Some(ProblemKind::Misdirected));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        assert_eq!(ask("/", &[("host", "localhost"), ("origin", "http://localhost:6553")]), None);
        for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://localhost", ""] {
            assert_eq!(ask("/", &[("host", "localhost"), ("origin", origin)]), Some(ProblemKind::ForeignOrigin), "{origin}");
        }
    }
}
