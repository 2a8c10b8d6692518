//! A point of the event log as a client names it: `1.0-7`, epoch and index.

use hivemind_core::ids::{Index, Position};

/// How it looks, as a regular expression. Whatever matches is taken.
pub(super) const PATTERN: &str = r"^[0-9]{1,5}\.[0-9]{1,10}-[0-9]{1,19}$";

/// Generation and number of the epoch, and the index. Without the chain: it finds a place, and proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) generation: u32,
    pub(super) number: u64,
    pub(super) index: u64,
}

impl Cursor {
    pub(super) fn of(position: &Position) -> Self {
        Cursor { generation: position.epoch.generation.into(), number: position.epoch.number.into(), index: position.index.0 }
    }

    /// The point of `before`'s epoch just before the event at `index`.
    pub(super) fn before(position: &Position, index: Index) -> Self {
        Cursor { index: index.0.saturating_sub(1), ..Cursor::of(position) }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (epoch, index) = text.split_once('-')?;
        let (generation, number) = epoch.split_once('.')?;
        let digits = |text: &str, most: usize| {
            let sound = (1..=most).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
            if sound { text.parse::<u64>().ok() } else { None }
        };
        let generation = u32::try_from(digits(generation, 5)?).ok()?;
        Some(Cursor { generation, number: digits(number, 10)?, index: digits(index, 19)? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}-{}", self.generation, self.number, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_shown_and_nothing_else_is() {
        for text in ["1.0-7", "99999.9999999999-9999999999999999999", "0.0-0"] {
            assert_eq!(Cursor::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "1.0", "1-7", "1.0-", "1.0-+7", "1.0-7 ", "-1.0-7", "100000.0-7", "1.0-7-8", "1.0-99999999999999999999"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
