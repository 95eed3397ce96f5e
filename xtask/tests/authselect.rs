//! `fairshare-authselect`, which the RPM has, against a stand-in for authselect.
//!
//! The stand-in can show that no file of the stacks is written but by authselect, that features
//! stay, and that what was there comes back. It cannot show that authselect takes the profile.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const LINE: &str = "-session optional pam_fairshare.so";

/// A machine as far as authselect has it.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// One with the profile 'sssd' selected, and a feature on.
    fn new() -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for folder in ["default/sssd", "custom", "pam.d", "bin"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        machine.write("default/sssd/README", "SSSD\n");
        machine.write("default/sssd/nsswitch.conf", "passwd: sss files\n");
        machine.write(
            "default/sssd/postlogin",
            "session optional pam_lastlog.so\n",
        );
        for stack in ["system-auth", "password-auth"] {
            machine.write(
                &format!("default/sssd/{stack}"),
                "-session optional pam_systemd.so\n\
                 session optional pam_oddjob_mkhomedir.so {include if \"with-mkhomedir\"}\n\
                 session optional pam_mount.so {include if \"with-mount\"}\n\
                 session required pam_unix.so\n",
            );
        }
        machine.write("selected", "sssd with-mkhomedir\n");
        let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/authselect/stand-in");
        std::os::unix::fs::symlink(stand_in, machine.path("bin/authselect")).unwrap();
        let written = machine.run("authselect", &["apply-changes"]);
        assert!(written.status.success(), "{written:?}");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(arguments)
            .env("STAND_IN", self.folder.path())
            .env("FAIRSHARE_AUTHSELECT_CUSTOM", self.path("custom"))
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .output()
            .unwrap()
    }

    fn fairshare(&self, what: &str) -> Output {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let script = workspace.join("packaging/rpm/fairshare-authselect");
        self.run(&script.display().to_string(), &[what])
    }

    fn does(&self, what: &str) {
        let output = self.fairshare(what);
        assert!(output.status.success(), "{what}: {output:?}");
    }

    /// What it says when it does not.
    fn refuses(&self, what: &str) -> String {
        let output = self.fairshare(what);
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Every stack that authselect has written.
    fn stacks(&self) -> Vec<(String, String)> {
        let mut stacks: Vec<_> = fs::read_dir(self.path("pam.d"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| (name.clone(), self.read(&format!("pam.d/{name}"))))
            .collect();
        stacks.sort();
        stacks
    }
}

#[test]
fn the_module_comes_last_and_the_features_stay() {
    let machine = Machine::new();
    machine.does("enable");
    assert_eq!(
        machine.read("selected"),
        "custom/fairshare with-mkhomedir with-fairshare\n"
    );
    for stack in ["system-auth", "password-auth"] {
        let text = machine.read(&format!("pam.d/{stack}"));
        assert_eq!(text.lines().last(), Some(LINE), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("pam_oddjob_mkhomedir.so") && !text.contains("pam_mount.so"));
    }
    // It is behind pam_systemd in the others already.
    assert!(!machine.read("pam.d/postlogin").contains(LINE));
}

#[test]
fn going_back_leaves_nothing() {
    let machine = Machine::new();
    let before = machine.stacks();
    machine.does("enable");
    assert_ne!(machine.stacks(), before);
    machine.does("disable");
    assert_eq!(machine.stacks(), before);
    assert_eq!(machine.read("selected"), "sssd with-mkhomedir\n");
    assert!(!machine.path("custom/fairshare").exists());
    // Once more, as an uninstall after it would.
    machine.does("disable");
    assert_eq!(machine.stacks(), before);
}

#[test]
fn doing_it_twice_changes_nothing() {
    let machine = Machine::new();
    machine.does("enable");
    let once = machine.stacks();
    machine.does("enable");
    assert_eq!(machine.stacks(), once);
}

#[test]
fn a_profile_that_knows_the_feature_is_used_as_it_is() {
    let machine = Machine::new();
    let stack = machine.read("default/sssd/password-auth");
    let line = format!("{LINE} {{include if \"with-fairshare\"}}\n");
    machine.write("default/sssd/password-auth", &(stack + &line));
    machine.does("enable");
    assert_eq!(
        machine.read("selected"),
        "sssd with-mkhomedir with-fairshare\n"
    );
    assert!(!machine.path("custom/fairshare").exists());
    machine.does("disable");
    assert_eq!(machine.read("selected"), "sssd with-mkhomedir\n");
}

#[test]
fn what_an_update_changes_is_taken_over() {
    let machine = Machine::new();
    machine.does("enable");
    let stack = machine.read("default/sssd/password-auth");
    machine.write(
        "default/sssd/password-auth",
        &(stack + "session optional pam_new.so\n"),
    );
    machine.does("refresh");
    let text = machine.read("pam.d/password-auth");
    assert!(text.contains("pam_new.so"), "{text}");
    assert_eq!(text.lines().last(), Some(LINE));
    assert_eq!(text.matches(LINE).count(), 1);
    assert!(!machine.path("custom/fairshare-new").exists());
    machine.does("disable");
    assert!(machine.read("pam.d/password-auth").contains("pam_new.so"));
}

#[test]
fn refreshing_what_is_not_in_use_does_nothing() {
    let machine = Machine::new();
    let before = machine.stacks();
    machine.does("refresh");
    assert_eq!(machine.stacks(), before);
}

#[test]
fn stacks_that_were_written_by_hand_are_left_alone() {
    let machine = Machine::new();
    machine.write("pam.d/password-auth", "session required pam_mine.so\n");
    let before = machine.stacks();
    let words = machine.refuses("enable");
    assert!(words.contains("authselect check"), "{words}");
    assert_eq!(machine.stacks(), before);
}

#[test]
fn a_profile_of_the_administrators_is_not_overwritten() {
    let machine = Machine::new();
    fs::create_dir(machine.path("custom/fairshare")).unwrap();
    machine.write("custom/fairshare/README", "mine\n");
    let words = machine.refuses("enable");
    assert!(words.contains("not made by this command"), "{words}");
    assert_eq!(machine.read("custom/fairshare/README"), "mine\n");
    assert_eq!(machine.read("selected"), "sssd with-mkhomedir\n");
}

#[test]
fn a_profile_that_authselect_refuses_is_taken_away() {
    let machine = Machine::new();
    let before = machine.stacks();
    machine.write("refuse", "");
    let words = machine.refuses("enable");
    assert!(words.contains("nothing is changed"), "{words}");
    assert_eq!(machine.stacks(), before);
    assert!(!machine.path("custom/fairshare").exists());
}

#[test]
fn without_authselect_it_says_what_to_do() {
    let machine = Machine::new();
    fs::remove_file(machine.path("bin/authselect")).unwrap();
    let words = machine.refuses("enable");
    assert!(
        words.contains("-session optional pam_fairshare.so"),
        "{words}"
    );
}
