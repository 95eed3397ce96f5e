//! Keeps what a failed test leaves behind, for whoever has to find out why it failed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{LabError, Result};
use crate::host;
use crate::machine::Machine;

/// What a machine is asked after a failure: a file's name and a command of root.
const QUESTIONS: [(&str, &str); 5] = [
    (
        "systemd.txt",
        "systemctl status --no-pager --full --lines=0 'user-*.slice' 'user@*.service' \
         'session-*.scope' 'fairshare*'; systemctl --failed --no-pager; loginctl --no-pager",
    ),
    (
        "cgroups.txt",
        "systemd-cgls --no-pager --all --full; ps -ef",
    ),
    (
        "limits.txt",
        "cd /sys/fs/cgroup && for f in $(find user.slice fairshare.slice -maxdepth 2 \
         \\( -name cpu.max -o -name memory.max -o -name memory.swap.max -o -name pids.max \
         -o -name memory.events \\) 2>/dev/null); do echo \"== $f\"; cat $f; done",
    ),
    (
        "transient.txt",
        "ls -laR /run/fairshare /run/systemd/transient /run/systemd/system.control \
         /run/systemd/system; grep -r . /run/systemd/transient /run/systemd/system.control",
    ),
    (
        "fairshare.txt",
        "timeout 5 fairshare list; timeout 5 systemctl cat fairshared.service",
    ),
];

/// A place in a machine's journal.
#[derive(Debug, Clone)]
pub struct Mark(String);

impl Machine {
    /// Marks the journal's end, so that later only what came after it is kept.
    pub fn mark(&self) -> Result<Mark> {
        let output = self.root("journalctl --lines=0 --show-cursor --quiet")?;
        let cursor = output
            .text()
            .strip_prefix("-- cursor: ")
            .unwrap_or_default();
        Ok(Mark(cursor.to_owned()))
    }

    /// The journal since `mark`, a line each; `options` are of `journalctl`, such as `-u UNIT`.
    pub fn journal(&self, mark: &Mark, options: &str) -> Result<String> {
        let since = if mark.0.is_empty() {
            String::new()
        } else {
            format!("--after-cursor '{}'", mark.0)
        };
        let command = format!("journalctl --no-pager --output short-precise {since} {options}");
        Ok(self.root(&command)?.stdout)
    }

    /// Writes all that may tell why the test `name` failed into a folder, whose path is returned.
    ///
    /// A machine that does not answer any more still leaves its console.
    pub fn keep_logs(&self, name: &str, mark: Option<&Mark>, failure: &str) -> Result<PathBuf> {
        let folder = folder(name, &self.release().to_string());
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(LabError::io("remove", &folder))?;
        }
        host::make_dir(&folder)?;
        host::write(&folder.join("failure.txt"), &format!("{failure}\n"))?;
        copy_console(&self.address().console, &folder)?;
        let all = Mark(String::new());
        let text = |answer: Result<String>| answer.unwrap_or_else(|error| format!("{error}\n"));
        let journal = text(self.journal(mark.unwrap_or(&all), ""));
        host::write(&folder.join("journal.txt"), &journal)?;
        for (file, command) in QUESTIONS {
            let answer = self
                .as_root()
                .run(command)
                .map(|output| output.stdout + &output.stderr);
            host::write(&folder.join(file), &text(answer))?;
        }
        Ok(folder)
    }
}

fn folder(name: &str, release: &str) -> PathBuf {
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect();
    host::lab()
        .join("logs")
        .join(format!("{}-{release}", name.replace("--", "-")))
}

fn copy_console(console: &Path, folder: &Path) -> Result<()> {
    let to = folder.join("console.txt");
    if console.exists() {
        fs::copy(console, &to).map_err(LabError::io("copy", console))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_after_test_and_release() {
        let path = folder("limits::cpu hog/4", "debian13");
        assert!(
            path.ends_with("logs/limits-cpu-hog-4-debian13"),
            "{}",
            path.display()
        );
    }
}
