//! The policy's files: judged by the daemon's own check, and whether they are what is in force.

use std::collections::BTreeSet;
use std::time::Duration;

use fairshare_client::Client;
use fairshare_protocol::printable;

use super::Facts;
use super::check::Check;
use super::module;
use super::program::{self, Ran};
use super::tree::Tree;

/// Where the daemon's program may be.
const PROGRAMS: [&str; 3] = [
    "/usr/sbin/fairshared",
    "/usr/local/sbin/fairshared",
    "/usr/bin/fairshared",
];
/// The status of the check for a wrong policy.
const WRONG: i32 = 78;

/// Has the daemon's program check the files that the daemon reads.
///
/// # Errors
/// A clause: it is not there, or has not ended in time.
pub(crate) fn ask(tree: &Tree, daemon: Option<u32>, limit: Duration) -> Result<Ran, String> {
    let Some(program) = PROGRAMS.iter().find(|program| tree.exists(program)) else {
        return Err("the daemon's program is not in /usr/sbin".to_owned());
    };
    let line = daemon.map(|pid| tree.text(&format!("/proc/{pid}/cmdline")));
    let policy = line.as_deref().and_then(policy_of);
    let arguments: Vec<&str> = ["check"].into_iter().chain(policy).collect();
    program::run(program, &arguments, &[], limit)
}

/// The policy that a daemon was started with, of its command line with a NUL behind each word.
/// `None` where it takes the usual one.
fn policy_of(line: &str) -> Option<&str> {
    let mut words = line.split('\0').skip(1).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some(("--policy", path)) => return Some(path),
            Some(_) => {}
            None if word == "--policy" => return words.next(),
            // Every other option takes a value.
            None if word.starts_with('-') => drop(words.next()),
            None => return Some(word),
        }
    }
    None
}

/// For how many users the files would change something that is in force; `None` where the daemon
/// does not say.
pub(crate) fn not_in_force(client: &Client) -> Option<usize> {
    let difference = client.policy_diff().ok()?;
    let users: BTreeSet<u32> = difference.users.iter().map(|change| change.uid).collect();
    Some(users.len())
}

pub(crate) fn checks(facts: &Facts<'_>) -> Vec<Check> {
    let mut checks = vec![files(facts)];
    if let Some(users) = facts.not_in_force.filter(|&users| users > 0) {
        let whom = if users == 1 {
            "a user".to_owned()
        } else {
            format!("{users} users")
        };
        checks.push(Check::warning(
            "policy.reload",
            format!("the files have changed for {whom} and are not in force"),
            "fairshare policy diff; fairshare policy reload",
        ));
    }
    checks
}

fn files(facts: &Facts<'_>) -> Check {
    let ran = match &facts.policy {
        Ok(ran) => ran,
        Err(why) => {
            return Check::failed(
                "policy",
                format!("not checked: {why}"),
                module::reinstall(facts.tree),
            );
        }
    };
    match ran.status {
        Some(0) => match problems(&ran.stderr) {
            (_, 0) => {
                let said = first(&ran.stdout);
                let short = said.strip_prefix("The policy is ").unwrap_or(&said);
                Check::ok("policy", short)
            }
            (problem, count) => Check::warning("policy", told(&problem, count), "fairshared check"),
        },
        Some(WRONG) if !facts.by_root && ran.stderr.contains("Permission denied") => {
            Check::skipped("policy", "only root may read its files")
        }
        Some(WRONG) => {
            let (problem, count) = problems(&ran.stderr);
            Check::failed(
                "policy",
                told(&problem, count),
                "fairshared check, mend the files; fairshare policy reload",
            )
        }
        _ => Check::failed(
            "policy",
            format!("its check ended in a fault: {}", first(&ran.stderr)),
            "fairshared check",
        ),
    }
}

fn first(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or("it says nothing");
    printable(line.trim_end_matches('.'))
}

/// The first problem with its place, and how many there are. What is no list of problems is one.
fn problems(text: &str) -> (String, usize) {
    let is_problem = |line: &&str| line.starts_with("error") || line.starts_with("warning");
    let count = text.lines().filter(is_problem).count();
    if count == 0 {
        let empty = text.trim().is_empty();
        return (first(text), usize::from(!empty));
    }
    let mut lines = text.lines().skip_while(|line| !is_problem(line));
    let title = lines.next().unwrap_or_default();
    let title = title.split_once(": ").map_or(title, |(_, title)| title);
    let place = lines
        .take_while(|line| !line.trim().is_empty() && !is_problem(line))
        .find_map(|line| line.split_once("--> "))
        .map(|(_, place)| format!(" ({})", place.trim()));
    let place = place.unwrap_or_default();
    (printable(&format!("{title}{place}")), count)
}

fn told(problem: &str, count: usize) -> String {
    match count {
        0 | 1 => problem.to_owned(),
        count => format!("{problem}, and {} more", count - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::super::testing::{Fake, found};
    use super::*;

    fn ran(status: i32, stderr: &str) -> Ran {
        Ran {
            status: Some(status),
            stdout: "The policy is good: 1 file.\n".to_owned(),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn a_good_policy_is_what_the_check_says_of_it() {
        let fake = Fake::healthy();
        let mut facts = fake.facts();
        facts.policy = Ok(ran(0, ""));
        found(&checks(&facts), "policy", State::Ok, "good: 1 file", "");
        facts.not_in_force = Some(0);
        assert_eq!(checks(&facts).len(), 1);
        facts.not_in_force = Some(2);
        found(
            &checks(&facts),
            "policy.reload",
            State::Warning,
            "for 2 users",
            "fairshare policy reload",
        );
    }

    #[test]
    fn the_first_problem_is_told_with_its_place() {
        let fake = Fake::healthy();
        let wrong = "error: unknown key 'defualts'\n  --> /etc/p.yaml:1:1\n   |\n\n\
                     error: no 'max'\n --> /etc/q.yaml:2:1\n\ncannot use the policy: 2 files";
        let mut facts = fake.facts();
        facts.policy = Ok(ran(WRONG, wrong));
        found(
            &checks(&facts),
            "policy",
            State::Failed,
            "unknown key 'defualts' (/etc/p.yaml:1:1), and 1 more",
            "fairshared check",
        );
        facts.policy = Ok(ran(0, "warning: no group 'studens'\n --> p:3:3\n"));
        found(
            &checks(&facts),
            "policy",
            State::Warning,
            "no group 'studens' (p:3:3)",
            "fairshared check",
        );
        facts.policy = Ok(ran(WRONG, "cannot read '/etc/p.yaml': Permission denied\n"));
        facts.by_root = false;
        found(&checks(&facts), "policy", State::Skipped, "only root", "");
        facts.by_root = true;
        found(
            &checks(&facts),
            "policy",
            State::Failed,
            "Permission denied",
            "check",
        );
        facts.policy = Err("no program".to_owned());
        found(
            &checks(&facts),
            "policy",
            State::Failed,
            "no program",
            "install",
        );
    }

    #[test]
    fn the_policy_of_a_daemon_is_that_of_its_command_line() {
        for (line, policy) in [
            ("/usr/sbin/fairshared\0", None),
            ("fairshared\0--policy\0/p\0", Some("/p")),
            ("fairshared\0--socket\0/s\0--policy=/p\0", Some("/p")),
            ("fairshared\0--state-dir\0/d\0/p\0/s\0", Some("/p")),
            ("", None),
        ] {
            assert_eq!(policy_of(line), policy, "{line:?}");
        }
    }
}
