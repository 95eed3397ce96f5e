//! `examples/profile.d/fairshare.sh`: what an interactive shell on a terminal shows, and that
//! everything else sees not a byte of it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::fs::File;
use std::process::{Command, Output};

const GREETING: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/profile.d/fairshare.sh"
);

/// The shells, each without files of its own and strict about variables and failures.
const SHELLS: [&[&str]; 2] = [&["dash", "-eu"], &["bash", "--norc", "--noprofile", "-eu"]];

const HELD: &[(&str, &str)] = &[("FAIRSHARE_CPUS", "0.5"), ("FAIRSHARE_MEMORY", "512M")];

/// A shell that reads the greeting, then says that it went on. It finds no program to start.
fn source(shell: &[&str], interactive: bool) -> Vec<String> {
    let mut words: Vec<String> = shell.iter().map(|word| (*word).to_owned()).collect();
    if interactive {
        words.push("-i".to_owned());
    }
    words.push("-c".to_owned());
    words.push(format!("PATH=/nonexistent; . '{GREETING}'; echo done"));
    words
}

fn with_environment<'a>(command: &'a mut Command, set: &[(&str, &str)]) -> &'a mut Command {
    for name in ["FAIRSHARE_CPUS", "FAIRSHARE_MEMORY", "TMUX", "STY"] {
        command.env_remove(name);
    }
    command.envs(set.iter().copied())
}

fn on_a_terminal(words: &[String], set: &[(&str, &str)]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    let mut command = Command::new("script");
    command
        .args([
            "--quiet",
            "--return",
            "--command",
            &quoted.join(" "),
            "/dev/null",
        ])
        .env("TERM", "dumb")
        .stdin(File::open("/dev/null").unwrap());
    let output = with_environment(&mut command, set)
        .output()
        .expect("script (Debian's bsdutils) is needed");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .replace("\r\n", "\n")
}

fn in_a_pipe(words: &[String], set: &[(&str, &str)]) -> Output {
    let (shell, arguments) = words.split_first().unwrap();
    let mut command = Command::new(shell);
    command.args(arguments);
    with_environment(&mut command, set)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {shell}: {error}"))
}

#[test]
fn a_person_on_a_terminal_is_greeted() {
    for shell in SHELLS {
        let shown = on_a_terminal(&source(shell, true), HELD);
        assert_eq!(
            shown,
            "Your share of this machine: 0.5 CPUs and 512M memory.\n\
             To see it: fairshare   To ask for more: fairshare resize --help\ndone\n",
            "{shell:?}"
        );
        let one = [("FAIRSHARE_CPUS", "1"), ("FAIRSHARE_MEMORY", "8G")];
        assert!(on_a_terminal(&source(shell, true), &one).contains("1 CPU and 8G memory."));
    }
}

#[test]
fn a_shell_without_a_terminal_shows_not_a_byte() {
    for shell in SHELLS {
        let plain = in_a_pipe(&source(shell, false), HELD);
        assert_eq!(
            (plain.stdout, plain.stderr),
            (b"done\n".to_vec(), Vec::new())
        );
        // An interactive shell complains of the missing terminal by itself, on standard error.
        let interactive = in_a_pipe(&source(shell, true), HELD);
        assert_eq!(interactive.stdout, b"done\n", "{shell:?}");
    }
}

#[test]
fn a_command_on_a_terminal_and_a_login_without_figures_are_not_greeted() {
    for shell in SHELLS {
        assert_eq!(on_a_terminal(&source(shell, false), HELD), "done\n");
        for set in [
            &[][..],
            &[("FAIRSHARE_CPUS", "2")],
            &[("FAIRSHARE_CPUS", ""), ("FAIRSHARE_MEMORY", "")],
        ] {
            assert_eq!(
                on_a_terminal(&source(shell, true), set),
                "done\n",
                "{set:?}"
            );
        }
    }
}

#[test]
fn a_new_window_of_tmux_or_screen_is_not_greeted() {
    for shell in SHELLS {
        for window in ["TMUX", "STY"] {
            let set = [HELD, &[(window, "1")]].concat();
            assert_eq!(on_a_terminal(&source(shell, true), &set), "done\n");
        }
    }
}
