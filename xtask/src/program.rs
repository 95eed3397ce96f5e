//! Runs other programs from the top of the checkout.

use std::env;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use crate::problem::{Problem, Result};

/// The top of the checkout.
pub(crate) fn workspace() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package
        .parent()
        .map_or_else(|| package.clone(), Path::to_path_buf)
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    let given = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace().join(given)
}

/// A program with its arguments, to be run at the top of the checkout.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace());
    command
}

/// The cargo that runs this task.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    command(&cargo, arguments)
}

/// Runs a program that shares this one's terminal; another status than 0 is a failure.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| not_run(command, &error))?;
    succeeded(command, status)
}

/// Like [`run`], with `label` before each line that the program prints, so that several may run
/// at once.
pub(crate) fn run_labelled(label: &str, command: &mut Command) -> Result<()> {
    let (reader, writer) = io::pipe().map_err(|error| not_run(command, &error))?;
    let also = writer
        .try_clone()
        .map_err(|error| not_run(command, &error))?;
    command.stdin(Stdio::null()).stdout(writer).stderr(also);
    let spawned = command.spawn();
    // The command keeps the pipe's ends, and the lines end when nobody has one any more.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawned.map_err(|error| not_run(command, &error))?;
    for line in BufReader::new(reader).split(b'\n') {
        match line {
            Ok(line) => println!("{label}  {}", String::from_utf8_lossy(&line)),
            Err(error) => {
                eprintln!("cannot read what {label} prints: {error}, ignoring");
                break;
            }
        }
    }
    let status = child.wait().map_err(|error| not_run(command, &error))?;
    succeeded(command, status)
}

/// Runs a program and takes its output; any status is `Ok`.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command.output().map_err(|error| not_run(command, &error))
}

/// Whether a program can be run and ends with status 0; what it says is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        Ok(())
    } else {
        Err(Problem::new(format!(
            "'{}' failed: {status}",
            typed(command)
        )))
    }
}

fn not_run(command: &Command, error: &io::Error) -> Problem {
    let program = command.get_program().display();
    if error.kind() == ErrorKind::NotFound {
        Problem::new(format!("'{program}' is not installed"))
    } else {
        Problem::new(format!("cannot run '{program}': {error}"))
    }
}

fn typed(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program
        .file_name()
        .unwrap_or_default()
        .display()
        .to_string();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.display().to_string());
    }
    line
}
