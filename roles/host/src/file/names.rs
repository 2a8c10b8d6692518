//! DNS names as they stand in host files: checked, folded to lower case, made absolute.

use hivemind_core::error::NameError;
use hivemind_core::ids::NodeName;

use super::error::Problem;

/// The longest label, in octets (RFC 1035 section 2.3.4).
pub(crate) const MAX_LABEL: usize = 63;
/// The longest name, in octets as they travel: each label with its length, and the root (RFC 1035 section 2.3.4).
pub(crate) const MAX_NAME: usize = 255;
/// The longest service name or tag: with the `_` before it in the names of SRV records, it must still be a label.
pub(crate) const MAX_SERVICE_LABEL: usize = MAX_LABEL - 1;

/// Checks an absolute name and gives its canonical form: lower case, with the final dot.
/// A name without final dot is taken as absolute.
///
/// Labels are of `a-z`, `0-9`, `-` and `_`, with no hyphen at either end. There are no escapes: other
/// octets are legal in DNS (RFC 2181 section 11), but in names that people write they are mistakes.
pub(crate) fn absolute(written: &str) -> Result<String, Problem> {
    let folded = written.to_ascii_lowercase();
    let without_dot = folded.strip_suffix('.').unwrap_or(&folded);
    if without_dot.is_empty() {
        return Err(Problem::NameEmpty);
    }
    for label in without_dot.split('.') {
        check_label(label)?;
    }
    let octets = without_dot.len() + 2;
    if octets > MAX_NAME {
        return Err(Problem::NameTooLong { octets });
    }
    Ok(format!("{without_dot}."))
}

fn check_label(label: &str) -> Result<(), Problem> {
    if label.is_empty() {
        return Err(Problem::LabelEmpty);
    }
    if label.len() > MAX_LABEL {
        return Err(Problem::LabelTooLong { label: label.to_owned(), octets: label.len(), most: MAX_LABEL });
    }
    if let Some(found) = label.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')) {
        return Err(Problem::NameCharacter { found });
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(Problem::LabelHyphen { label: label.to_owned() });
    }
    Ok(())
}

/// Checks a single label of at most `most` octets, without `_`, and gives it in lower case.
pub(crate) fn label(written: &str, most: usize) -> Result<NodeName, Problem> {
    let folded = written.to_ascii_lowercase();
    if folded.len() > most {
        return Err(Problem::LabelTooLong { octets: folded.len(), label: folded, most });
    }
    NodeName::new(&folded).map_err(|error| match error {
        NameError::Empty => Problem::LabelEmpty,
        NameError::TooLong { length } => Problem::LabelTooLong { octets: length, label: folded.clone(), most },
        NameError::Character { found } => Problem::LabelCharacter { label: folded.clone(), found },
        NameError::Hyphen => Problem::LabelHyphen { label: folded.clone() },
    })
}

/// Whether `name` is `zone` or lies under it. Both are canonical.
pub(crate) fn is_within(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_folded_and_made_absolute() {
        assert_eq!(absolute("Blog.Example.ORG"), Ok("blog.example.org.".to_owned()));
        assert_eq!(absolute("_sip._tcp.example.org."), Ok("_sip._tcp.example.org.".to_owned()));
    }

    #[test]
    fn a_name_of_255_octets_is_the_longest() {
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert_eq!(absolute(&longest), Ok(format!("{longest}.")));
        assert_eq!(absolute(&format!("{longest}b")), Err(Problem::NameTooLong { octets: 256 }));
    }

    #[test]
    fn the_dots_of_a_name_separate_labels_that_are_not_empty() {
        assert_eq!(absolute(""), Err(Problem::NameEmpty));
        assert_eq!(absolute("."), Err(Problem::NameEmpty));
        assert_eq!(absolute("a..b"), Err(Problem::LabelEmpty));
        assert_eq!(absolute(".a"), Err(Problem::LabelEmpty));
    }

    #[test]
    fn a_zone_holds_itself_and_what_ends_with_its_labels() {
        assert!(is_within("example.org.", "example.org."));
        assert!(is_within("blog.example.org.", "example.org."));
        assert!(!is_within("badexample.org.", "example.org."));
        assert!(!is_within("org.", "example.org."));
    }
}
