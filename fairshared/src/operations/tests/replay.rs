//! Days of the core's simulated machine, carried out by the daemon: its operations, its book, its
//! snapshot and its calls to systemd, over D-Bus to a fake of it. In the end the daemon's ledger is
//! the core's, and what is enforced is what that says.
//!
//! `FAIRSHARE_SIM_SEED` chooses other days; those that fail print their seed.

mod fake_systemd;
mod kernel_files;
#[path = "../../../../fairshare-core/tests/ledger_checks/mod.rs"]
mod ledger_checks;
#[path = "../../../../fairshare-core/tests/simulated_machine/mod.rs"]
mod simulated_machine;

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fairshare_core::ledger::{Capacity, Ledger, Moment, Terms};
use fairshare_protocol::{Period, Release, Renew, Set, Wait};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::*;
use crate::clock;
use crate::daemon::follow_bus;
use crate::enforcement::systemd::Systemd;
use crate::leader::Process;
use fake_systemd::FakeSystemd;
use simulated_machine::{Call, FIRST_UID, Rules, Scale, Seed, Step, World};

const SEED: u64 = 0x5eed;
const USERS: u32 = 160;
/// For what must come.
const SETTLED_BOUND: Duration = Duration::from_secs(60);
/// For everything that is on its way to be enforced.
const LATE: Duration = Duration::from_secs(30);
/// Between two looks at what no event tells.
const LOOK: Duration = Duration::from_millis(2);
/// Far enough ahead of the machine's clock that the alarm, which goes by that, never rings.
const AHEAD: Duration = Duration::from_secs(1000 * 24 * 60 * 60);

thread_local! {
    /// The clock of this test.
    static NOW: Cell<Moment> = const { Cell::new(Moment::ZERO) };
}

/// Who is in which group; see [`policy_text`].
const WORKER: &str = r#"
while read -r line; do
    number=${line#*\"number\":}
    number=${number%%,*}
    case $line in
        *group_id*staff*) answer='{"id":5000}' ;;
        *group_id*students*) answer='{"id":5001}' ;;
        *group_id*guests*) answer='{"id":5002}' ;;
        *)
            uid=${line#*\"person\":}
            uid=${uid%%\}*}
            case $((uid % 4)) in
                0) groups=5000 ;;
                1) groups=5001 ;;
                2) groups=5001,5002 ;;
                3) groups=100 ;;
            esac
            answer="{\"person\":{\"name\":\"user$uid\",\"groups\":[$groups]}}"
            ;;
    esac
    echo "{\"number\":$number,\"answer\":$answer}"
done
"#;

/// The simulation's kinds of users, as an administrator would write them.
fn policy_text(rules: Rules) -> String {
    let Rules { larger, students } = rules;
    let more = if larger { 2 } else { 1 };
    let max = |cpu: u64, gib: u64| {
        let (cpu, gib) = (cpu * more, gib * more);
        format!("max: {{cpu: {cpu}, mem: {gib}G, tasks: 4096}}")
    };
    format!(
        "defaults: {{cpu: 2, mem: 4G, tasks: 512}}\n\
         {}\n\
         queue: {{half_life: 7d, longest_wait: unlimited}}\n\
         groups:\n\
         \x20 guests:\n\
         \x20   {}\n\
         \x20   min: {{cpu: 1, mem: 1G, tasks: 64}}\n\
         \x20   lease: {{default: 1h, longest: 2h}}\n\
         \x20   idle: {{after: 1h, notice: 1m}}\n\
         \x20   priority: -5\n\
         \x20   budget: {{tasks: 40000}}\n\
         \x20 students:\n\
         \x20   {}\n\
         \x20   lease: {{default: 4h, longest: 12h}}\n\
         \x20   idle: {{after: 2h, notice: 15m}}\n\
         \x20   budget: {{cpu: {students}, mem: {}G}}\n\
         \x20 staff:\n\
         \x20   {}\n\
         \x20   lease: {{default: 8h, longest: 168h}}\n\
         \x20   priority: 5\n",
        max(8, 32),
        max(8, 16),
        max(16, 64),
        students * 4,
        max(32, 128),
    )
}

/// The daemon on a machine of files, with a fake of systemd.
struct Machine {
    folder: tempfile::TempDir,
    systemd: FakeSystemd,
    leader: Child,
    /// How often the daemon was started.
    starts: u32,
}

/// The daemon, with all that runs in it.
struct Daemon {
    runtime: Runtime,
    operations: Arc<Operations<Systemd>>,
    waiting: HashMap<u32, Waiting>,
}

impl Machine {
    fn new(rules: Rules, capacity: Capacity) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let systemd = FakeSystemd::start(folder.path());
        fs::write(folder.path().join("worker"), WORKER).unwrap();
        let machine = Self {
            folder,
            systemd,
            leader: leader(),
            starts: 0,
        };
        machine.write("proc/sys/kernel/pid_max", "4194304\n");
        machine.write("proc/sys/kernel/threads-max", "4194304\n");
        machine.set_policy(rules);
        machine.set_capacity(capacity);
        machine
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn set_policy(&self, rules: Rules) {
        self.write("policy.yaml", &policy_text(rules));
    }

    fn set_capacity(&self, capacity: Capacity) {
        let cpus = capacity.cpu_thousandths / 1000;
        self.write(
            "sys/devices/system/cpu/online",
            &format!("0-{}\n", cpus - 1),
        );
        let kib = capacity.mem_bytes / 1024;
        self.write("proc/meminfo", &format!("MemTotal: {kib} kB\n"));
    }

    /// What programs of a user hold, and how many there are.
    fn holds(&self, uid: u32, file: &str, figure: u64) {
        let slice = self.systemd.slice(uid);
        if slice.exists() {
            fs::write(slice.join(file), figure.to_string()).unwrap();
        }
    }

    fn state(&self) -> PathBuf {
        self.path(&format!("state{}", self.starts))
    }

    fn start_daemon(&self) -> Daemon {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let operations = runtime.block_on(async {
            let (snapshot, saved) = Snapshot::open(&self.state()).unwrap();
            let cgroups = CgroupTree::new(&self.systemd.cgroups());
            let meter = Meter::at(self.folder.path(), cgroups.clone(), "user.slice");
            let source = PolicySource::on(&self.path("policy.yaml"), meter);
            let policy = source.read().unwrap().policy;
            let book = Book::new(policy, FIRST_UID, snapshot, saved).by_clock(|| NOW.get());
            let (events, bus) = mpsc::channel(1024);
            let (socket, run) = (self.systemd.socket(), self.systemd.run());
            let systemd = Systemd::start_at(&socket, cgroups, &run, events);
            let (book, _, happened) = BookHandle::start(book);
            let people = People::new(Names::of_script(self.path("worker")));
            let voice = Box::new(|_, _: &[u32], _: &str| Told::On(1));
            let finder = Finder::new(&self.path("proc"), &self.systemd.cgroups());
            let operations =
                Operations::with_voice(book, systemd, people, source, finder, false, voice);
            tokio::spawn(Arc::clone(&operations).follow(happened));
            operations.resume().await;
            tokio::spawn(follow_bus(bus, Arc::clone(&operations)));
            operations.enforcement.caught_up().await.unwrap();
            operations
        });
        Daemon {
            runtime,
            operations,
            waiting: HashMap::new(),
        }
    }

    /// The daemon is killed: its files are as they are at that moment, and nothing that it had
    /// begun goes on.
    fn restart(&mut self, daemon: Daemon) -> Daemon {
        let before = self.state();
        self.starts += 1;
        fs::create_dir(self.state()).unwrap();
        for file in ["ledger.db", "ledger.db-wal"] {
            fs::copy(before.join(file), self.state().join(file)).unwrap();
        }
        drop(daemon);
        self.start_daemon()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

impl Daemon {
    fn carry_out(&mut self, machine: &Machine, step: Step) {
        let Step { at, call } = step;
        NOW.set(at);
        let operations = Arc::clone(&self.operations);
        let book = operations.book.clone();
        let waiting = &mut self.waiting;
        self.runtime.block_on(async move {
            match call {
                Call::Pass => book.with(|_| ()).await,
                Call::Login { uid } => {
                    let open = OpenSession {
                        uid,
                        pid: machine.leader.id(),
                        service: Some("sshd".to_owned()),
                        wait_ms: Some(60_000),
                        notices: false,
                    };
                    let reply = operations.open_session(open).await;
                    assert!(matches!(reply, Reply::SessionOpened(_)), "{reply:?}");
                }
                Call::Logout { uid, session, gone } => {
                    log_out(machine, &operations, session, gone.then_some(uid)).await;
                }
                Call::Resize {
                    uid,
                    asked,
                    waits,
                    fails,
                } => {
                    if fails {
                        // What is on its way for the user is not what is to fail.
                        tokio::task::yield_now().await;
                        drop(operations.turns.take(uid).await);
                        machine.systemd.refuse(uid, true);
                    }
                    match ask(machine, &operations, uid, asked, waits).await {
                        Outcome::Answered(reply) => {
                            let failed = code(&reply) == Some(ErrorCode::NotEnforced);
                            assert_eq!(failed, fails, "{reply:?}");
                        }
                        Outcome::Waits(place) => {
                            waiting.insert(uid, place);
                        }
                    }
                    machine.systemd.refuse(uid, false);
                }
                Call::Release { uid, asked } => {
                    machine.holds(uid, "memory.current", asked.used.bytes());
                    let release = Release {
                        uid: None,
                        force: asked.force,
                    };
                    let _ = operations.release(caller(uid), release).await;
                    machine.holds(uid, "memory.current", 0);
                }
                Call::Renew { uid, lease } => {
                    let lease = period(lease);
                    let _ = operations.renew(caller(uid), Renew { lease }).await;
                }
                Call::Leave { uid } => {
                    let place = waiting.remove(&uid).unwrap();
                    operations.leave(place).await;
                }
                Call::Set { uid, asked } => {
                    let Terms {
                        wish, lease, force, ..
                    } = asked;
                    let set = Set {
                        uid,
                        wish,
                        lease: lease.map(period),
                        force,
                    };
                    let root = Caller {
                        uid: 0,
                        administrator: true,
                        exporter: false,
                    };
                    let _ = operations.set(root, set).await;
                }
                Call::Use { uid, busy } => {
                    machine.holds(uid, "pids.current", if busy { 100_000 } else { 7 });
                }
                Call::Reload(rules) => {
                    machine.set_policy(rules);
                    operations.reload().await.unwrap();
                }
                Call::Capacity(capacity) => {
                    machine.set_capacity(capacity);
                    operations.follow_machine().await;
                }
                Call::Restart | Call::Look(_) => unreachable!("not done by the daemon"),
            }
        });
    }

    fn ledger(&self) -> Ledger {
        let book = self.operations.book.clone();
        self.runtime.block_on(async {
            // The simulation tells the ledger the time of steps in which nothing happens, too.
            book.with(|_| ()).await;
            book.with(|book| book.ledger().clone()).await
        })
    }
}

/// A session ends, and nothing is left of this user then.
async fn log_out(
    machine: &Machine,
    operations: &Arc<Operations<Systemd>>,
    session: u64,
    gone: Option<u32>,
) {
    let close = CloseSession {
        session: Some(session),
        ..CloseSession::default()
    };
    let closed = Arc::clone(operations).close_session(close, 0).await;
    assert!(matches!(closed, Reply::Success { .. }), "{closed:?}");
    let Some(uid) = gone else {
        return;
    };
    machine.systemd.remove_slice(uid);
    let is_known = move |book: &mut Book| book.ledger().account(uid).is_some();
    until(async || !operations.book.with(is_known).await).await;
}

/// A user asks for something while programs hold so much.
async fn ask(
    machine: &Machine,
    operations: &Arc<Operations<Systemd>>,
    uid: u32,
    asked: Terms,
    waits: Option<Wait>,
) -> Outcome {
    machine.holds(uid, "memory.current", asked.used.bytes());
    let resize = Resize {
        wish: asked.wish,
        lease: asked.lease.map(period),
        wait: waits,
        force: asked.force,
    };
    let asking = Arc::clone(operations);
    let outcome = match waits {
        None => Outcome::Answered(asking.resize(caller(uid), resize).await),
        Some(wait) => asking.resize_or_wait(caller(uid), resize, wait).await,
    };
    machine.holds(uid, "memory.current", 0);
    outcome
}

/// Waits for what no event tells.
async fn until(mut done: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !done().await {
        assert!(begun.elapsed() < SETTLED_BOUND, "it never came");
        tokio::time::sleep(LOOK).await;
    }
}

fn period(time: Duration) -> Period {
    Period::from_seconds(time.as_secs()).unwrap()
}

/// What is enforced otherwise than this ledger says, a sentence each.
fn differences(machine: &Machine, ledger: &Ledger) -> Vec<String> {
    let mut found = Vec::new();
    for uid in FIRST_UID..FIRST_UID + USERS {
        let slice = machine.systemd.slice(uid);
        let Some(account) = ledger.account(uid) else {
            if slice.exists() {
                found.push(format!("{uid} is not known and has a slice"));
            }
            continue;
        };
        let has = account.allocation();
        let weight = (has.cpu.thousandths() / 10).clamp(1, 10_000);
        for (file, wanted) in [
            ("cpu.max", format!("{} 100000", has.cpu.thousandths() * 100)),
            ("cpu.weight", weight.to_string()),
            ("memory.max", has.mem.bytes().to_string()),
            ("memory.high", "max".to_owned()),
            ("memory.swap.max", "0".to_owned()),
            ("pids.max", has.tasks.count().to_string()),
        ] {
            let text = fs::read_to_string(slice.join(file)).unwrap_or_default();
            if text != wanted {
                found.push(format!("{uid}: {file} is '{text}' and not '{wanted}'"));
            }
        }
    }
    found
}

/// The daemon's ledger is this, and what is on its way to be enforced comes to what it says.
fn compare(machine: &Machine, daemon: &Daemon, should: &Ledger) {
    let ledger = daemon.ledger();
    assert_eq!(ledger.save(), should.save());
    assert!(ledger == *should, "the ledgers differ in what is not saved");
    let begun = Instant::now();
    daemon.runtime.block_on(until(async || {
        differences(machine, should).is_empty() || begun.elapsed() > LATE
    }));
    assert_eq!(differences(machine, should), Vec::<String>::new());
}

#[test]
fn days_of_the_simulated_machine_end_as_the_core_says() {
    let seed = Seed::given_or(SEED);
    let begun = Instant::now();
    let from = clock::now().after(AHEAD);
    NOW.set(from);
    let mut scale = Scale {
        users: USERS,
        cpus: (64, 100),
        students: (100, 160),
        from,
        span: Duration::from_secs(3 * 24 * 60 * 60),
        steps_between_restarts: 100,
        steps_between_looks: 25,
        leader: None,
    };
    let (rules, capacity) = World::begin(&scale);
    let mut machine = Machine::new(rules, capacity);
    fs::create_dir(machine.state()).unwrap();
    scale.leader = Some(Process::look(machine.leader.id()).unwrap().leader);
    let mut world = World::new(seed.0, scale);
    world.keep_trace();
    world.run();
    let trace = world.take_trace();

    let mut daemon = machine.start_daemon();
    let (steps, mut failed) = (trace.len(), 0);
    for step in trace {
        match step.call {
            Call::Restart => daemon = machine.restart(daemon),
            Call::Look(ledger) => {
                NOW.set(step.at);
                compare(&machine, &daemon, &ledger);
            }
            Call::Resize { fails: true, .. } => {
                failed += 1;
                daemon.carry_out(&machine, step);
            }
            _ => daemon.carry_out(&machine, step),
        }
    }
    world.ledger.take_changed();
    compare(&machine, &daemon, &world.ledger);
    println!(
        "seed {}: {steps} steps, {failed} of them not enforced, {} calls, {:?} in {:.1?}",
        seed.0,
        machine.systemd.calls(),
        world.tally,
        begun.elapsed()
    );
    let tally = &world.tally;
    // Days in which nothing waits and nothing fails show nothing. Others than ours may be such.
    if seed.0 != SEED {
        return;
    }
    assert!(failed > 0 && tally.served > 0 && tally.ended > 0 && tally.idle > 0);
    assert!(tally.restarts > 3 && tally.gave_up > 0);
}
