//! The PAM file in the examples: libpam takes it, and the module's line stands where it works.

use std::fs;

use crate::artifacts::{artifacts, crate_folder};
use crate::login::{FIGURES, Login, SUCCESS, daemon};

/// The example without comments and empty lines.
fn lines() -> Vec<String> {
    let path = crate_folder().join("../examples/pam.d/sshd");
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

fn position(lines: &[String], part: &str) -> usize {
    let mut found = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains(part));
    let (position, _) = found.next().unwrap();
    assert!(found.next().is_none(), "{part} stands twice");
    position
}

#[test]
fn the_line_stands_after_common_session_and_is_optional() {
    let lines = lines();
    let line = position(&lines, "pam_fairshare.so");
    let words: Vec<&str> = lines[line].split_whitespace().collect();
    assert_eq!(words, ["session", "optional", "pam_fairshare.so"]);
    assert!(position(&lines, "@include common-session") < line);
    // The files that pam-auth-update writes, each in its place.
    for include in ["auth", "account", "password"] {
        position(&lines, &format!("@include common-{include}"));
    }
}

#[test]
fn libpam_takes_every_stack_of_it_and_the_session_is_limited() {
    let (daemon, _requests) = daemon();
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("pam_fairshare.so");
    std::os::unix::fs::symlink(&artifacts().module, &module).unwrap();
    let services = folder.path().join("pam.d");
    fs::create_dir(&services).unwrap();

    // Debian's own modules want Debian's own state (audit, keyrings, a shadow file): a module that
    // says yes stands in for each, with the control words of the example.
    let adapt = |line: &String| {
        let words = line.split_inclusive(char::is_whitespace).map(|word| {
            let name = word.trim_end();
            if name == "pam_fairshare.so" {
                let socket = daemon.path().display();
                format!("{} socket={socket} timeout=20000 ", module.display())
            } else if name.starts_with("common-") {
                // libpam looks for a bare name in /etc/pam.d, wherever the service came from.
                format!("{}/{name} ", services.display())
            } else if name.starts_with("pam_") {
                "pam_permit.so ".to_owned()
            } else {
                word.to_owned()
            }
        });
        words.collect::<String>() + "\n"
    };
    let sshd: String = lines().iter().map(adapt).collect();
    fs::write(services.join("sshd"), sshd).unwrap();
    fs::write(services.join("other"), "").unwrap();
    for stack in ["auth", "account", "session", "password"] {
        let file = services.join(format!("common-{stack}"));
        fs::write(file, format!("{stack} required pam_permit.so\n")).unwrap();
    }

    let report = Login::new(daemon.path(), "").run_with(&services);
    assert_eq!(report.codes("open"), [SUCCESS]);
    assert_eq!(report.codes("close"), [SUCCESS]);
    assert_eq!(report.environment(), FIGURES);
    assert_eq!(report.log(), []);
    for (stack, call) in [
        ("auth", "authenticate"),
        ("account", "account"),
        ("password", "password"),
    ] {
        let report = Login::new(daemon.path(), "")
            .option(format!("stack={stack}"))
            .run_with(&services);
        assert_eq!(report.codes(call), [SUCCESS], "{stack}");
        assert_eq!(report.log(), [], "{stack}");
    }
}
