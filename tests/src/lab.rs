//! The developer's command: a machine that stays up, to try a change within seconds.

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::time::Instant;

use clap::{Parser, Subcommand};

use crate::artifacts::Artifacts;
use crate::command::quoted;
use crate::error::{LabError, Result};
use crate::kept;
use crate::packages::Packages;
use crate::progress::Progress;
use crate::release::Release;

/// Boots Debian machines for trying fairshare by hand.
#[derive(Debug, Parser)]
#[command(
    name = "cargo lab",
    bin_name = "cargo lab",
    after_help = "RELEASE is debian12 or debian13."
)]
pub struct Lab {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Boot a machine and leave it running
    Up {
        /// Which Debian
        release: Release,
    },
    /// Log in, or run a command; USER is root unless given
    Ssh {
        /// Which Debian
        release: Release,
        /// root, alice or bob
        #[arg(default_value = "root")]
        user: String,
        /// What to run in place of a shell
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Put what is built (cargo build --release) in place and restart the daemon
    Push {
        /// Which Debian
        release: Release,
    },
    /// Log everybody out, restore the configuration, restart the daemon
    Reset {
        /// Which Debian
        release: Release,
    },
    /// Shut a machine down, or all of them
    Down {
        /// Which Debian
        release: Option<Release>,
    },
    /// Show which machines are up
    List,
}

impl Lab {
    /// Does what was asked for.
    pub fn run(self) -> Result<()> {
        match self.action {
            Action::Up { release } => up(release),
            Action::Ssh {
                release,
                user,
                command,
            } => ssh(release, &user, &command),
            Action::Push { release } => push(release),
            Action::Reset { release } => kept::get(release)?.reset(),
            Action::Down { release } => down(release),
            Action::List => list(),
        }
    }
}

fn up(release: Release) -> Result<()> {
    let machine = kept::up(release, Progress::fitting())?;
    println!(
        "{release} is up, its console is in '{}'",
        machine.address().console.display()
    );
    Ok(())
}

/// Becomes `ssh`: returns only when that fails.
fn ssh(release: Release, user: &str, words: &[String]) -> Result<()> {
    let machine = kept::get(release)?;
    let mut command = machine.access().command(user);
    // One word is a line for the remote shell; more are words to be kept apart.
    match words {
        [] => {}
        [line] => {
            command.arg(line);
        }
        words => {
            let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
            command.arg(words.join(" "));
        }
    }
    if words.is_empty() && std::io::stdin().is_terminal() {
        command.arg("-t");
    }
    Err(LabError::Io {
        verb: "run",
        path: "ssh".into(),
        source: command.exec(),
    })
}

fn push(release: Release) -> Result<()> {
    let machine = kept::get(release)?;
    let start = Instant::now();
    if !machine.has_packages()? {
        machine.install(&Packages::built()?)?;
    }
    let (artifacts, missing) = Artifacts::present();
    for line in missing {
        eprintln!("missing: {line}");
    }
    machine.replace(&artifacts)?;
    println!("installed in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn down(release: Option<Release>) -> Result<()> {
    let releases = release.map_or_else(|| Release::ALL.to_vec(), |release| vec![release]);
    for release in releases {
        if kept::down(release)? {
            println!("{release} is down");
        }
    }
    Ok(())
}

fn list() -> Result<()> {
    for release in Release::ALL {
        match kept::find(release)? {
            Some(machine) => println!(
                "{release}: up, process {}, ssh at port {}",
                machine.address().pid,
                machine.access().port
            ),
            None => println!("{release}: down"),
        }
    }
    Ok(())
}
