//! The known word that a mistyped one most likely means.

/// The nearest of `known`, where it is near enough: about a third of its letters may be wrong.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|known| (strsim::damerau_levenshtein(written, known), known)).min();
    near.filter(|(distance, near)| *distance <= 1 + near.len() / 3).map(|(_, near)| near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_word_and_another_word_finds_none() {
        let known = ["host", "observer", "dns_processor"];
        for (written, meant) in [("hots", Some("host")), ("dns_procesor", Some("dns_processor")), ("nginx", None), ("", None)] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
    }
}
