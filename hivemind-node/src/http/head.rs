//! The size of a request's line and headers.

use axum::http::Request;

use super::failure::Failure;
use super::model::ProblemKind;
use super::settings::Limits;

/// The HTTP library takes so many times the limits, and ends what is larger still without a word to read: whoever is a little above
/// is told so here.
pub(super) const SLACK: usize = 4;
/// What a header costs besides its name and value: a colon, a blank, the end of the line.
const AROUND: usize = 4;

/// Refuses what is above the limits.
pub(super) fn check<T>(request: &Request<T>, limits: &Limits) -> Result<(), Failure> {
    let most = limits.head;
    let (path, query) = (request.uri().path(), request.uri().query());
    let line = path.len() + query.map_or(0, |query| query.len() + 1);
    if line > most {
        return Err(Failure::new(ProblemKind::UriTooLong, format!("path and query have {line} octets; {most} is the most")));
    }
    let headers = request.headers();
    if headers.len() > limits.headers {
        let detail = format!("{} headers; {} is the most; leave some out", headers.len(), limits.headers);
        return Err(Failure::new(ProblemKind::HeadTooLarge, detail));
    }
    let octets: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + AROUND).sum();
    if line + octets > most {
        let detail = format!("the request line and headers have {} octets; {most} is the most; leave some out", line + octets);
        return Err(Failure::new(ProblemKind::HeadTooLarge, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_of(path: &str, headers: &[(&str, &str)]) -> Option<ProblemKind> {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let limits = Limits { head: 100, headers: 2, ..Limits::default() };
        check(&request.body(()).unwrap(), &limits).err().map(|failure| failure.kind)
    }

    #[test]
    fn the_limits_themselves_are_taken_and_one_octet_more_is_not() {
        let long = "x".repeat(99);
        assert_eq!(check_of(&format!("/{long}"), &[]), None);
        assert_eq!(check_of(&format!("/{long}?"), &[]), Some(ProblemKind::UriTooLong));
        assert_eq!(check_of("/", &[("a", &long[..94])]), None);
        assert_eq!(check_of("/", &[("a", &long[..95])]), Some(ProblemKind::HeadTooLarge));
        assert_eq!(check_of("/", &[("a", ""), ("b", "")]), None);
        assert_eq!(check_of("/", &[("a", ""), ("a", ""), ("a", "")]), Some(ProblemKind::HeadTooLarge));
    }
}
