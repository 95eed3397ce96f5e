//! `fairshared check`, and the daemon's start with a policy that check refuses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const GOOD: &str = "defaults: {cpu: 2, mem: 1G}\nmax: {cpu: 8, mem: 2G}\n";

fn policy(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    folder
}

fn fairshared(words: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fairshared"))
        .args(words)
        .arg(path)
        .env_remove("NOTIFY_SOCKET")
        .env_remove("JOURNAL_STREAM")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_good_policy_is_summed_up_and_warnings_do_not_make_it_wrong() {
    let more = "groups: {staff: {priority: 1}}\ngroup_order: [stuff]\nenforce: watch\n";
    let folder = policy(&[("10-base.yaml", GOOD), ("20-more.yaml", more)]);
    let output = fairshared(&["check"], folder.path());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (shown, odd) = (text(&output.stdout), text(&output.stderr));
    assert!(
        shown.starts_with(
            "The policy is good: 2 files, with sections for 1 group and 0 users.\n\
             At login: 2 CPUs, 1G memory, 4096 tasks; \
             at the most: 8 CPUs, 2G memory, 16384 tasks.\n\
             This machine shares out "
        ),
        "{shown}"
    );
    assert!(
        shown.ends_with("Nothing is set: 'enforce' is 'watch'.\n"),
        "{shown}"
    );
    assert!(odd.contains("20-more.yaml:2:15\n"), "{odd}");
    assert!(odd.contains("help: did you mean 'staff'?"), "{odd}");
}

#[test]
fn a_wrong_policy_ends_with_78_in_check_and_at_the_start_with_the_same_text() {
    let folder = policy(&[
        ("10-base.yaml", GOOD),
        ("20-more.yaml", "max:\n  cpu: 1\nmix: 3\n"),
    ]);
    let check = fairshared(&["check"], folder.path());
    assert_eq!(check.status.code(), Some(78), "{check:?}");
    assert!(check.stdout.is_empty(), "{check:?}");
    let name = folder.path().display();
    let problems = format!(
        "error: defaults.cpu: 2 is above max.cpu (1)\n \
         --> {name}/10-base.yaml:1:17\n  \
         |\n\
         1 | defaults: {{cpu: 2, mem: 1G}}\n  \
         |                 ^\n\n\
         error: mix: unknown key\n \
         --> {name}/20-more.yaml:3:1\n  \
         |\n\
         3 | mix: 3\n  \
         | ^^^\n  \
         |\n  \
         = help: did you mean 'max'?\n"
    );
    assert_eq!(
        text(&check.stderr),
        format!("{problems}\npolicy {name} is wrong\n")
    );

    let start = fairshared(&[], folder.path());
    assert_eq!(start.status.code(), Some(78), "{start:?}");
    let log = text(&start.stderr) + &text(&start.stdout);
    assert!(log.contains(&problems), "{log}");
}

#[test]
fn a_missing_policy_ends_with_78() {
    let output = fairshared(&["check"], Path::new("/nonexistent"));
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let told = text(&output.stderr);
    assert!(
        told.starts_with("cannot read policy /nonexistent: "),
        "{told}"
    );
}
