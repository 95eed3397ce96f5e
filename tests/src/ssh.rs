//! Logs in to a machine by the real `ssh`.
//!
//! Each run is a login of its own, with PAM, logind and all, because that is what is tested. Only
//! root's commands share a connection, as they are not what is tested and should be quick.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::{self, Output};
use crate::error::{LabError, Result};
use crate::host;
use crate::session::Session;
use crate::wait::{self, Look};

/// The name under which `known_hosts` knows every machine, whatever its port.
pub const HOST_ALIAS: &str = "fairshare-lab";
/// For a login and a short command in an emulated machine under load.
pub const LOGIN_BOUND: Duration = Duration::from_secs(60);
/// For the connection that root's commands share.
const MASTER_BOUND: Duration = Duration::from_secs(30);

/// How to reach the accounts of a machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Access {
    /// Port on the loopback interface.
    pub port: u16,
    /// Private key.
    pub key: PathBuf,
    /// Knows [`HOST_ALIAS`].
    pub known_hosts: PathBuf,
    /// Socket of the connection that root's commands share.
    pub control: PathBuf,
}

impl Access {
    /// Options for `ssh`, `scp`, `sftp` and (in `-e`) `rsync`: all but the port, the user and the
    /// address, which each of them takes in its own way.
    pub fn options(&self) -> Vec<String> {
        let mut options = vec!["-F".to_owned(), "none".to_owned()];
        let pairs = [
            ("BatchMode", "yes"),
            // A hundred logins at once take an emulated machine a while; each call has its own bound.
            ("ConnectTimeout", "240"),
            ("StrictHostKeyChecking", "yes"),
            ("HostKeyAlias", HOST_ALIAS),
            ("IdentitiesOnly", "yes"),
            ("IdentityAgent", "none"),
            ("ControlMaster", "no"),
            ("LogLevel", "ERROR"),
            // Post-quantum key exchange costs an emulated machine a good part of a second.
            ("KexAlgorithms", "curve25519-sha256"),
        ];
        for (name, value) in pairs {
            options.push(format!("-o{name}={value}"));
        }
        options.push(format!(
            "-oUserKnownHostsFile={}",
            self.known_hosts.display()
        ));
        options.push(format!("-oPort={}", self.port));
        options.push("-i".to_owned());
        options.push(self.key.to_string_lossy().into_owned());
        options
    }

    /// `ssh` with all it needs, up to the remote command.
    pub fn command(&self, user: &str) -> Command {
        let mut command = Command::new("ssh");
        command
            .args(self.options())
            .arg(format!("{user}@127.0.0.1"));
        command
    }

    /// `ssh` as root over the shared connection, which is opened when it is not there.
    fn root_command(&self) -> Result<Command> {
        if !self.control.exists() {
            self.open_master()?;
        }
        let mut command = Command::new("ssh");
        command
            .arg("-S")
            .arg(&self.control)
            .args(self.options())
            .arg("root@127.0.0.1");
        Ok(command)
    }

    fn open_master(&self) -> Result<()> {
        let log = self.control.with_extension("log");
        let mut command = Command::new("ssh");
        // The master goes on in the background and must hold none of our streams.
        command
            .args(["-M", "-N", "-f", "-S"])
            .arg(&self.control)
            .arg("-E")
            .arg(&log)
            .args(self.options())
            .args(["-oControlPersist=yes", "root@127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command::spawn(&mut command)?;
        match command::wait(&mut child, MASTER_BOUND)? {
            Some(status) if status.success() => {}
            Some(status) => {
                let said = host::read(&log).unwrap_or_default();
                return Err(LabError::other(format!(
                    "root cannot log in: {status}\n{said}"
                )));
            }
            None => {
                command::end(&mut child);
                return Err(LabError::Deadline {
                    what: "root's connection".into(),
                    bound: MASTER_BOUND,
                    seen: String::new(),
                });
            }
        }
        wait::until("the socket of root's connection", MASTER_BOUND, || {
            Ok(if self.control.exists() {
                Look::Done(())
            } else {
                Look::NotYet(format!("no '{}'", self.control.display()))
            })
        })
    }

    /// Ends the connection that root's commands share, if there is one.
    pub fn close_master(&self) {
        if self.control.exists() {
            let mut command = Command::new("ssh");
            command
                .arg("-S")
                .arg(&self.control)
                .args(["-O", "exit", "root@127.0.0.1"]);
            // The connection may be gone with the machine already.
            let _ = command::run(&mut command, b"", MASTER_BOUND);
        }
    }
}

/// A login that is being described; [`Login::run`] or [`Login::open`] does it.
#[derive(Debug, Clone)]
#[must_use = "nothing happens before run() or open()"]
pub struct Login {
    access: Access,
    user: String,
    shared: bool,
    terminal: bool,
    bound: Duration,
    options: Vec<String>,
    input: Vec<u8>,
}

impl Login {
    /// A login of its own for `user`.
    pub fn new(access: &Access, user: &str) -> Self {
        Self {
            access: access.clone(),
            user: user.to_owned(),
            shared: false,
            terminal: false,
            bound: LOGIN_BOUND,
            options: Vec::new(),
            input: Vec::new(),
        }
    }

    /// Root over the shared connection: no login of its own, but quick.
    pub fn shared_root(access: &Access) -> Self {
        Self {
            shared: true,
            ..Self::new(access, "root")
        }
    }

    /// Asks for a terminal (`-tt`).
    pub fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// Changes the deadline from [`LOGIN_BOUND`].
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// Adds an option to `ssh`, such as `-oSetEnv=A=b`.
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// What the remote command reads from its standard input.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Runs one command to its end; any exit status is `Ok`.
    ///
    /// `ssh`'s own failures have status 255.
    pub fn run(&self, remote: &str) -> Result<Output> {
        let mut command = self.command()?;
        let mut output = command::run(command.arg(remote), &self.input, self.bound)
            .map_err(|error| self.in_short(error, remote))?;
        output.command = self.short(remote);
        Ok(output)
    }

    /// Runs one command to its end; another exit status than 0 is an error.
    pub fn ok(&self, remote: &str) -> Result<Output> {
        self.run(remote)?.ok()
    }

    /// Logs in and stays: a login shell that reads commands until it is closed.
    pub fn open(&self) -> Result<Session> {
        Session::open(
            &mut self.command()?,
            self.terminal,
            self.bound,
            &self.short(""),
        )
    }

    /// The `ssh` command itself, for a test that needs more than the above.
    pub fn command(&self) -> Result<Command> {
        let mut command = if self.shared {
            self.access.root_command()?
        } else {
            self.access.command(&self.user)
        };
        if self.terminal {
            command.arg("-tt");
        }
        command.args(&self.options);
        Ok(command)
    }

    /// The login as a message shows it: without the options that are always the same.
    fn short(&self, remote: &str) -> String {
        format!("{}$ {remote}", self.user)
    }

    fn in_short(&self, error: LabError, remote: &str) -> LabError {
        match error {
            LabError::Deadline { bound, seen, .. } => LabError::Deadline {
                what: format!("the end of '{}'", self.short(remote)),
                bound,
                seen,
            },
            other => other,
        }
    }
}

/// `rsync`'s and `git`'s way to be told of `ssh` and its options: one string.
pub fn as_one_string(access: &Access) -> String {
    let words: Vec<_> = access
        .options()
        .iter()
        .map(|word| command::quoted(word))
        .collect();
    format!("ssh {}", words.join(" "))
}

/// Whether something that speaks ssh listens at `port`.
pub fn answers(port: u16) -> bool {
    use std::io::Read;
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};
    /// For the daemon's first line; the emulator takes connections before the guest listens.
    const BANNER_BOUND: Duration = Duration::from_secs(2);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, BANNER_BOUND) else {
        return false;
    };
    let mut banner = [0; 4];
    stream.set_read_timeout(Some(BANNER_BOUND)).is_ok()
        && stream.read_exact(&mut banner).is_ok()
        && &banner == b"SSH-"
}
