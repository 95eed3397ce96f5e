//! What has happened to a user, in sentences, the newest first.

use std::fmt::Write as _;

use fairshare_protocol::{Incident, IncidentKind, IncidentProcess, IncidentsInfo, printable};
use jiff::Zoned;

use crate::layout::{Width, wrapped};
use crate::times;

/// Processes that are named beside one that tells by itself what it is about.
const MOST_PROCESSES: usize = 3;

/// The answer to `incidents`.
pub(super) fn view(info: &IncidentsInfo, width: Width) -> String {
    view_at(info, &Zoned::now(), width)
}

fn view_at(info: &IncidentsInfo, now: &Zoned, width: Width) -> String {
    let mut text = String::new();
    if info.incidents.is_empty() {
        let nothing = "nothing has happened: no program was killed or held back, and nothing was \
                       refused or taken back";
        text.push_str(&wrapped("", nothing, width));
    }
    for incident in &info.incidents {
        text.push_str(&told(incident, now, width));
    }
    for sentence in &info.blind {
        text.push_str(&wrapped("note: ", &printable(sentence), width));
    }
    text
}

fn told(incident: &Incident, now: &Zoned, width: Width) -> String {
    let when = times::past(now, incident.at).unwrap_or_else(|| "at some time".to_owned());
    let lead = format!("{when} ");
    let below = " ".repeat(lead.chars().count());
    let mut sentence = printable(&incident.text);
    if let Some(times) = incident.times.filter(|times| *times > 1) {
        // Writing to a String cannot fail.
        let _ = write!(sentence, " It happened {times} times.");
    }
    let mut text = wrapped(&lead, &sentence, width);
    if helps(incident.kind) && !incident.processes.is_empty() {
        let processes = incident.processes.iter().take(MOST_PROCESSES);
        let named: Vec<String> = processes.map(named).collect();
        let which = match incident.kind {
            IncidentKind::CpuThrottled => "Busiest",
            _ => "Largest",
        };
        let line = format!("{which} then: {}", named.join(", "));
        text.push_str(&wrapped(&below, &line, width));
    }
    if let Some(advice) = &incident.advice {
        // In one piece, to be copied.
        let _ = writeln!(text, "{below}{}", printable(advice));
    }
    text
}

/// Whether it is of use to know which processes there were.
fn helps(kind: IncidentKind) -> bool {
    match kind {
        IncidentKind::OomKill
        | IncidentKind::CpuThrottled
        | IncidentKind::TasksLimit
        | IncidentKind::MemoryPressure
        | IncidentKind::Unknown => true,
        IncidentKind::RequestRefused
        | IncidentKind::LeaseEnded
        | IncidentKind::GrantReclaimed
        | IncidentKind::PolicyChanged => false,
    }
}

fn named(process: &IncidentProcess) -> String {
    format!(
        "{} (pid {}) {} and {} of CPU",
        printable(&process.command),
        process.pid,
        process.mem.rounded(),
        times::length(process.cpu_s)
    )
}
