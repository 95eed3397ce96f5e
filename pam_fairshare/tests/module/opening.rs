//! Logins that go well, and those that the module lets through.

use std::path::Path;

use fairshare_protocol::Request;

use crate::login::{
    FIGURES, LOG_DEBUG, LOG_ERR, LOG_NOTICE, LOG_WARNING, Login, OPENED, PERM_DENIED, SUCCESS,
    USER, daemon,
};
use crate::peer::Peer;

/// Where no daemon is.
const NOWHERE: &str = "/nonexistent/fairshare.sock";

fn uid_of(user: &str) -> u32 {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let entry = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields[0] == user)
        .unwrap();
    entry[2].parse().unwrap()
}

#[test]
fn a_session_is_opened_for_the_user_and_closed_by_its_number() {
    let (daemon, requests) = daemon();
    let report = Login::new(daemon.path(), "timeout=20000").run();
    assert_eq!(report.codes("open"), [SUCCESS]);
    assert_eq!(report.codes("close"), [SUCCESS]);
    assert_eq!(report.environment(), FIGURES);
    assert_eq!(report.log(), []);
    assert_eq!(report.messages(), Vec::<&str>::new());

    let open = requests.recv().unwrap();
    let Ok(Request::OpenSession(open)) = Request::from_line(open.as_bytes()) else {
        panic!("{open}");
    };
    assert_eq!(open.uid, uid_of(USER));
    assert_eq!(i64::from(open.pid), report.number("pid"));
    assert_eq!(open.service.as_deref(), Some("sshd"));
    let wait = open.wait_ms.unwrap();
    assert!(wait > 10_000 && wait <= 20_000, "{wait}");

    let close = r#"{"type": "close_session", "session": 7}"#;
    assert_eq!(requests.recv().unwrap(), close);
}

/// A daemon that has these lines to tell, in JSON's words.
fn daemon_that_tells(lines: &[&str]) -> Peer {
    let opened = OPENED.trim_end().trim_end_matches('}');
    let lines: Vec<String> = lines.iter().map(|line| format!("\"{line}\"")).collect();
    let notices = lines.join(", ");
    Peer::answering(format!("{opened}, \"notices\": [{notices}]}}\n"))
}

#[test]
fn what_was_missed_is_shown_by_the_conversation_cut_and_clean() {
    let long = "é".repeat(5000);
    let lines = [
        r"fairshare: \u001b[2Jyour lease has ended\n",
        &long,
        "3",
        "4",
        "5",
        "6",
    ];
    let daemon = daemon_that_tells(&lines);
    let report = Login::new(daemon.path(), "").option("leave-open").run();
    assert_eq!(report.codes("open"), [SUCCESS]);
    let info = |text: &str| format!("4 {text}");
    let expected = [
        info("fairshare: \u{fffd}[2Jyour lease has ended\u{fffd}"),
        info(&"é".repeat(256)),
        info("3"),
        info("4"),
        info("5"),
    ];
    assert_eq!(report.messages(), expected);
    assert_eq!(report.environment(), FIGURES);
    assert_eq!(report.log(), []);
}

#[test]
fn only_a_service_that_reaches_a_person_asks_for_what_was_missed() {
    for (service, option, asks) in [
        ("sshd", "", true),
        ("login", "", true),
        ("remote", "", true),
        ("sshd", "silent", false),
        ("cron", "", false),
        ("gdm-password", "", false),
    ] {
        let (daemon, requests) = daemon();
        let login = Login::new(daemon.path(), "").service(service);
        let login = if option.is_empty() {
            login
        } else {
            login.option(option)
        };
        login.run();
        let open = requests.recv().unwrap();
        assert_eq!(
            open.contains("\"notices\": true"),
            asks,
            "{service} {option}: {open}"
        );
    }
}

#[test]
fn a_host_that_asks_for_silence_or_has_no_conversation_shows_nothing() {
    for option in ["silent", "mute"] {
        let daemon = daemon_that_tells(&["fairshare: your lease has ended"]);
        let report = Login::new(daemon.path(), "").option(option).run();
        assert_eq!(report.codes("open"), [SUCCESS], "{option}");
        assert_eq!(report.messages(), Vec::<&str>::new(), "{option}");
        assert_eq!(report.environment(), FIGURES, "{option}");
    }
}

/// Only what tells of CPUs is taken from the daemon, and what a line before has set stays.
#[test]
fn variables_of_the_known_set_are_given_and_no_others() {
    let daemon = Peer::answering(
        concat!(
            r#"{"type": "session_opened", "session": 7, "cpu": 1.5, "mem": "1536M", "tasks": 99, "#,
            r#""environment": {"GOMAXPROCS": "1", "LD_PRELOAD": "1", "MAKEFLAGS": "-j1", "#,
            r#""OMP_NUM_THREADS": "1", "PATH": "/tmp", "RAYON_NUM_THREADS": "1 x"}}"#,
            "\n"
        )
        .to_owned(),
    );
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("env");
    std::fs::write(&settings, "GOMAXPROCS DEFAULT=9\n").unwrap();
    let pam_env = format!(
        "session required pam_env.so readenv=0 conffile={}",
        settings.display()
    );
    let ours = format!(
        "session required MODULE socket={} timeout=20000",
        daemon.path().display()
    );
    let report = Login::new(daemon.path(), "")
        .lines(&[&pam_env, &ours])
        .run();
    assert_eq!(report.codes("open"), [SUCCESS]);
    let mut environment = report.environment();
    environment.sort_unstable();
    let [cpus, memory] = FIGURES;
    assert_eq!(
        environment,
        [
            cpus,
            memory,
            "GOMAXPROCS=9",
            "MAKEFLAGS=-j1",
            "OMP_NUM_THREADS=1"
        ]
    );
}

#[test]
fn debug_logs_what_went_well() {
    let (daemon, _requests) = daemon();
    let report = Login::new(daemon.path(), "debug").run();
    let opened = format!(
        "session 7 of UID {} has 1.5 CPUs, 1536M memory, 99 tasks",
        uid_of(USER)
    );
    assert_eq!(
        report.log(),
        [
            (LOG_DEBUG, opened.as_str()),
            (LOG_DEBUG, "session 7 is closed")
        ]
    );
}

#[test]
fn a_user_who_is_not_covered_gets_no_figures_and_nothing_to_close() {
    let reply = "{\"type\": \"session_ignored\", \"message\": \"exempt\"}\n";
    for (args, log) in [
        ("on_failure=deny", vec![]),
        (
            "on_failure=deny debug",
            vec![(LOG_DEBUG, "nothing to limit: exempt")],
        ),
    ] {
        let daemon = Peer::answering(reply);
        let report = Login::new(daemon.path(), args).run();
        assert_eq!(report.codes("open"), [SUCCESS]);
        assert_eq!(report.codes("close"), [SUCCESS]);
        assert_eq!(report.environment(), Vec::<&str>::new());
        assert_eq!(report.log(), log);
        assert_eq!(report.number("sockets"), 1);
    }
}

#[test]
fn no_line_in_the_log_is_longer_than_the_longest() {
    let sentence = "é".repeat(5000);
    let daemon = Peer::answering(format!(
        "{{\"type\": \"session_ignored\", \"message\": \"{sentence}\"}}\n"
    ));
    let report = Login::new(daemon.path(), "debug").run();
    let log = report.log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].1.chars().count(), 512);
}

#[test]
fn root_is_let_through_before_anything_is_asked_or_logged() {
    let report = Login::new(Path::new(NOWHERE), "on_failure=deny debug nonsense")
        .user("root")
        .run();
    assert_eq!(report.codes("open"), [SUCCESS]);
    assert_eq!(report.codes("close"), [SUCCESS]);
    assert_eq!(report.number("sockets"), 0);
    assert_eq!(report.number("lookups"), 0);
    assert_eq!(report.log(), []);
}

#[test]
fn another_name_of_root_is_let_through_before_the_daemon_is_asked() {
    let report = Login::new(Path::new(NOWHERE), "on_failure=deny")
        .user("toor")
        .option("lookup=uid-0")
        .run();
    assert_eq!(report.codes("open"), [SUCCESS]);
    assert_eq!(report.number("sockets"), 0);
    assert_eq!(report.log(), []);
}

#[test]
fn a_service_that_opens_no_login_is_let_through_before_anything_is_asked_or_logged() {
    for service in [
        "systemd-user",
        "su",
        "su-l",
        "sudo",
        "sudo-i",
        "runuser",
        "runuser-l",
        "polkit-1",
    ] {
        let report = Login::new(Path::new(NOWHERE), "on_failure=deny debug nonsense")
            .service(service)
            .run();
        assert_eq!(report.codes("open"), [SUCCESS], "{service}");
        assert_eq!(report.codes("close"), [SUCCESS], "{service}");
        assert_eq!(report.number("sockets"), 0, "{service}");
        assert_eq!(report.number("lookups"), 0, "{service}");
        assert_eq!(report.log(), [], "{service}");
    }
}

#[test]
fn one_handle_may_open_and_close_more_than_once() {
    let (daemon, requests) = daemon();
    let report = Login::new(daemon.path(), "").option("pairs=2").run();
    assert_eq!(report.codes("open"), [SUCCESS; 2]);
    assert_eq!(report.codes("close"), [SUCCESS; 2]);
    assert_eq!(report.log(), []);
    drop(daemon);
    let kinds: Vec<bool> = requests.iter().map(|line| line.contains("open")).collect();
    assert_eq!(kinds, [true, false, true, false]);
}

#[test]
fn a_line_that_stands_twice_closes_once() {
    let (daemon, requests) = daemon();
    let report = Login::new(daemon.path(), "").line_twice().run();
    assert_eq!(report.codes("open"), [SUCCESS]);
    assert_eq!(report.codes("close"), [SUCCESS]);
    assert_eq!(report.log(), []);
    drop(daemon);
    let closes = requests
        .iter()
        .filter(|line| line.contains("close"))
        .count();
    assert_eq!(closes, 1);
}

#[test]
fn a_session_that_is_not_closed_is_forgotten_in_silence() {
    let (daemon, requests) = daemon();
    let report = Login::new(daemon.path(), "debug")
        .option("leave-open")
        .run();
    assert_eq!(report.log().len(), 1, "{report:?}");
    drop(daemon);
    assert_eq!(requests.iter().count(), 1);
}

#[test]
fn arguments_that_are_not_understood_are_warned_about_and_change_nothing() {
    let (daemon, _requests) = daemon();
    let report = Login::new(daemon.path(), "colour=red timeout=soon timeout=99999").run();
    assert_eq!(report.environment(), FIGURES);
    assert_eq!(
        report.log(),
        [
            (LOG_WARNING, "unknown argument 'colour=red', ignoring"),
            (
                LOG_WARNING,
                "'timeout=soon' is not a number of milliseconds, ignoring"
            ),
            (
                LOG_WARNING,
                "'timeout=99999' is not within 10 to 30000, using 30000"
            ),
        ]
    );
}

/// Asserts that a login of this user fails before the daemon is asked, with this reason.
fn assert_no_user(login: &Login, reason: &str) {
    let report = login.run();
    assert_eq!(report.codes("open"), [SUCCESS]);
    assert_eq!(report.codes("close"), [SUCCESS]);
    assert_eq!(report.number("sockets"), 0);
    let line = format!("{reason}; login goes on without limits");
    assert_eq!(report.log(), [(LOG_ERR, line.as_str())]);
}

#[test]
fn a_user_whom_nobody_knows_is_not_limited() {
    let login = |user: &str| Login::new(Path::new(NOWHERE), "").user(user);
    // Answered by a stand-in: a real lookup may open sockets of its own.
    let unknown = |user: &str| login(user).option("lookup=enoent");
    assert_no_user(&unknown("nosuchuser"), "no user 'nosuchuser'");
    let long = "x".repeat(5000);
    assert_no_user(&unknown(&long), &format!("no user '{}'", "x".repeat(64)));
    assert_no_user(&unknown("a\x1b[2J%s%n"), "no user 'a\u{fffd}[2J%s%n'");
    // The host's word for no user at all.
    assert_no_user(&login("-"), "no user is named");
    assert_no_user(
        &login(USER).option("lookup=eio"),
        "cannot look up user 'nobody': Input/output error (os error 5)",
    );
    assert_no_user(
        &login(USER).option("lookup=eintr"),
        "cannot look up user 'nobody': Interrupted system call (os error 4)",
    );
    assert_no_user(
        &login(USER).option("lookup=endless"),
        "cannot look up user 'nobody': Numerical result out of range (os error 34)",
    );
}

#[test]
fn a_user_unknown_to_the_real_name_service_is_refused_where_the_administrator_wants_it() {
    let report = Login::new(Path::new(NOWHERE), "on_failure=deny")
        .user("no-such-user-here")
        .run();
    assert_eq!(report.codes("open"), [crate::login::SESSION_ERR]);
    let line = "no user 'no-such-user-here'; login is refused";
    assert_eq!(report.log(), [(LOG_ERR, line)]);
}

#[test]
fn a_lookup_is_repeated_when_interrupted_and_given_a_larger_buffer_when_it_asks() {
    for lookup in ["eintr-once", "long"] {
        let (daemon, requests) = daemon();
        let report = Login::new(daemon.path(), "")
            .option(format!("lookup={lookup}"))
            .run();
        assert_eq!(report.environment(), FIGURES, "{lookup}");
        assert_eq!(report.log(), [], "{lookup}");
        if lookup == "long" {
            assert!(requests.recv().unwrap().contains("\"uid\": 12345"));
        }
    }
}

#[test]
fn a_line_in_another_stack_lets_nobody_in_and_locks_nobody_out() {
    for (stack, call) in [
        ("auth", "authenticate"),
        ("auth", "setcred"),
        ("account", "account"),
        ("password", "password"),
    ] {
        let run = |lines: &[&str]| {
            let option = format!("stack={stack}");
            Login::new(Path::new(NOWHERE), "")
                .lines(lines)
                .option(option)
                .run()
        };
        let line = format!("{stack} required MODULE on_failure=deny");
        let sufficient = format!("{stack} sufficient MODULE");
        let permit = format!("{stack} required pam_permit.so");

        let alone = run(&[&line]);
        assert_eq!(alone.codes(call), [PERM_DENIED], "{call}");
        let alone = run(&[&sufficient]);
        assert_eq!(alone.codes(call), [PERM_DENIED], "{call}");
        let beside = run(&[&line, &permit]);
        assert_eq!(beside.codes(call), [SUCCESS], "{call}");
        let warning = "the module belongs into a 'session' line; ignoring";
        assert!(beside.log().contains(&(LOG_NOTICE, warning)), "{beside:?}");
    }
}
