//! What the kernel does to users because of their limits, as findings.
//!
//! The kernel tells of it: by a change of `memory.events` and `pids.events`, and by pressure
//! triggers. Nothing is polled; while nothing happens nothing runs. One task serves all users. What it
//! hears it looks at together, at most once a second: a storm costs a look a second, and what a look
//! finds of one user is one finding of a kind, with a count.

mod counts;
mod kernel_log;
mod leaves;
mod marks;
mod strain;
mod triggers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, warn};

use self::kernel_log::{KernelLog, Killed};
use self::leaves::Leaves;
use self::marks::{Change, Event, Marks};
use self::strain::{Judged, Strain, Strained};
use self::triggers::Triggers;
use crate::cgroup::{SliceCgroup, figure};
use crate::finding::{Finding, Victim, What};
use crate::kernel_file;

/// After the first event the rest of what belongs together is waited for: the kernel counts a kill
/// before it logs it.
const SETTLE: Duration = Duration::from_millis(50);
/// The least time between two looks.
const REST: Duration = Duration::from_secs(1);
/// How often events are taken for one look: together as many as the kernel keeps unless told otherwise
/// (`fs.inotify.max_queued_events`). More are left to the next look.
const MOST_TAKES: usize = 16_384 / marks::MOST_EVENTS;
const ITS_LOG: &str = "the daemon's log says why";
/// Findings that wait to be told. What does not fit is found again at the next look, with what has
/// come since.
const WAITING: usize = 256;

/// Watches users' slices. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    marks: Option<Marks>,
    triggers: Option<Triggers>,
    kernel_log: Option<KernelLog>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    users: HashMap<u32, User>,
    /// Whose each mark is.
    marks: HashMap<i32, u32>,
    /// What the log was told already of what cannot be watched.
    warned: BTreeSet<&'static str>,
}

/// A user who is watched, and what has been told of them.
#[derive(Debug)]
struct User {
    slice: SliceCgroup,
    marks: Vec<i32>,
    leaves: Option<Leaves>,
    /// `None` until they could be read.
    told: Option<Counts>,
    /// How often there was nothing left but to kill when a look found no kill of it.
    owed: u64,
    strains: [Strain; 2],
    /// Why files of the slice cannot be watched.
    unmarked: Option<&'static str>,
    /// Why its pressure cannot.
    unarmed: Option<&'static str>,
}

/// What the kernel has counted in a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// How often the slice's own limit on memory left nothing but to kill.
    out_of_memory: u64,
    kills: u64,
    refused: u64,
}

impl Watch {
    /// Begins to watch, for users who are named later, and hands over what is found. Only within a
    /// runtime.
    pub(crate) fn start() -> (Self, mpsc::Receiver<Finding>) {
        let marks = Marks::new()
            .inspect_err(|error| error!("cannot watch cgroups: {error}, ignoring"))
            .ok();
        let stdin = rustix::stdio::stdin();
        let kernel_log = KernelLog::new(stdin)
            .inspect_err(|error| warn!("cannot read the kernel's log: {error}, ignoring"))
            .ok();
        let (triggers, fired) = match Triggers::start() {
            Ok((triggers, fired)) => (Some(triggers), fired),
            Err(error) => {
                error!("cannot watch pressure: {error}, ignoring");
                (None, mpsc::channel(1).1)
            }
        };
        let watch = Self(Arc::new(Shared {
            marks,
            triggers,
            kernel_log,
            state: Mutex::default(),
        }));
        let (sender, findings) = mpsc::channel(WAITING);
        tokio::spawn(watch.clone().follow(sender, fired));
        (watch, findings)
    }

    /// A user's slice is limited. What happened in it before is not told.
    pub(crate) fn begin(&self, uid: u32, slice: SliceCgroup) {
        let mut state = self.state();
        if let Some(user) = state.users.get(&uid)
            && user.slice.inode() == slice.inode()
            && user.unmarked.is_none()
        {
            return;
        }
        self.drop_user(&mut state, uid);
        let Some(marks) = &self.0.marks else { return };
        let mut failed = None;
        let mut file = |name: &str| marks::found(marks.file(&slice.file(name)), &mut failed);
        let own_tasks = file("pids.events.local");
        let leaves = own_tasks
            .is_none()
            .then(|| Leaves::of(slice.folder(), marks));
        let of_leaves = leaves.iter().flat_map(Leaves::marks);
        let of_user: Vec<i32> = file("memory.events").into_iter().chain(own_tasks).collect();
        if let Some(leaves) = &leaves {
            failed = failed.or(leaves.failed());
        }
        let all: Vec<i32> = of_user.iter().copied().chain(of_leaves).collect();
        state.marks.extend(all.into_iter().map(|mark| (mark, uid)));
        let mut user = User {
            told: Counts::of(&slice),
            owed: 0,
            unmarked: None,
            unarmed: None,
            slice,
            marks: of_user,
            leaves,
            strains: [Strain::new(Strained::Cpu), Strain::new(Strained::Memory)],
        };
        if let Some(error) = failed.filter(|_| user.slice.is_there()) {
            let why = why_unmarked(error);
            user.unmarked = Some(why);
            if state.warned.insert(why) {
                warn!(uid, "cannot watch a slice's files: {error}, ignoring");
            }
        }
        self.arm(&mut state, uid, &mut user);
        state.users.insert(uid, user);
    }

    /// A user's slice is gone, or limited no more.
    pub(crate) fn end(&self, uid: u32) {
        self.drop_user(&mut self.state(), uid);
    }

    /// What cannot be noticed on this machine, a sentence each.
    pub(crate) fn blind(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.0.marks.is_none() {
            sentences.push(
                "That a process was killed or not started is not noticed: the daemon cannot watch \
                 cgroups; its log says why"
                    .to_owned(),
            );
        }
        if self.0.kernel_log.is_none() {
            sentences.push(
                "Which process was killed is not known: the daemon has no access to the kernel's \
                 log; run it by its unit, which has StandardInput=file:/dev/kmsg"
                    .to_owned(),
            );
        }
        let state = self.state();
        let unmarked = state.users.values().filter_map(|user| user.unmarked);
        sentences.extend(unmarked.collect::<BTreeSet<_>>().into_iter().map(|why| {
            format!("That a process of some users was killed or not started is not noticed: {why}")
        }));
        let unarmed = state.users.values().filter_map(|user| user.unarmed);
        let no_triggers = self.0.triggers.is_none().then_some(ITS_LOG);
        let unarmed: BTreeSet<_> = unarmed.chain(no_triggers).collect();
        sentences.extend(unarmed.into_iter().map(|why| {
            format!("That the limit on CPU or memory holds some users back is not noticed: {why}")
        }));
        sentences
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_user(&self, state: &mut State, uid: u32) {
        let Some(user) = state.users.remove(&uid) else {
            return;
        };
        let of_leaves = user.leaves.iter().flat_map(Leaves::marks);
        for mark in user.marks.iter().copied().chain(of_leaves) {
            state.marks.remove(&mark);
            if let Some(marks) = &self.0.marks {
                marks.remove(mark);
            }
        }
    }

    fn arm(&self, state: &mut State, uid: u32, user: &mut User) {
        let Some(triggers) = &self.0.triggers else {
            return;
        };
        user.unarmed = None;
        for strain in &mut user.strains {
            if let Err(error) = strain.arm(triggers, uid, &user.slice)
                && user.slice.is_there()
            {
                let why = why_unarmed(&error);
                user.unarmed = Some(why);
                if state.warned.insert(why) {
                    warn!(uid, "cannot watch pressure: {error}, ignoring");
                }
            }
        }
    }

    /// Looks when the kernel tells of something, for as long as somebody follows.
    async fn follow(self, sender: mpsc::Sender<Finding>, mut fired: mpsc::Receiver<u64>) {
        let mut changed = BTreeSet::new();
        loop {
            let due = self.next_due();
            let retry = (!changed.is_empty()).then(Instant::now);
            let mut keys = Vec::new();
            tokio::select! {
                heard = self.marks_changed() => if let Err(error) = heard {
                    error!("cannot watch cgroups any more: {error}");
                    return;
                },
                Some(key) = fired.recv() => keys.push(key),
                () = until(due.into_iter().chain(retry).min()) => {}
                () = sender.closed() => return,
            }
            sleep(SETTLE).await;
            while let Ok(key) = fired.try_recv() {
                keys.push(key);
            }
            match self.take_marks(&mut changed).await {
                Ok(()) => {}
                Err(error) => {
                    error!("cannot watch cgroups any more: {error}");
                    return;
                }
            }
            self.begin_strains(&keys);
            // What could not be sent stays for the next look.
            changed = self.look_at(&changed, &sender).await;
            self.judge_strains(&sender);
            sleep(REST).await;
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let state = self.state();
        let strains = state.users.values().flat_map(|user| &user.strains);
        strains.filter_map(Strain::due).min()
    }

    async fn marks_changed(&self) -> io::Result<()> {
        match &self.0.marks {
            Some(marks) => marks.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Adds the users in whose slices something has changed. Others run in between: one user can make
    /// and remove cgroups by the thousand.
    async fn take_marks(&self, changed: &mut BTreeSet<u32>) -> io::Result<()> {
        let Some(marks) = &self.0.marks else {
            return Ok(());
        };
        let mut moved = BTreeSet::new();
        for _ in 0..MOST_TAKES {
            let (events, all) = marks.take()?;
            self.sort_out(&events, changed, &mut moved);
            if all {
                break;
            }
            yield_now().await;
        }
        for uid in moved {
            self.look_at_leaves(uid, marks);
            yield_now().await;
        }
        Ok(())
    }

    /// Whose events these are, and in whose slices cgroups came or went.
    fn sort_out(&self, events: &[Event], changed: &mut BTreeSet<u32>, moved: &mut BTreeSet<u32>) {
        let mut state = self.state();
        for event in events {
            match *event {
                Event::Lost => {
                    changed.extend(state.users.keys());
                    moved.extend(state.users.keys());
                }
                Event::At(mark, Change::Ended) => {
                    state.marks.remove(&mark);
                }
                Event::At(mark, change) => {
                    if let Some(&uid) = state.marks.get(&mark) {
                        changed.insert(uid);
                        if change == Change::Moved {
                            moved.insert(uid);
                        }
                    }
                }
            }
        }
    }

    fn look_at_leaves(&self, uid: u32, marks: &Marks) {
        let mut state = self.state();
        let user = state.users.get_mut(&uid);
        let Some(leaves) = user.and_then(|user| user.leaves.as_mut()) else {
            return;
        };
        let moved = leaves.look_again(marks);
        for gone in moved.gone {
            state.marks.remove(&gone);
        }
        let came = moved.came.into_iter().map(|mark| (mark, uid));
        state.marks.extend(came);
    }

    /// Tells what has happened to these users; those of whom it could not be told are returned.
    async fn look_at(
        &self,
        changed: &BTreeSet<u32>,
        sender: &mpsc::Sender<Finding>,
    ) -> BTreeSet<u32> {
        let mut now = BTreeMap::new();
        let mut left = BTreeSet::new();
        for uid in changed {
            let counted = self.state().users.get_mut(uid).map(User::count);
            match counted {
                Some((inode, Some(counts))) => {
                    now.insert(*uid, (inode, counts));
                }
                // No descriptor was left, say.
                Some((_, None)) => {
                    left.insert(*uid);
                }
                None => {}
            }
            yield_now().await;
        }
        let mut state = self.state();
        // A slice that came again meanwhile has counts of its own.
        let is_same = |(uid, (inode, counts))| {
            let user = state.users.get(&uid)?;
            (user.slice.inode() == inode).then_some((uid, counts))
        };
        let now: BTreeMap<u32, Counts> = now.into_iter().filter_map(is_same).collect();
        let killed_of = |uid: &u32, counts: &Counts| {
            let told = state.users.get(uid).and_then(|user| user.told);
            counts.kills_since(&told.unwrap_or(*counts))
        };
        let hit: Vec<u32> = now
            .iter()
            .filter(|(uid, counts)| killed_of(uid, counts) > 0)
            .map(|(uid, _)| *uid)
            .collect();
        let killed = match &self.0.kernel_log {
            Some(log) if !hit.is_empty() => log.killed(),
            _ => Vec::new(),
        };
        for (uid, counts) in now {
            let Some(user) = state.users.get_mut(&uid) else {
                continue;
            };
            let Some(told) = &mut user.told else {
                user.told = Some(counts);
                continue;
            };
            let kills = counts.kills_since(told);
            if kills > 0 {
                let victim = largest_victim(&killed, uid, &hit);
                if tell(uid, What::OomKill { victim, kills }, sender) {
                    told.kills = counts.kills;
                    told.out_of_memory = counts.out_of_memory;
                } else {
                    left.insert(uid);
                }
            } else if told.without_kill(&counts, &mut user.owed) {
                left.insert(uid);
            }
            let refused = counts.refused.saturating_sub(told.refused);
            if refused > 0 {
                if tell(uid, What::TasksLimit { refused }, sender) {
                    told.refused = counts.refused;
                } else {
                    left.insert(uid);
                }
            }
        }
        left
    }

    fn begin_strains(&self, keys: &[u64]) {
        let mut state = self.state();
        for key in keys {
            let (uid, strained) = Strained::of_key(*key);
            if let Some(user) = state.users.get_mut(&uid) {
                let User { slice, strains, .. } = user;
                let mut all = strains.iter_mut();
                if let Some(strain) = all.find(|strain| strain.is_of(strained)) {
                    strain.fired(slice);
                }
            }
        }
    }

    fn judge_strains(&self, sender: &mpsc::Sender<Finding>) {
        let now = Instant::now();
        let mut state = self.state();
        let due = |user: &User| {
            let mut all = user.strains.iter().filter_map(Strain::due);
            all.any(|due| due <= now)
        };
        let users = state.users.iter().filter(|(_, user)| due(user));
        let uids: Vec<u32> = users.map(|(uid, _)| *uid).collect();
        for uid in uids {
            let Some(mut user) = state.users.remove(&uid) else {
                continue;
            };
            for at in 0..user.strains.len() {
                let Some(strain) = user.strains.get_mut(at) else {
                    continue;
                };
                if strain.due().is_none_or(|due| due > now) {
                    continue;
                }
                if let Judged::Told(what) = strain.judge(&user.slice) {
                    // What does not fit is found again: the strain goes on, or was none.
                    if !tell(uid, what, sender)
                        && let Some(strain) = user.strains.get_mut(at)
                    {
                        strain.forget();
                    }
                }
            }
            self.arm(&mut state, uid, &mut user);
            state.users.insert(uid, user);
        }
    }
}

impl User {
    /// The counts of which slice: `None` where they cannot be read now.
    fn count(&mut self) -> (u64, Option<Counts>) {
        let mut counts = Counts::of(&self.slice);
        if let (Some(counts), Some(leaves)) = (&mut counts, &mut self.leaves) {
            counts.refused = leaves.refused();
        }
        (self.slice.inode(), counts)
    }
}

/// What to do where the kernel does not mark a file.
fn why_unmarked(error: Errno) -> &'static str {
    match error {
        Errno::NOSPC => {
            "the kernel takes no more marks on files; raise fs.inotify.max_user_watches"
        }
        _ => ITS_LOG,
    }
}

/// What to do where the kernel takes no trigger.
fn why_unarmed(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        // Before, to open such a file for writing took CAP_SYS_RESOURCE.
        Some(Errno::PERM) => "the kernel tells the daemon of pressure only since Linux 6.5",
        Some(Errno::ROFS | Errno::ACCESS) => {
            "the daemon's unit lets it not write to the slice's pressure files; name the slice \
             above in ReadWritePaths="
        }
        Some(Errno::NOENT | Errno::OPNOTSUPP) => {
            "the kernel does not tell of pressure; where it was built with it, boot with psi=1"
        }
        _ => ITS_LOG,
    }
}

/// Whether it was taken.
fn tell(uid: u32, what: What, sender: &mpsc::Sender<Finding>) -> bool {
    sender.try_send(Finding::new(uid, what)).is_ok()
}

impl Counts {
    /// `None` where they cannot be read: what is taken for nothing would be told again.
    fn of(slice: &SliceCgroup) -> Option<Self> {
        let read = |name: &str| match kernel_file::read(&slice.file(name)) {
            // This kernel has no such file, or the slice has gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(String::new()),
            text => text.ok(),
        };
        let all = read("memory.events")?;
        let own = read("memory.events.local")?;
        let tasks = read("pids.events.local")?;
        let kills = figure(&all, "oom_kill").unwrap_or_default();
        Some(Self {
            kills,
            out_of_memory: figure(&own, "oom").unwrap_or(kills),
            refused: figure(&tasks, "max").unwrap_or_default(),
        })
    }

    /// A look has found no kill at the slice's own limit: brings up what was told. Returns whether one
    /// may yet come of what is counted, and another look shall tell; `owed` is that of the last look.
    fn without_kill(&mut self, now: &Self, owed: &mut u64) -> bool {
        // Killed by a limit below the slice's, or because the machine had none left.
        self.kills = now.kills;
        let before = std::mem::replace(owed, now.out_of_memory);
        if now.out_of_memory > self.out_of_memory && before != now.out_of_memory {
            return true;
        }
        // Nothing could be killed, or a limit below had it killed at the same time.
        self.out_of_memory = now.out_of_memory;
        false
    }

    /// How many were killed at the slice's own limit since `told`. A kill is counted after its cause.
    fn kills_since(&self, told: &Self) -> u64 {
        if self.out_of_memory > told.out_of_memory {
            self.kills.saturating_sub(told.kills)
        } else {
            0
        }
    }
}

/// The largest of a user's processes that were killed. One of another UID is the user's where only
/// this user's slice had a kill: a setuid program, say. Where that is not certain nothing is said.
fn largest_victim(killed: &[Killed], uid: u32, hit: &[u32]) -> Option<Victim> {
    let largest = |own: &dyn Fn(&Killed) -> bool| {
        let own = killed.iter().filter(|one| own(one));
        own.max_by_key(|one| one.victim.held.bytes())
            .map(|one| one.victim.clone())
    };
    let of_user = largest(&|one| one.uid == uid);
    let of_nobody = || match hit {
        [only] if *only == uid => largest(&|_| true),
        _ => None,
    };
    of_user.or_else(of_nobody)
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
