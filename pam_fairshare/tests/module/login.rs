//! A login in the host, and what came of it.

use std::fmt::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::{fs, io};

use crate::artifacts::artifacts;
use crate::peer::{Peer, read_line};

/// PAM codes, by the numbers of `security/_pam_types.h`.
pub(crate) const SUCCESS: i32 = 0;
pub(crate) const PERM_DENIED: i32 = 6;
pub(crate) const SESSION_ERR: i32 = 14;

/// Priorities of `syslog(3)`, with the facility `LOG_AUTHPRIV`.
pub(crate) const LOG_ERR: i32 = 83;
pub(crate) const LOG_WARNING: i32 = 84;
pub(crate) const LOG_NOTICE: i32 = 85;
pub(crate) const LOG_DEBUG: i32 = 87;

/// A user whom every Linux system has, and who is not root.
pub(crate) const USER: &str = "nobody";

/// A login to be made.
pub(crate) struct Login {
    module: PathBuf,
    service: String,
    user: String,
    lines: Vec<String>,
    options: Vec<String>,
}

impl Login {
    /// A login with the module as the only line of its stack. `socket` is where it looks for the
    /// daemon. It waits long, unless `args` say otherwise: a busy machine is no failure.
    pub(crate) fn new(socket: &Path, args: &str) -> Self {
        Self {
            module: artifacts().module.clone(),
            service: "sshd".to_owned(),
            user: USER.to_owned(),
            lines: vec![format!(
                "session required MODULE socket={} timeout=20000 {args}",
                socket.display()
            )],
            options: Vec::new(),
        }
    }

    /// With the module that panics.
    pub(crate) fn panicking(args: &str) -> Self {
        Self {
            module: artifacts().panicking.clone(),
            ..Self::new(Path::new("/nonexistent"), args)
        }
    }

    pub(crate) fn service(self, service: &str) -> Self {
        let service = service.to_owned();
        Self { service, ..self }
    }

    pub(crate) fn user(self, user: &str) -> Self {
        let user = user.to_owned();
        Self { user, ..self }
    }

    /// Other lines in place of the one, with `MODULE` for the module's path.
    pub(crate) fn lines(self, lines: &[&str]) -> Self {
        let lines = lines.iter().map(|&line| line.to_owned()).collect();
        Self { lines, ..self }
    }

    /// The same line twice.
    pub(crate) fn line_twice(mut self) -> Self {
        self.lines.extend_from_within(..);
        self
    }

    /// An option of the host.
    pub(crate) fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Makes the login, and checks what must be so after every one.
    pub(crate) fn run(&self) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("pam_fairshare.so");
        symlink(&self.module, &module).unwrap();
        let mut stack = String::new();
        for line in &self.lines {
            let line = line.replace("MODULE", module.to_str().unwrap());
            writeln!(stack, "{line}").unwrap();
        }
        let services = folder.path().join("pam.d");
        fs::create_dir(&services).unwrap();
        fs::write(services.join(&self.service), stack).unwrap();
        // libpam complains when there is none.
        fs::write(services.join("other"), "").unwrap();
        self.run_with(&services)
    }

    /// Makes the login with the services in this folder.
    pub(crate) fn run_with(&self, services: &Path) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        let output = Command::new(&artifacts().host)
            .arg(&path)
            .arg(services)
            .args([&self.service, &self.user])
            .args(&self.options)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let report = Report {
            lines: fs::read_to_string(&path).unwrap_or_default(),
            status: output.status,
        };
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(report.status.success(), "{report:?} {stderr}");
        assert_eq!((&*stdout, &*stderr), ("", ""), "{report:?}");
        assert_eq!(report.number("done"), 0, "{report:?}");
        for untouched in [
            "end",
            "left-in-session",
            "left-open",
            "signals-changed",
            "environment-changed",
        ] {
            let all = report.all(untouched);
            assert!(all.iter().all(|value| *value == "0"), "{report:?}");
        }
        assert_eq!(report.number("threads"), 1, "{report:?}");
        // What goes into the log is never a format.
        assert_eq!(report.all("format"), Vec::<&str>::new());
        report
    }
}

/// What the host wrote down.
#[derive(Debug)]
pub(crate) struct Report {
    lines: String,
    status: ExitStatus,
}

impl Report {
    /// What stands behind this word on each of its lines.
    pub(crate) fn all(&self, word: &str) -> Vec<&str> {
        self.lines
            .lines()
            .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
            .collect()
    }

    /// The number behind a word that stands on one line.
    pub(crate) fn number(&self, word: &str) -> i64 {
        let all = self.all(word);
        assert_eq!(all.len(), 1, "{word} in {self:?}");
        all[0].parse().unwrap()
    }

    /// The PAM codes of a call, in their order.
    pub(crate) fn codes(&self, call: &str) -> Vec<i32> {
        let code = |line: &str| line.split_once(' ').unwrap().0.parse().unwrap();
        self.all(call).into_iter().map(code).collect()
    }

    /// How long the first call of this name took, in milliseconds.
    pub(crate) fn took(&self, call: &str) -> f64 {
        let (_, time) = self.all(call)[0].split_once(' ').unwrap();
        time.parse().unwrap()
    }

    /// What was logged: the priority and the line.
    pub(crate) fn log(&self) -> Vec<(i32, &str)> {
        let entry = |line| {
            let (priority, text) = str::split_once(line, ' ').unwrap();
            (priority.parse().unwrap(), text)
        };
        self.all("log").into_iter().map(entry).collect()
    }

    /// The variables that the session gets.
    pub(crate) fn environment(&self) -> Vec<&str> {
        self.all("env")
    }

    /// What the user was shown: the style and the sentence.
    pub(crate) fn messages(&self) -> Vec<&str> {
        self.all("message")
    }
}

/// A daemon that gives session 7, and answers everything else with success. Tells what it was sent.
pub(crate) fn daemon() -> (Peer, Receiver<String>) {
    let (sender, requests) = mpsc::channel();
    let peer = Peer::new(move |_, mut connection| {
        let request = read_line(&connection);
        let reply = if request.contains("open_session") {
            OPENED
        } else {
            "{\"type\": \"success\", \"message\": \"Done\"}\n"
        };
        sender.send(request).unwrap();
        io::Write::write_all(&mut connection, reply.as_bytes()).unwrap();
    });
    // A host that gave up root must reach it.
    let folder = peer.path().parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    (peer, requests)
}

pub(crate) const OPENED: &str = "{\"type\": \"session_opened\", \"session\": 7, \"cpu\": 1.5, \"mem\": \"1536M\", \"tasks\": 99}\n";

/// What a session is given by [`OPENED`].
pub(crate) const FIGURES: [&str; 2] = ["FAIRSHARE_CPUS=1.5", "FAIRSHARE_MEMORY=1536M"];
