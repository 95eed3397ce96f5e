//! The administrator's own settings for users' slices that win over what fairshare sets.
//!
//! systemd reads a unit's drop-ins from all its folders in the order of their names, `systemd.unit(5)`,
//! and a later one wins. What is set over D-Bus is in drop-ins too, named `50-Setting.conf`; so a
//! file that sorts behind that wins, as soon as systemd reads its units again.

use super::Facts;
use super::check::Check;
use super::tree::Tree;

/// Where `systemctl set-property` writes what is to last.
const PERSISTENT: &str = "/etc/systemd/system.control";
/// Where drop-ins are, the earlier folder hiding a file of the same name in a later one.
const FOLDERS: [&str; 6] = [
    PERSISTENT,
    "/run/systemd/system.control",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];
/// What fairshare sets, or wants left alone.
const SETTINGS: [&str; 6] = [
    "CPUQuota",
    "CPUWeight",
    "MemoryMax",
    "MemorySwapMax",
    "TasksMax",
    "CPUQuotaPeriodSec",
];
/// How many are told.
const MOST_TOLD: usize = 8;

/// A setting in a drop-in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    unit: String,
    file: String,
    name: String,
    value: String,
}

pub(crate) fn checks(facts: &Facts<'_>) -> Vec<Check> {
    let winning = winning(facts.tree);
    if winning.is_empty() {
        return vec![Check::ok("drop-ins", "none wins over a limit")];
    }
    winning
        .iter()
        .take(MOST_TOLD)
        .map(|setting| {
            let Setting {
                unit,
                file,
                name,
                value,
            } = setting;
            let whom = match uid_of(unit) {
                Some(uid) => format!("UID {uid}"),
                None => "everybody".to_owned(),
            };
            let remedy = if file.contains("/system.control/") {
                format!("systemctl revert {unit}")
            } else {
                format!("take {name} out: editor {file}; systemctl daemon-reload")
            };
            Check::warning(
                "drop-ins",
                format!("{name}={value} in {file} wins over policy for {whom}"),
                remedy,
            )
        })
        .collect()
}

/// The drop-in that withholds a controller from users' slices.
pub(crate) fn withholding(tree: &Tree, controller: &str) -> Option<String> {
    let all = ["user.slice", "-.slice"];
    let mut settings = all.iter().flat_map(|unit| settings_of(tree, unit));
    let found = settings.find(|setting| {
        setting.name == "DisableControllers"
            && setting
                .value
                .split_whitespace()
                .any(|one| one == controller)
    });
    found.map(|setting| setting.file)
}

fn winning(tree: &Tree) -> Vec<Setting> {
    let mut units: Vec<String> = FOLDERS
        .iter()
        .flat_map(|folder| tree.list(folder))
        .filter_map(|name| name.strip_suffix(".d").map(str::to_owned))
        .filter(|unit| unit == "user-.slice" || uid_of(unit).is_some())
        .collect();
    units.sort();
    units.dedup();
    let mut settings: Vec<Setting> = units
        .iter()
        .flat_map(|unit| settings_of(tree, unit))
        .filter(|setting| SETTINGS.contains(&&*setting.name) && wins(setting))
        .collect();
    settings.dedup();
    settings
}

/// Whether a setting is read behind the one that fairshare makes of the same name, or in its place:
/// `systemctl set-property` gives it the same name, in a folder that comes first.
fn wins(setting: &Setting) -> bool {
    let (folder, file) = setting.file.rsplit_once('/').unwrap_or_default();
    let ours = format!("50-{}.conf", setting.name);
    let in_place = *file == *ours && folder.starts_with(PERSISTENT);
    (*file > *ours || in_place) && !setting.value.is_empty()
}

fn uid_of(unit: &str) -> Option<u32> {
    let uid = unit.strip_prefix("user-")?.strip_suffix(".slice")?;
    uid.parse().ok()
}

/// Every setting in the drop-ins of a unit, in the order in which systemd reads the files.
fn settings_of(tree: &Tree, unit: &str) -> Vec<Setting> {
    let mut files: Vec<(String, String)> = Vec::new();
    for folder in FOLDERS {
        let folder = format!("{folder}/{unit}.d");
        for name in tree.list(&folder) {
            let hidden = files.iter().any(|(known, _)| *known == name);
            if name.strip_suffix(".conf").is_some() && !hidden {
                let file = format!("{folder}/{name}");
                files.push((name, file));
            }
        }
    }
    files.sort();
    files
        .into_iter()
        .flat_map(|(_, file)| {
            let text = tree.text(&file);
            parse(&text)
                .map(|(name, value)| Setting {
                    unit: unit.to_owned(),
                    file: file.clone(),
                    name: name.to_owned(),
                    value: value.to_owned(),
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The assignments of a unit file; sections do not matter, since no two have the same key.
fn parse(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';', '[']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim_end(), value.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::super::testing::{Fake, found};
    use super::*;

    #[test]
    fn what_is_read_behind_ours_wins_and_what_is_read_before_does_not() {
        let fake = Fake::healthy();
        fake.write(
            "/usr/lib/systemd/system/user-.slice.d/10-defaults.conf",
            "[Slice]\nTasksMax=33%\n",
        );
        fake.write(
            "/etc/systemd/system/user-1000.slice.d/49-low.conf",
            "[Slice]\nMemoryMax=1G\n",
        );
        let quiet = checks(&fake.facts());
        assert_eq!(quiet.len(), 1, "{quiet:?}");
        found(&quiet, "drop-ins", State::Ok, "none", "");

        fake.write(
            "/etc/systemd/system/user-1000.slice.d/90-site.conf",
            "# a comment = of ours\n[Slice]\nMemoryMax = 200M\nIOWeight=50\n",
        );
        fake.write(
            "/etc/systemd/system/user-.slice.d/99-all.conf",
            "[Slice]\nCPUQuota=400%\n",
        );
        let told = checks(&fake.facts());
        assert_eq!(told.len(), 2, "{told:?}");
        found(
            &told,
            "drop-ins",
            State::Warning,
            "CPUQuota=400% in /etc/systemd/system/user-.slice.d/99-all.conf wins over policy for everybody",
            "editor /etc/systemd/system/user-.slice.d/99-all.conf",
        );
    }

    #[test]
    fn what_was_set_to_last_is_in_the_place_of_ours() {
        let fake = Fake::healthy();
        fake.write(
            "/run/systemd/system.control/user-1001.slice.d/50-TasksMax.conf",
            "[Slice]\nTasksMax=500\n",
        );
        assert_eq!(checks(&fake.facts())[0].state, State::Ok, "our own");
        fake.write(
            "/etc/systemd/system.control/user-1001.slice.d/50-TasksMax.conf",
            "[Slice]\nTasksMax=9\n",
        );
        let told = checks(&fake.facts());
        found(
            &told,
            "drop-ins",
            State::Warning,
            "TasksMax=9",
            "systemctl revert user-1001.slice",
        );
    }

    #[test]
    fn a_file_that_hides_another_takes_its_place() {
        let fake = Fake::healthy();
        let name = "user-.slice.d/90-site.conf";
        fake.write(
            &format!("/usr/lib/systemd/system/{name}"),
            "[Slice]\nTasksMax=9\n",
        );
        fake.write(&format!("/etc/systemd/system/{name}"), "");
        assert_eq!(checks(&fake.facts())[0].state, State::Ok);
    }

    #[test]
    fn the_number_of_those_that_are_told_is_bounded() {
        let fake = Fake::healthy();
        for uid in 1000..1050 {
            fake.write(
                &format!("/etc/systemd/system/user-{uid}.slice.d/90.conf"),
                "[Slice]\nTasksMax=9\n",
            );
        }
        assert_eq!(checks(&fake.facts()).len(), MOST_TOLD);
    }
}
