//! Logins, each way in turn, so that a busy moment of the machine meets all ways alike.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fairshare_protocol::{DEFAULT_SOCKET, OpenSession, Request};
use fairshare_tests::{LabError, Result};

use super::client::Connection;
use super::helper::Helper;
use super::limits;
use super::people::{self, Person};
use super::systemd::{self, Systemd};
use crate::figures::{Logins, Times, Ways};

/// The first UID of those who log in here.
const FIRST_UID: u32 = 3001;
/// Rounds that are not counted: programs and libraries are read from disk in them.
const WARM_UP: u32 = 2;
/// Left to systemd after each login, to finish what it does behind its answers.
const PAUSE: Duration = Duration::from_millis(50);

/// The ways, in an order of which each round begins with another one.
const WAYS: [Way; 4] = [Way::Nothing, Way::Script, Way::Module, Way::Bare];

/// The script that `pam_exec` runs.
const SCRIPT: &str = r#"#!/bin/sh
exec systemctl set-property --runtime "user-$(id -u "$PAM_USER").slice" \
    CPUQuota=200% MemoryMax=8G MemorySwapMax=0 TasksMax=4096
"#;
const SCRIPT_PATH: &str = "/usr/local/sbin/bench-limit";

/// libpam loads the modules of this service beside those of any other. Debian's brings in half a
/// dozen, which have nothing to do with what is measured and only make it scatter.
const OTHER: &str = "\
auth required pam_deny.so
account required pam_deny.so
password required pam_deny.so
session required pam_deny.so
";
const OTHER_PATH: &str = "/etc/pam.d/other";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Nothing,
    Script,
    Module,
    Bare,
}

impl Way {
    /// The PAM service that a login goes through; `None` where it is no login.
    fn service(self) -> Option<&'static str> {
        match self {
            Self::Nothing => Some("bench-nothing"),
            Self::Script => Some("bench-script"),
            Self::Module => Some("bench-module"),
            Self::Bare => None,
        }
    }

    /// The session lines of that service. What limits is `required`, so that it cannot fail
    /// unseen, and has time, so that one slow moment does not end the run.
    fn lines(self) -> String {
        let limit = match self {
            Self::Nothing | Self::Bare => String::new(),
            Self::Script => {
                format!("session required pam_exec.so quiet type=open_session {SCRIPT_PATH}\n")
            }
            Self::Module => {
                "session required pam_fairshare.so on_failure=deny timeout=30000\n".to_owned()
            }
        };
        format!("session required pam_permit.so\n{limit}")
    }

    fn times(self, ways: &mut Ways<Times>) -> &mut Times {
        match self {
            Self::Nothing => &mut ways.nothing,
            Self::Script => &mut ways.script,
            Self::Module => &mut ways.module,
            Self::Bare => &mut ways.bare,
        }
    }
}

/// Somebody whose slice is active, with a process in it from which they can be logged in.
struct Present {
    way: Way,
    person: Person,
    worker: Helper,
}

/// Measures this many logins of each kind.
pub(super) fn measure(rounds: u32) -> Result<Logins> {
    configure()?;
    let systemd = Systemd::connect()?;
    let each = u32::try_from(WAYS.len()).unwrap_or_default();
    let needed = each * (rounds + WARM_UP + 1);
    let mut people = people::create(FIRST_UID..FIRST_UID + needed)?.into_iter();
    let mut arrive = || -> Result<Vec<Present>> {
        WAYS.into_iter()
            .zip(people.by_ref())
            .map(|(way, person)| Present::new(way, person, &systemd))
            .collect()
    };

    // These stay throughout, limited and with a session open: the next login is a further one.
    let mut settled = arrive()?;
    let mut root = Connection::open(Path::new(DEFAULT_SOCKET))?;
    for present in &mut settled {
        present.settle(&systemd, &mut root)?;
    }
    let mut logins = Logins::default();
    for round in 0..rounds + WARM_UP {
        let mut fresh = arrive()?;
        thread::sleep(PAUSE);
        let begin = round as usize % WAYS.len();
        for at in (begin..WAYS.len()).chain(0..begin) {
            for (present, again) in [(fresh.get_mut(at), false), (settled.get_mut(at), true)] {
                let Some(present) = present else { continue };
                let time = present.log_in(&systemd, again)?;
                thread::sleep(PAUSE);
                if present.way != Way::Nothing {
                    limits::read_back(&present.person.slice())?;
                }
                let ways = if again {
                    &mut logins.further
                } else {
                    &mut logins.first
                };
                if round >= WARM_UP {
                    present.way.times(ways).push(time);
                }
            }
        }
        leave(fresh)?;
    }
    leave(settled)?;
    Ok(logins)
}

impl Present {
    fn new(way: Way, person: Person, systemd: &Systemd) -> Result<Self> {
        let worker = Helper::start(&["worker"])?;
        systemd.place(worker.pid(), &person)?;
        Ok(Self {
            way,
            person,
            worker,
        })
    }

    /// Logs in for the first time and stays.
    fn settle(&mut self, systemd: &Systemd, root: &mut Connection) -> Result<()> {
        if self.way == Way::Module {
            root.send(&Request::OpenSession(OpenSession {
                uid: self.person.uid,
                pid: self.worker.pid(),
                service: Some("bench".to_owned()),
                wait_ms: None,
                notices: false,
            }))?;
        } else {
            self.log_in(systemd, false)?;
        }
        Ok(())
    }

    /// Logs in and out, the way that is this one's; how long it took.
    fn log_in(&mut self, systemd: &Systemd, again: bool) -> Result<Duration> {
        let slice = self.person.slice();
        let Some(service) = self.way.service() else {
            let start = Instant::now();
            if again {
                systemd.limit_again(&slice)?;
            } else {
                systemd.limit_first(&slice)?;
            }
            return Ok(start.elapsed());
        };
        let answer = self
            .worker
            .ask(&format!("{service} {}", self.person.name))?;
        let nanoseconds = answer
            .parse()
            .map_err(|_| LabError::other(format!("no time in '{answer}'")))?;
        Ok(Duration::from_nanos(nanoseconds))
    }
}

/// Ends the processes of these people and waits until systemd has tidied up behind them.
fn leave(present: Vec<Present>) -> Result<()> {
    let people: Vec<_> = present.into_iter().map(|present| present.person).collect();
    people.iter().try_for_each(systemd::wait_gone)?;
    thread::sleep(PAUSE);
    Ok(())
}

/// Writes the PAM services and the script.
fn configure() -> Result<()> {
    fs::write(OTHER_PATH, OTHER).map_err(LabError::io("write", OTHER_PATH))?;
    for way in WAYS {
        if let Some(service) = way.service() {
            let path = format!("/etc/pam.d/{service}");
            fs::write(&path, way.lines()).map_err(LabError::io("write", &path))?;
        }
    }
    let script = || -> io::Result<()> {
        fs::write(SCRIPT_PATH, SCRIPT)?;
        fs::set_permissions(SCRIPT_PATH, fs::Permissions::from_mode(0o755))
    };
    script().map_err(LabError::io("write", SCRIPT_PATH))
}
