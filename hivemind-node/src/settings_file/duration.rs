//! Durations as they are written: a number and its unit.

use std::time::Duration;

use thiserror::Error;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Why a text is no duration. Who wrote it is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DurationFault {
    /// A number alone.
    #[error("`{0}` has no unit; write one behind it: ms, s, min, h or d, as in \"5 s\"")]
    NoUnit(String),
    /// Something else.
    #[error("`{0}` is no duration; write a whole number and a unit (ms, s, min, h or d), as in \"250 ms\"")]
    Malformed(String),
    /// It does not fit.
    #[error("`{0}` is longer than any duration; write a smaller number")]
    TooLong(String),
}

/// Reads `5 s`, `250ms`, `1h`.
///
/// # Errors
/// [`DurationFault`].
pub fn parse(text: &str) -> Result<Duration, DurationFault> {
    let shown = || text.chars().take(32).collect::<String>();
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = trimmed.split_at(digits);
    if number.is_empty() {
        return Err(DurationFault::Malformed(shown()));
    }
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Err(DurationFault::NoUnit(shown()));
    }
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| DurationFault::Malformed(shown()))?;
    let milliseconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
    milliseconds.map(Duration::from_millis).ok_or_else(|| DurationFault::TooLong(shown()))
}

/// As it would be written: in the largest unit that needs no fraction.
pub fn shown(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let fits = |(_, factor): &&(&str, u64)| milliseconds.is_multiple_of(u128::from(*factor)) && milliseconds >= u128::from(*factor);
    let (unit, factor) = UNITS.iter().rev().find(fits).unwrap_or(&("s", 1_000));
    format!("{} {unit}", milliseconds / u128::from(*factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        for (text, milliseconds) in
            [("5 s", 5_000), ("250ms", 250), (" 1h ", 3_600_000), ("2 d", 172_800_000), ("3min", 180_000), ("0 s", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
            assert_eq!(parse(&shown(Duration::from_millis(milliseconds))), Ok(Duration::from_millis(milliseconds)));
        }
        assert!(matches!(parse("5"), Err(DurationFault::NoUnit(_))));
        assert!(matches!(parse("18446744073709551615 d"), Err(DurationFault::TooLong(_))));
        for text in ["", "s", "-5 s", "5 m", "5 S", "1.5 s", "5 s s", "٣ s"] {
            assert!(matches!(parse(text), Err(DurationFault::Malformed(_))), "{text}");
        }
    }
}
