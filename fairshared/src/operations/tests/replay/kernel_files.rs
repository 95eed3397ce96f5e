//! How the kernel's files show what systemd was asked for, so far as the daemon reads them back. Both
//! fakes of systemd write them so: the replay's, and the benchmark's, which takes this file by its path.

/// Of the quota in `cpu.max`, in microseconds.
const PERIOD: u64 = 100_000;

/// The file of a slice that shows a property of the unit; nothing for one that no file shows.
///
/// `tasks` says whether `TasksMax` has an effect: that of `StartTransientUnit` has none on a user's
/// slice, because a drop-in of logind's beats it.
pub(super) fn file_of(property: &str, tasks: bool) -> Option<&'static str> {
    match property {
        "CPUQuotaPerSecUSec" => Some("cpu.max"),
        "CPUWeight" => Some("cpu.weight"),
        "MemoryMax" => Some("memory.max"),
        "MemoryHigh" => Some("memory.high"),
        "MemoryLow" => Some("memory.low"),
        "MemorySwapMax" => Some("memory.swap.max"),
        "TasksMax" if tasks => Some("pids.max"),
        _ => None,
    }
}

/// What the file shows for the property's value.
pub(super) fn text_of(file: &str, value: u64) -> String {
    match value {
        u64::MAX => "max".to_owned(),
        quota if file == "cpu.max" => format!("{} {PERIOD}", quota / (1_000_000 / PERIOD)),
        value => value.to_string(),
    }
}
