//! What users are told on their terminals: what happened, the figures, and what to type next.

use std::time::Duration;

use fairshare_core::ledger::{Account, Grant};
use fairshare_protocol::{Allocation, MemorySize, Period};

/// Said where policy has no lease to go by.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// A length of time in whole seconds, a part of one counted as one: `1h30m`.
pub(super) fn lasting(span: Duration) -> String {
    let seconds = u64::try_from(span.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    match Period::from_seconds(seconds) {
        Some(period) => period.to_string(),
        None if seconds == 0 => "0s".to_owned(),
        None => format!("more than {}", Period::MAX),
    }
}

/// The lease of a grant ends so long from now.
pub(super) fn lease_ending(account: &Account, grant: &Grant, left: Duration) -> String {
    format!(
        "your grant of {} ends in {}; from then on you have {}. To keep it: fairshare renew --for {}",
        grant.allocation,
        lasting(left),
        account.entitlement().default,
        usual_lease(account),
    )
}

/// A grant has ended by itself. `held` is what programs hold.
pub(super) fn ended(account: &Account, why: &str, before: Allocation, held: MemorySize) -> String {
    let has = account.allocation();
    let in_use = if held > has.mem {
        format!(
            "Your programs hold {}: nothing is killed for that, but the limit follows what they \
             give back. ",
            held.rounded()
        )
    } else {
        String::new()
    };
    let again = typed(account, before);
    format!("{why}: you have {has} from now on, no longer {before}. {in_use}To ask again: {again}")
}

/// A grant is not used and goes back so long from now.
pub(super) fn idle(account: &Account, grant: &Grant, left: Duration) -> String {
    let keep = if grant.lease_end.is_some() {
        format!("fairshare renew --for {}", usual_lease(account))
    } else {
        typed(account, grant.allocation)
    };
    format!(
        "your grant of {} is not used and goes back in {}; from then on you have {}. To keep it, \
         use it or type: {keep}",
        grant.allocation,
        lasting(left),
        account.entitlement().default,
    )
}

/// A request that waited is granted. `left` is how long for, where it has a lease.
pub(super) fn admitted(to: Allocation, left: Option<Duration>) -> String {
    let until = left.map_or_else(
        || "until your last session ends".to_owned(),
        |left| format!("for {}", lasting(left)),
    );
    format!(
        "your request has been granted: you have {to}, {until}. To give it back: fairshare release"
    )
}

/// A request has left the queue without a grant.
pub(super) fn gave_up(why: &str) -> String {
    format!(
        "your request waits no longer: {why}. To see what is free and who waits: fairshare queue"
    )
}

/// Somebody else has changed what the user has.
pub(super) fn set_by_other(from: Allocation, to: Allocation) -> String {
    format!(
        "an administrator has changed what you have: {to}, before {from}. See: fairshare status"
    )
}

/// The command for an allocation: what differs from the default.
pub(super) fn typed(account: &Account, wanted: Allocation) -> String {
    let default = account.entitlement().default;
    let mut parts = vec!["fairshare resize".to_owned()];
    if wanted.cpu != default.cpu {
        parts.push(format!("--cpu {}", wanted.cpu));
    }
    if wanted.mem != default.mem {
        parts.push(format!("--mem {}", wanted.mem));
    }
    if wanted.tasks != default.tasks {
        parts.push(format!("--tasks {}", wanted.tasks));
    }
    parts.join(" ")
}

/// What policy gives by default, as an example of what can be asked for.
fn usual_lease(account: &Account) -> String {
    let terms = account.entitlement().lease;
    let usual = terms.default.unwrap_or(AN_HOUR);
    lasting(terms.longest.map_or(usual, |longest| usual.min(longest)))
}
