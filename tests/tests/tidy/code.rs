//! Rust's text without comments and literals, so that rules judge what runs and not what is said.

use super::tree::File;

/// The code of a file: comments and the contents of literals are blanks, lines stay where they are.
pub(crate) fn all(file: &File) -> String {
    strip(&file.text)
}

/// The code of a file that is not for tests: empty for a test file, without `#[cfg(test)]` items.
pub(crate) fn production(file: &File) -> String {
    if file.is_test() { String::new() } else { without_tests(&strip(&file.text)) }
}

/// The words of a line: identifiers, with `!` where it follows.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

fn strip(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_silent(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` where none does.
fn end_of_silent(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied().unwrap_or('\n');
    let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match (chars[at], next(1)) {
        ('/', '/') => find(chars, at, |rest| rest[0] == '\n'),
        ('/', '*') => find(chars, at + 2, |rest| rest.starts_with(&['*', '/'])) + 2,
        ('"', _) => end_of_string(chars, at + 1),
        ('r', '"' | '#') if !after_word => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if chars.get(at + 1 + hashes) != Some(&'"') {
                return at;
            }
            let closing: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            find(chars, at + 2 + hashes, |rest| rest.starts_with(&closing)) + closing.len()
        }
        // A character, not a lifetime: an escape, or a quote two further on.
        ('\'', '\\') => find(chars, at + 3, |rest| rest[0] == '\'') + 1,
        ('\'', _) if next(2) == '\'' => at + 3,
        _ => at,
    }
    .min(chars.len())
}

fn find(chars: &[char], from: usize, is_end: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|&at| is_end(&chars[at..])).unwrap_or(chars.len())
}

fn end_of_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let item = &rest[at + MARK.len()..];
        let end = end_of_item(item);
        out.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    out + rest
}

/// Where an item ends: at its first `;`, or where its first brace is closed.
fn end_of_item(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    item.len()
}

#[test]
fn comments_and_literals_are_blanked_and_lines_kept() {
    let text = "a // b \"\nc \"d\\\" e\" f 'g' '\\'' &'h i r#\"j\" k\"# l /* m\nn */ o";
    let words: Vec<&str> = strip(text).leak().split_whitespace().collect();
    assert_eq!(words, ["a", "c", "f", "&'h", "i", "l", "o"]);
    assert_eq!(strip(text).lines().count(), text.lines().count());
}

#[test]
fn items_for_tests_are_no_production() {
    let code = "one;\n#[cfg(test)]\nmod tests {\n  two { three }\n}\nfour;\n#[cfg(test)]\nmod five;\nsix";
    let file = File::new("x/src/lib.rs", code);
    assert_eq!(production(&file).split_whitespace().collect::<Vec<_>>(), ["one;", "four;", "six"]);
    assert_eq!(production(&File::new("x/tests/a.rs", code)), "");
}
