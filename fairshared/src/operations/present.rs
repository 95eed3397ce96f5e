//! Who is there without the module having told of it: users who logged in before the daemon was
//! there, or by a service without the module, and users whose programs run without a login.
//!
//! An active slice is enough for the default. What logind calls a login of a user is a session, so
//! that its user can ask for more and the grant goes back with the last one. Nobody waits for any
//! of this. A login through the module is left to the module for a moment, and finds its session
//! where it was found before: the leader is the same.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fairshare_core::ledger::Account;
use fairshare_protocol::OpenSession;
use tracing::{debug, warn};

use super::{Operations, Origin};
use crate::decision::{Decision, Verdict};
use crate::enforcement::{Enforcement, EnforcementError, Login, LoginName};
use crate::leader::{Place, Process};

/// How long whoever has come is left to the module, and the pause between two looks after that:
/// systemd may not have made the slice yet, nor put the leader there.
const PAUSE: Duration = Duration::from_millis(500);
/// How often is looked for somebody who has come before they are taken for gone: half a minute.
const LOOKS: u32 = 60;
/// For so long after a boot, in milliseconds, nobody has worked without limits for long: whoever is
/// found then keeps no memory above the limit.
const JUST_BOOTED: u64 = 5 * 60 * 1000;
/// How often logind is asked who is there, where it does not answer, and the pause before that.
const LISTINGS: u32 = 5;
const LISTING_PAUSE: Duration = Duration::from_secs(30);
/// How many logins that came through the module are remembered, so that logind need not be asked
/// about them.
pub(super) const MOST_LATELY: usize = 256;

/// Logins of logind that have come as sessions lately.
#[derive(Debug, Default)]
pub(super) struct Lately(VecDeque<String>);

impl Lately {
    pub(super) fn add(&mut self, login: &str) {
        if self.0.len() >= MOST_LATELY {
            self.0.pop_front();
        }
        self.0.push_back(login.to_owned());
    }

    /// Whether this login has come. It is asked for once.
    pub(super) fn take(&mut self, login: &str) -> bool {
        let found = self.0.iter().position(|known| known == login);
        found.is_some_and(|index| self.0.remove(index).is_some())
    }
}

impl<E: Enforcement> Operations<E> {
    /// Takes in everybody who is there: after a start, and after the bus or logind was away.
    pub(crate) async fn look_for_present(self: &Arc<Self>) {
        // After an installation, what programs hold that were there before is not taken by force.
        let up = self.book.with(|book| book.now().millis()).await;
        let gentle = up > JUST_BOOTED;
        for uid in self.enforcement.present() {
            self.take_in(uid, gentle).await;
        }
        let Some((users, logins)) = self.listed().await else {
            return;
        };
        for uid in users {
            if self.enforcement.look(uid).is_none() {
                let this = Arc::clone(self);
                tokio::spawn(async move { this.user_came(uid).await });
            }
        }
        let mut of_users: BTreeMap<u32, Vec<LoginName>> = BTreeMap::new();
        for login in logins {
            of_users
                .entry(login.uid.unwrap_or(0))
                .or_default()
                .push(login);
        }
        for (uid, logins) in of_users {
            let account = self.book.with(move |book| {
                let is_persons = book.is_persons(uid);
                is_persons.then(|| book.ledger().account(uid).cloned())
            });
            let Some(account) = account.await else {
                continue;
            };
            let led = account.map(|account| led(&account)).unwrap_or_default();
            for name in logins.into_iter().filter(|name| !led.contains(&name.id)) {
                if let Some(login) = self.users_login(&name).await
                    && !self.take_up(&login).await
                {
                    tokio::spawn(Arc::clone(self).follow_login(login));
                }
            }
        }
    }

    /// The users and logins that logind has. One that is busy, as at a boot, is asked again.
    async fn listed(&self) -> Option<(Vec<u32>, Vec<LoginName>)> {
        for _ in 0..LISTINGS {
            let users = self.enforcement.users().await;
            let logins = self.enforcement.logins().await;
            match users.and_then(|users| Ok((users, logins?))) {
                Ok(found) => return Some(found),
                Err(fault) => warn!("cannot list who is logged in: {fault}, trying again"),
            }
            tokio::time::sleep(LISTING_PAUSE).await;
        }
        warn!("who is logged in is not known, ignoring");
        None
    }

    /// logind has a user whom it did not have.
    pub(crate) async fn user_came(self: &Arc<Self>, uid: u32) {
        for _ in 0..LOOKS {
            tokio::time::sleep(PAUSE).await;
            if self.enforcement.look(uid).is_some() {
                return self.take_in(uid, false).await;
            }
        }
        debug!(uid, "no slice came with the user");
    }

    /// logind has a login that it did not have.
    pub(crate) async fn login_came(self: &Arc<Self>, name: LoginName) {
        tokio::time::sleep(PAUSE).await;
        let told = self
            .lately
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(&name.id);
        if !told && let Some(login) = self.users_login(&name).await {
            Arc::clone(self).follow_login(login).await;
        }
    }

    /// What logind knows of a login, where it is a user's.
    async fn users_login(&self, name: &LoginName) -> Option<Login> {
        match self.enforcement.login(name).await {
            Ok(login) => login.filter(Login::is_users),
            Err(fault) => {
                warn!(login = name.id, "cannot look at a login: {fault}, ignoring");
                None
            }
        }
    }

    /// Makes a session of a login as soon as its leader is in the slice.
    async fn follow_login(self: Arc<Self>, login: Login) {
        for _ in 0..LOOKS {
            if self.take_up(&login).await {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        debug!(
            uid = login.uid,
            leader = login.leader,
            "the login was not put into a slice"
        );
    }

    /// Remembers a login that has come as a session.
    pub(super) fn came_lately(&self, login: &str) {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.add(login);
    }

    /// Gives the default to a user whose slice is there, if they are not known yet.
    async fn take_in(self: &Arc<Self>, uid: u32, gentle: bool) {
        let new = self
            .book
            .with(move |book| book.is_persons(uid) && book.ledger().account(uid).is_none());
        if !new.await {
            return;
        }
        let known = self.who_logs_in(uid, None).await;
        if self.is_exempt(uid, &known).await {
            return;
        }
        let _turn = self.turns.take(uid).await;
        // That may have been long.
        if self.enforcement.look(uid).is_none() {
            return;
        }
        let (person, unknown) = known.into_parts();
        let taken = self
            .book
            .with(move |book| book.take_in(uid, person, gentle));
        let Some(limits) = taken.await else {
            return;
        };
        if unknown {
            self.look_up_later(uid);
        }
        let decision = |verdict| Decision::new("take_in", verdict, uid).to(limits.allocation);
        match self.limit(uid, &limits).await {
            Ok(_) => decision(Verdict::Granted)
                .because("the slice is there without a session")
                .log(),
            Err(EnforcementError::NoSlice { .. }) => self.forget_if_gone(uid).await,
            Err(fault) => {
                decision(Verdict::NotEnforced)
                    .because(format!("{fault}, trying again"))
                    .log();
                self.try_again(uid);
            }
        }
    }

    /// Makes a session of a login. Returns whether there is nothing more to do for it; else its
    /// leader is not in the slice yet.
    async fn take_up(self: &Arc<Self>, login: &Login) -> bool {
        let (uid, pid) = (login.uid, login.leader);
        let new = self
            .book
            .with(move |book| book.is_persons(uid) && book.ledger().session_of(uid, pid).is_none());
        if !new.await {
            return true;
        }
        let Ok(process) = Process::look(pid) else {
            return true;
        };
        if process.place(uid, &self.enforcement.slice(uid)) != Place::Inside {
            return false;
        }
        let open = OpenSession {
            uid,
            pid,
            service: Some(login.service.clone()),
            wait_ms: None,
            notices: false,
        };
        self.open(open, Origin::Found).await;
        true
    }
}

/// The logins that the leaders of a user's sessions are in.
fn led(account: &Account) -> HashSet<String> {
    let leaders = account.sessions().values().map(|session| session.leader);
    leaders
        .filter_map(|leader| Some(Process::find(leader)?.login_id()?.to_owned()))
        .collect()
}
