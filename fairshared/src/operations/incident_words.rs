//! What has happened, as sentences: the limit and the figures first, then what may be asked for.

use std::fmt::Write as _;
use std::time::Duration;

use fairshare_core::ledger::Account;
use fairshare_protocol::{Allocation, MemorySize, Tasks, Wish, printable};

use super::words::{lasting, typed};
use crate::finding::{Finding, Victim, What};

/// The longest name of a program, in characters. The kernel keeps 15 bytes.
const LONGEST_COMMAND: usize = 32;
/// The longest sentence of somebody else that is repeated, in characters.
const LONGEST_SENTENCE: usize = 300;

/// Shows which processes of one's own use most.
const TOP: &str = "fairshare top";

/// An incident in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// Sentences.
    pub(super) text: String,
    /// The command that helps.
    pub(super) advice: Option<String>,
    /// The limit that it is about.
    pub(super) limit: Wish,
}

impl Words {
    /// Puts a finding into words. The account says what the limit is and what may be asked for;
    /// without one both are left out.
    pub(super) fn of(finding: &Finding, account: Option<&Account>) -> Self {
        match &finding.what {
            What::OomKill { victim, kills } => {
                let held = victim.as_ref().map(|victim| victim.held.rounded());
                let held = held.map(|held| format!(" It held {held}."));
                let what = killed(victim.as_ref(), *kills);
                memory(&what, "reached", &held.unwrap_or_default(), account)
            }
            What::MemoryPressure { share, over } => {
                let what = format!(
                    "your processes waited for memory {} of the last {}",
                    percent(*share),
                    lasting(*over)
                );
                memory(&what, "are close to", "", account)
            }
            What::CpuThrottled { share, over } => cpu(*share, *over, account),
            What::TasksLimit { refused } => tasks(*refused, account),
            What::Refused { wish, sentence } => Self::refused(wish, sentence),
            What::LeaseEnded { grant, now } => {
                Self::gone_back("the lease of your grant has ended", *grant, *now, account)
            }
            What::Reclaimed { why, grant, now } => {
                Self::gone_back(&cut(why, LONGEST_SENTENCE), *grant, *now, account)
            }
            What::PolicyChanged { from, to } => Self {
                text: format!("policy has changed: you have {to} from now on, before {from}."),
                advice: Some("fairshare status".to_owned()),
                limit: whole(*to),
            },
        }
    }

    /// The line for a terminal. `times` is how often it has happened by now.
    pub(super) fn line(&self, times: u64) -> String {
        let mut line = self.text.clone();
        if times > 1 {
            line.push_str(" (");
            line.push_str(&times.to_string());
            line.push_str(" times)");
        }
        if let Some(advice) = &self.advice {
            let lead = if advice.starts_with("fairshare resize") {
                " More: "
            } else {
                " See: "
            };
            line.push_str(lead);
            line.push_str(advice);
        }
        line
    }

    fn refused(wish: &Wish, sentence: &str) -> Self {
        let sentence = cut(sentence, LONGEST_SENTENCE);
        let asked = if wish.is_empty() {
            "your request was refused".to_owned()
        } else {
            format!("your request for {wish} was refused")
        };
        Self {
            text: format!("{asked}: {}.", sentence.trim_end_matches('.')),
            advice: Some("fairshare queue".to_owned()),
            limit: Wish::default(),
        }
    }

    fn gone_back(why: &str, grant: Allocation, now: Allocation, account: Option<&Account>) -> Self {
        Self {
            text: format!("{why}: you have {now} from now on, no longer {grant}."),
            advice: account.map(|account| typed(account, grant)),
            limit: whole(now),
        }
    }
}

/// Which process was killed, and how many others.
fn killed(victim: Option<&Victim>, kills: u64) -> String {
    let others = kills.saturating_sub(1);
    match (victim, others) {
        (None, 0) => "a process was killed".to_owned(),
        (None, _) => format!("{kills} processes were killed"),
        (Some(victim), 0) => format!("{} was killed", named(victim)),
        (Some(victim), 1) => format!("{} and 1 other were killed", named(victim)),
        (Some(victim), _) => format!("{} and {others} others were killed", named(victim)),
    }
}

fn named(victim: &Victim) -> String {
    let command = cut(&victim.command, LONGEST_COMMAND);
    format!("{command} (pid {})", victim.pid)
}

/// What has to do with memory: a process that was killed, or waiting.
fn memory(what: &str, how: &str, then: &str, account: Option<&Account>) -> Words {
    let Some(account) = account else {
        return Words {
            text: format!("{what}: your processes {how} your memory limit.{then}"),
            advice: Some(TOP.to_owned()),
            limit: Wish::default(),
        };
    };
    let has = account.allocation().mem;
    let max = account.entitlement().max.mem;
    let double = MemorySize::saturating_from_bytes(has.bytes().saturating_mul(2));
    Words {
        text: format!("{what}: your processes {how} the memory limit of {has}.{then}"),
        advice: None,
        limit: Wish {
            mem: Some(has),
            ..Wish::default()
        },
    }
    .with_more(has < max, "--mem", &double.min(max), &max)
}

fn cpu(share: u32, over: Duration, account: Option<&Account>) -> Words {
    let held_back = |limit: &str| {
        let (share, over) = (percent(share), lasting(over));
        format!(
            "your processes were held back {share} of the last {over}: they want more than {limit}."
        )
    };
    let Some(account) = account else {
        return Words {
            text: held_back("your CPU limit"),
            advice: Some(TOP.to_owned()),
            limit: Wish::default(),
        };
    };
    let has = account.allocation().cpu;
    let max = account.entitlement().max.cpu;
    let wish = Wish {
        cpu: Some(has),
        ..Wish::default()
    };
    let double = has
        .thousandths()
        .checked_mul(2)
        .and_then(fairshare_protocol::Cpus::from_thousandths)
        .unwrap_or(max);
    Words {
        text: held_back(&format!("the limit of {wish}")),
        advice: None,
        limit: wish,
    }
    .with_more(
        has < max,
        "--cpu",
        &double.min(max),
        &Wish {
            cpu: Some(max),
            ..Wish::default()
        },
    )
}

fn tasks(refused: u64, account: Option<&Account>) -> Words {
    let refused = match refused {
        0 | 1 => "a process or thread was not started".to_owned(),
        refused => format!("{refused} processes or threads were not started"),
    };
    let Some(account) = account else {
        return Words {
            text: format!("{refused}: you have as many as you may."),
            advice: Some(TOP.to_owned()),
            limit: Wish::default(),
        };
    };
    let has = account.allocation().tasks;
    let max = account.entitlement().max.tasks;
    let double = Tasks::new(has.count().saturating_mul(2)).unwrap_or(max);
    Words {
        text: format!("{refused}: your processes reached the limit of {has} tasks."),
        advice: None,
        limit: Wish {
            tasks: Some(has),
            ..Wish::default()
        },
    }
    .with_more(
        has < max,
        "--tasks",
        &double.min(max),
        &Wish {
            tasks: Some(max),
            ..Wish::default()
        },
    )
}

impl Words {
    /// What may be asked for; whoever has all that policy gives is shown what uses it.
    fn with_more(
        mut self,
        more: bool,
        option: &str,
        wanted: &impl std::fmt::Display,
        max: &impl std::fmt::Display,
    ) -> Self {
        self.advice = Some(if more {
            // Writing to a String cannot fail.
            let _ = write!(self.text, " You may have up to {max}.");
            format!("fairshare resize {option} {wanted}")
        } else {
            self.text
                .push_str(" That is the most that policy gives you; end what you do not need.");
            TOP.to_owned()
        });
        self
    }
}

fn whole(allocation: Allocation) -> Wish {
    let Allocation { cpu, mem, tasks } = allocation;
    Wish {
        cpu: Some(cpu),
        mem: Some(mem),
        tasks: Some(tasks),
    }
}

/// Hundredths of a percent, as whole percent.
fn percent(share: u32) -> String {
    format!("{}%", share.saturating_add(50) / 100)
}

/// Text from outside: nothing raw, and not too long.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut cut: String = printable(text).chars().take(most).collect();
    if text.chars().nth(most).is_some() {
        cut.push('…');
    }
    cut
}
