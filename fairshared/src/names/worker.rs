//! The worker: asks the name service, one question after the other, and may hang in it.
//!
//! It ends when its input does, when it has been idle for a minute, and with the daemon.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::lines::{Answered, Asked, Found, MAX_QUESTION, Question};

/// How long it waits for a question before it ends, in seconds.
const IDLE_SECONDS: i64 = 60;

/// Serves the daemon at the other ends of standard input and output.
pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        // The daemon sees that the worker has ended; there is nobody else to tell.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    // A worker that hangs in the name service does not see its input end.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Where memory is short, this goes before the daemon. Not worth failing for.
    drop(fs::write("/proc/self/oom_score_adj", "0"));
    let mut questions = BufReader::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    let mut answers = File::from(take_stdout()?);
    while let Some(line) = next_line(&mut questions)? {
        let asked: Asked = serde_json::from_slice(&line)?;
        let answered = Answered {
            number: asked.number,
            answer: answer(&asked.question),
        };
        let mut line = serde_json::to_vec(&answered)?;
        line.push(b'\n');
        answers.write_all(&line)?;
    }
    Ok(())
}

/// The standard output for the answers alone: what a module of the name service prints goes
/// nowhere.
fn take_stdout() -> io::Result<OwnedFd> {
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    Ok(output)
}

/// The next question, or `None` where it is time to end.
fn next_line(questions: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    if questions.buffer().is_empty() {
        let patience = Timespec {
            tv_sec: IDLE_SECONDS,
            tv_nsec: 0,
        };
        let mut polled = [PollFd::new(questions.get_ref(), PollFlags::IN)];
        if poll(&mut polled, Some(&patience))? == 0 {
            return Ok(None);
        }
    }
    let mut line = Vec::new();
    questions.take(MAX_QUESTION).read_until(b'\n', &mut line)?;
    Ok((line.last() == Some(&b'\n')).then_some(line))
}

/// Asks the name service.
fn answer(question: &Question) -> Found {
    let asked = match question {
        Question::Person(uid) => person(*uid),
        // Members come with the group, so a large one costs what it is long: once for each name in
        // policy, never for a login.
        Question::GroupId(name) => {
            Group::from_name(name).map(|found| Found::Id(found.map(|group| group.gid.as_raw())))
        }
    };
    asked.unwrap_or_else(|error| Found::Fault(error.desc().to_owned()))
}

/// The service is asked for the user's groups (`initgroups`), which a directory answers by the
/// user and files by one pass. No group is asked for by its number: that answer lists all members.
fn person(uid: u32) -> Result<Found, Errno> {
    let Some(user) = User::from_uid(Uid::from_raw(uid))? else {
        return Ok(Found::Person {
            name: None,
            groups: Vec::new(),
        });
    };
    let name = CString::new(user.name.as_str()).map_err(|_| Errno::EINVAL)?;
    let groups = getgrouplist(&name, user.gid)?;
    Ok(Found::Person {
        name: Some(user.name),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_number_and_by_name() {
        let Found::Person { name, groups } = answer(&Question::Person(0)) else {
            panic!("no person");
        };
        assert_eq!(name.as_deref(), Some("root"));
        assert!(groups.contains(&0), "{groups:?}");
        let group = Question::GroupId("root".to_owned());
        assert_eq!(answer(&group), Found::Id(Some(0)));
    }

    #[test]
    fn nobody_by_that_name_is_no_fault() {
        let group = Question::GroupId("no-such-name-here".to_owned());
        assert_eq!(answer(&group), Found::Id(None));
        assert_eq!(
            answer(&Question::Person(3_999_999_999)),
            Found::Person {
                name: None,
                groups: Vec::new()
            }
        );
    }
}
