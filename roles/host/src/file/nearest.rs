//! The known word that a mistyped one most likely means.

/// The nearest of `known`, where one is near enough: at most a third of its letters wrong, at least one allowed.
pub(crate) fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let candidates = known.iter().map(|&word| (distance(written, word), word));
    let (wrong, word) = candidates.min_by_key(|&(wrong, _)| wrong)?;
    (wrong <= (word.len() / 3).max(1)).then_some(word)
}

/// How many letters must be inserted, left out, replaced or swapped with their neighbor to get from one
/// word to the other, case aside (optimal string alignment). Words far longer than any key count as far.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 32;
    if a.len() > LONGEST || b.len() > LONGEST {
        return LONGEST;
    }
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["name", "addresses", "service", "dns"];

    #[test]
    fn a_slip_of_the_fingers_finds_the_word_that_was_meant() {
        for (written, meant) in [
            ("adresses", "addresses"),
            ("adress", "addresses"),
            ("Name", "name"),
            ("nmae", "name"),
            ("services", "service"),
            ("dsn", "dns"),
        ] {
            assert_eq!(nearest(written, KNOWN), Some(meant), "{written}");
        }
    }

    #[test]
    fn another_word_finds_none() {
        for written in ["colour", "x", "", "ttl", &"a".repeat(5000)] {
            assert_eq!(nearest(written, KNOWN), None, "{written}");
        }
    }
}
