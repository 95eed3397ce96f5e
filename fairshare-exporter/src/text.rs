//! How figures are written: `OpenMetrics`, and the older text format of Prometheus.
//!
//! Both are written by hand, because a server asks for one or the other and `promtool check
//! metrics` reads only the older, while the usual library writes only the newer. The two differ in
//! the names of counters' families, in units and in the end. See
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/> and
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::{self, Write};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `OpenMetrics` 1.0.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, which every client reads.
    Plain,
}

/// What kind of figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only rises, until it begins anew.
    Counter,
    /// Rises and falls.
    Gauge,
    /// How often something fell into which bucket.
    Histogram,
}

/// Figures of one name.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// The name, that of a counter without `_total`.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// One sentence without a line end, a backslash or a quotation mark.
    pub(crate) help: &'static str,
    pub(crate) samples: Vec<Sample>,
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Behind the family's name: `_bucket`, `_sum`, `_count`, or nothing.
    pub(crate) suffix: &'static str,
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) value: Number,
}

/// A number with so many decimals, written exactly: no figure passes through floating point here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) units: u64,
    pub(crate) decimals: u8,
}

impl Number {
    /// A whole number.
    pub(crate) fn whole(units: u64) -> Self {
        Self { units, decimals: 0 }
    }

    /// Microseconds, written in seconds.
    pub(crate) fn micros(units: u64) -> Self {
        Self { units, decimals: 6 }
    }

    /// Thousandths.
    pub(crate) fn thousandths(units: u64) -> Self {
        Self { units, decimals: 3 }
    }
}

impl fmt::Display for Number {
    /// As many decimals as it needs, and one at the least where it is not a whole number by its
    /// kind: the bound of a bucket is `1.0` in `OpenMetrics`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.decimals == 0 {
            return write!(f, "{}", self.units);
        }
        let scale = 10_u64.saturating_pow(self.decimals.into());
        let rest = format!(
            "{:0width$}",
            self.units % scale,
            width = self.decimals.into()
        );
        let rest = rest.trim_end_matches('0');
        let rest = if rest.is_empty() { "0" } else { rest };
        write!(f, "{}.{rest}", self.units / scale)
    }
}

impl Format {
    /// The format for a client that accepts this: `OpenMetrics` where it is named. A client that
    /// weighs it lower than the other reads it all the same.
    pub(crate) fn accepted(accept: Option<&str>) -> Self {
        let named = |accept: &str| accept.contains("application/openmetrics-text");
        if accept.is_some_and(named) {
            Self::OpenMetrics
        } else {
            Self::Plain
        }
    }

    /// The header that says which it is.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The families as one text. Those without a figure are left out.
    pub(crate) fn write(self, families: &[Family]) -> String {
        let mut text = String::new();
        for family in families.iter().filter(|family| !family.samples.is_empty()) {
            // Writing to a string does not fail.
            let _ = self.family(&mut text, family);
        }
        if self == Self::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }

    fn family(self, text: &mut String, family: &Family) -> fmt::Result {
        let name = family.name;
        let total = if family.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        let headed = match self {
            Self::OpenMetrics => name.to_owned(),
            Self::Plain => format!("{name}{total}"),
        };
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        writeln!(text, "# HELP {headed} {}", family.help)?;
        writeln!(text, "# TYPE {headed} {kind}")?;
        let unit = ["seconds", "bytes"].into_iter().find(|unit| {
            let rest = name.strip_suffix(unit);
            rest.is_some_and(|rest| rest.ends_with('_'))
        });
        if let (Self::OpenMetrics, Some(unit)) = (self, unit) {
            writeln!(text, "# UNIT {headed} {unit}")?;
        }
        for sample in &family.samples {
            write!(text, "{name}{total}{}", sample.suffix)?;
            for (place, (label, value)) in sample.labels.iter().enumerate() {
                let before = if place == 0 { '{' } else { ',' };
                write!(text, "{before}{label}=\"{}\"", Escaped(value))?;
            }
            let after = if sample.labels.is_empty() { "" } else { "}" };
            writeln!(text, "{after} {}", sample.value)?;
        }
        Ok(())
    }
}

/// The value of a label: a user's name is whatever the name service says.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        for (number, text) in [
            (Number::whole(17), "17"),
            (Number::micros(500), "0.0005"),
            (Number::micros(10_000_000), "10.0"),
            (Number::micros(1_050_000), "1.05"),
            (Number::thousandths(1500), "1.5"),
            (Number::micros(u64::MAX), "18446744073709.551615"),
        ] {
            assert_eq!(number.to_string(), text);
        }
    }

    #[test]
    fn what_a_client_accepts_decides() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        assert_eq!(Format::accepted(Some("*/*")), Format::Plain);
        assert_eq!(Format::accepted(None), Format::Plain);
    }

    #[test]
    fn a_counter_is_named_as_each_format_wants_it_and_labels_are_escaped() {
        let family = Family {
            name: "fairshare_wait_seconds",
            kind: Kind::Counter,
            help: "A help.",
            samples: vec![Sample {
                suffix: "",
                labels: vec![("user", "a\"b\\c\nd".to_owned()), ("kind", "x".to_owned())],
                value: Number::micros(1),
            }],
        };
        let line = r#"fairshare_wait_seconds_total{user="a\"b\\c\nd",kind="x"} 0.000001"#;
        assert_eq!(
            Format::OpenMetrics.write(std::slice::from_ref(&family)),
            format!(
                "# HELP fairshare_wait_seconds A help.\n# TYPE fairshare_wait_seconds counter\n\
                 # UNIT fairshare_wait_seconds seconds\n{line}\n# EOF\n"
            )
        );
        assert_eq!(
            Format::Plain.write(&[family]),
            format!(
                "# HELP fairshare_wait_seconds_total A help.\n\
                 # TYPE fairshare_wait_seconds_total counter\n{line}\n"
            )
        );
    }
}
