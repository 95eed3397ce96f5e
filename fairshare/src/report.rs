//! The answer to `report` in the form that was asked for.

use fairshare_protocol::{ReportInfo, printable};
use jiff::tz::TimeZone;

use crate::cli::{Form, ReportArgs};
use crate::exit::Exit;
use crate::output::Outcome;
use crate::{csv, layout, new_file, page, show};

/// Where the kernel tells the machine's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Shows the report, or writes it where it is to go.
pub(crate) fn show(info: &ReportInfo, args: &ReportArgs) -> Outcome {
    match args.form() {
        Form::Table => Outcome::done(show::report::view(info, layout::width())),
        Form::Csv => Outcome {
            stdout: csv::report(info),
            // A spreadsheet has no place for it.
            stderr: show::report::gaps(info, layout::width_of(std::io::stderr())),
            exit: Exit::Done,
        },
        Form::PageOnStdout => Outcome::done(page(info)),
        Form::PageIn(path) => match new_file::put(path, page(info).as_bytes()) {
            Ok(()) => {
                let name = printable(&path.display().to_string());
                Outcome::done(format!("report written to {name}\n"))
            }
            Err(error) => Outcome {
                stdout: String::new(),
                stderr: format!("fairshare: {}\n", printable(&error.to_string())),
                exit: Exit::Failed,
            },
        },
    }
}

fn page(info: &ReportInfo) -> String {
    // Without its name the page is as good.
    let host = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    page::report(info, host.trim(), &TimeZone::system())
}
