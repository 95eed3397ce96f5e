//! What was used, in units that people reckon with: CPU hours, and gibibytes held for an hour.

const HOUR: u64 = 3600;
const MIB_IN_GIB: u64 = 1024;

/// Seconds of CPU time as hours.
pub(crate) fn hours(seconds: u64) -> String {
    parts_of(seconds, HOUR)
}

/// Mebibytes times seconds as gibibytes times hours.
pub(crate) fn gib_hours(mib_seconds: u64) -> String {
    parts_of(mib_seconds, HOUR * MIB_IN_GIB)
}

/// How often `unit` is in `amount`: three digits that mean something, and never a zero for what is
/// more than that.
fn parts_of(amount: u64, unit: u64) -> String {
    let hundredths = (u128::from(amount) * 100 + u128::from(unit) / 2) / u128::from(unit);
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    match (amount, whole) {
        (0, _) => "0".to_owned(),
        (_, 0) if rest == 0 => "<0.01".to_owned(),
        (_, 0..10) => format!("{whole}.{rest:02}"),
        (_, 10..100) => {
            let tenths = (hundredths + 5) / 10;
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        _ => ((hundredths + 50) / 100).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_is_not_nothing_and_what_is_large_has_no_fraction() {
        for (seconds, text) in [
            (0, "0"),
            (1, "<0.01"),
            (36, "0.01"),
            (3600, "1.00"),
            (5400, "1.50"),
            (45_000, "12.5"),
            (359_999, "100"),
            (360_000, "100"),
            (3_600_000, "1000"),
        ] {
            assert_eq!(hours(seconds), text, "{seconds}");
        }
        assert_eq!(gib_hours(8 * 1024 * 3600), "8.00");
        assert_ne!(hours(u64::MAX), "");
    }
}
