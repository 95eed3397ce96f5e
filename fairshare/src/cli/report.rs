//! What may be typed behind `fairshare report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use fairshare_protocol::{Period, Report, ReportBy};

use crate::names;

pub(super) const EXAMPLES: &str = "\
Examples:
  fairshare report --since 30d --by group
  fairshare report --user alice --by day --csv > alice.csv
  fairshare report --html";

/// Where a page goes that is given no file.
const PAGE: &str = "fairshare-report.html";

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Only this user: name or UID. Others than you are for root and administrators
    #[arg(long, value_name = "USER", value_parser = names::uid, value_hint = ValueHint::Username)]
    user: Option<u32>,
    /// The last so long, such as 24h or 30d; seven days, if left out
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    since: Option<Period>,
    /// What a row is; a day is one in UTC
    #[arg(long, value_name = "WHAT", default_value = "user")]
    by: By,
    /// Print comma-separated values: whole numbers, with the unit in each column's name
    #[arg(long, conflicts_with_all = ["html", "json"])]
    csv: bool,
    /// Write a page with charts, to this file or fairshare-report.html; - is standard output
    ///
    /// The page is one file, without a script, and asks no other host for anything. A file that is
    /// there already is replaced, at once and as a whole.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        default_missing_value = PAGE,
        value_hint = ValueHint::FilePath,
        conflicts_with = "json"
    )]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    User,
    Group,
    Day,
}

/// How a report is shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    /// For people, on the terminal.
    Table,
    /// For spreadsheets.
    Csv,
    /// A page, to be printed.
    PageOnStdout,
    /// A page, to be put into this file.
    PageIn(&'a PathBuf),
}

impl ReportArgs {
    /// What to ask the daemon.
    pub(super) fn request(&self) -> Report {
        Report {
            uid: self.user,
            by: match self.by {
                By::User => ReportBy::User,
                By::Group => ReportBy::Group,
                By::Day => ReportBy::Day,
            },
            since: self.since,
        }
    }

    /// How the answer is to be shown.
    pub(crate) fn form(&self) -> Form<'_> {
        match &self.html {
            Some(file) if file.as_os_str() == "-" => Form::PageOnStdout,
            Some(file) => Form::PageIn(file),
            None if self.csv => Form::Csv,
            None => Form::Table,
        }
    }
}
