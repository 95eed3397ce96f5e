//! The daemon from start to end, in the order in which things happen.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use fairshare_core::Policy;
use fairshare_core::policy::{Enforce, Look, SliceScheme, Source};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::args::Args;
use crate::book::{Book, BookHandle};
use crate::cgroup::CgroupTree;
use crate::counts::COUNTS;
use crate::enforcement::systemd::{BusEvent, Systemd};
use crate::history::History;
use crate::hooks::{self, Hooks};
use crate::listener::Listener;
use crate::names::{Names, OWN_PROGRAM};
use crate::operations::Operations;
use crate::people::People;
use crate::policy_file::PolicyFault;
use crate::policy_source::PolicySource;
use crate::snapshot::{Snapshot, SnapshotError};
use crate::strays::Finder;
use crate::watch::Watch;
use crate::{descriptor, listener, policy_file, service_manager};

/// How many events of the bus may wait. The bus holds back the ones behind them.
const BUS_EVENTS: usize = 1024;
/// The status for a missing or wrong policy: `EX_CONFIG` of `sysexits.h(3head)`.
pub(crate) const EX_CONFIG: u8 = 78;

/// What clients hear of a daemon that does not start for want of a policy.
const NO_POLICY: &str =
    "The daemon does not start, because its policy is wrong; 'fairshared check' shows where";

/// Why the daemon could not start or go on.
#[derive(Debug)]
pub(crate) enum Fault {
    /// There is no policy to go by.
    Policy(PolicyFault),
    /// The system does not give what the daemon needs.
    System { what: String, error: io::Error },
    /// The ledger's snapshot cannot be kept.
    Snapshot(SnapshotError),
    /// The task that owns the ledger has ended.
    Ledger,
    /// The cgroup tree is not of version 2.
    NoCgroups { root: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(fault) => fault.fmt(f),
            Self::System { what, error } => write!(f, "cannot {what}: {error}"),
            Self::Snapshot(fault) => write!(f, "cannot {fault}"),
            Self::Ledger => f.write_str("a fault ended the task that owns the ledger"),
            Self::NoCgroups { root } => write!(
                f,
                "{root} is no cgroup v2 tree; boot with systemd.unified_cgroup_hierarchy=1"
            ),
        }
    }
}

impl Fault {
    /// Says what is wrong, to the log and to systemd.
    pub(crate) fn report(&self) {
        error!("{self}");
        // A status is one line.
        let summary = match self {
            Self::Policy(fault) => fault.summary(),
            other => other.to_string(),
        };
        service_manager::failing(&summary);
    }

    /// The status that the process ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Policy(_) => ExitCode::from(EX_CONFIG),
            _ => ExitCode::FAILURE,
        }
    }

    fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::System { what, error }
    }
}

/// Runs until a signal ends it. Limits stay in force.
pub(crate) fn run(args: &Args) -> Result<(), Fault> {
    raise_descriptor_limit();
    // One thread: what it does takes microseconds, and what takes longer is waited for.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Fault::system("start the runtime"))?;
    runtime.block_on(serve(args))
}

async fn serve(args: &Args) -> Result<(), Fault> {
    COUNTS.begin();
    let cgroups = CgroupTree::new(args.cgroup_root());
    let source =
        |scheme| PolicySource::new(args.policy(), cgroups.clone(), scheme, args.systemd_dir());
    let first = SliceScheme::default();
    let inherited =
        descriptor::inherited_socket().map_err(Fault::system("take the socket from systemd"))?;
    let (policy, texts) = match read_policy(&source(first)) {
        Ok(read) => read,
        Err(fault) => {
            if let Some(socket) = &inherited {
                listener::turn_away(socket, NO_POLICY);
            }
            return Err(Fault::Policy(fault));
        }
    };
    if !cgroups.is_version_2() {
        return Err(Fault::NoCgroups {
            root: args.cgroup_root().display().to_string(),
        });
    }
    let scheme = policy.slice_scheme();
    // What bounds the users depends on where their slices lie, which only the policy says.
    let source = source(scheme);
    let policy = source.follow_machine(&policy).unwrap_or(policy);
    let listen = format!("listen on {}", args.socket().display());
    let listener = Listener::new(inherited, args.socket()).map_err(Fault::system(listen))?;
    make_state_folder(args.state_dir())?;
    let (snapshot, saved) = Snapshot::open(args.state_dir()).map_err(Fault::Snapshot)?;
    info!(users = saved.ledger.users.len(), "ledger opened");

    let people = People::new(Names::start(PathBuf::from(OWN_PROGRAM)));
    let watching = policy.enforce() == Enforce::Watch;
    let policy_history = policy.history();
    let book = Book::new(policy, policy_file::uid_min(), snapshot, saved);
    let (bus_sender, bus_events) = mpsc::channel(BUS_EVENTS);
    let finder = Finder::new(Path::new("/proc"), args.cgroup_root());
    let systemd = Systemd::start(scheme, cgroups, args.systemd_dir(), bus_sender);
    let (book, mut book_owner, happened) = BookHandle::start(book);
    let watched = service_manager::stay_alive(book.clone());
    let history = History::open(Some(args.history_dir()));
    history.keep_for(policy_history);
    let hooks = Hooks::start(PathBuf::from(hooks::FOLDER), systemd.hook_runner());
    let operations = Operations::new(
        book,
        systemd,
        people,
        source,
        finder,
        watching,
        history.clone(),
    );
    operations.tell_hooks(hooks);
    let (watch, findings) = Watch::start();
    operations.watch_with(watch);
    tokio::spawn(Arc::clone(&operations).follow_findings(findings));
    tokio::spawn(Arc::clone(&operations).follow(happened));
    operations.resume().await;
    tokio::spawn(follow_bus(bus_events, Arc::clone(&operations)));
    tokio::spawn(Arc::clone(&operations).follow_strays());
    tokio::spawn(Arc::clone(&operations).follow_use());
    // Behind the start: a name service that hangs must not keep logins waiting for it.
    tokio::spawn(Arc::clone(&operations).look_for_groups(texts));

    let signals = Signals::new().map_err(Fault::system("listen for signals"))?;
    service_manager::serving("Serving");
    tokio::spawn(watched);
    info!(socket = %args.socket().display(), policy = %args.policy().display(), "serving");
    tokio::select! {
        () = listener.serve(Arc::clone(&operations)) => {}
        () = follow_signals(signals, &operations) => {}
        // Without it every login would wait in vain; started anew, the daemon has all it had.
        _ = &mut book_owner => return Err(Fault::Ledger),
    }
    service_manager::ending();
    history.settle().await;
    info!("ending; limits stay in force");
    Ok(())
}

/// Has what the bus tells carried out, for as long as it does.
pub(crate) async fn follow_bus(
    mut events: mpsc::Receiver<BusEvent>,
    operations: Arc<Operations<Systemd>>,
) {
    while let Some(event) = events.recv().await {
        let operations = Arc::clone(&operations);
        match event {
            BusEvent::LookAtAll => {
                tokio::spawn(async move {
                    operations.look_at_all().await;
                    operations.look_for_present().await;
                });
            }
            BusEvent::LogindIsBack => {
                tokio::spawn(async move { operations.look_for_present().await });
            }
            BusEvent::UserCame(uid) => {
                tokio::spawn(async move { operations.user_came(uid).await });
            }
            BusEvent::LoginCame(login) => {
                tokio::spawn(async move { operations.login_came(login).await });
            }
            BusEvent::SliceGone(uid) => {
                tokio::spawn(async move { operations.slice_gone(uid).await });
            }
        }
    }
}

struct Signals {
    hangup: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Returns when the daemon is to end.
async fn follow_signals(mut signals: Signals, operations: &Arc<Operations<Systemd>>) {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            received = signals.hangup.recv() => match received {
                // What is wrong is in the log; the policy before stays in force.
                Some(()) => drop(operations.reload().await),
                None => return,
            },
        }
    }
}

/// Reads the policy and logs what is odd about it.
fn read_policy(source: &PolicySource) -> Result<(Policy, Vec<Source>), PolicyFault> {
    let loaded = source.read()?;
    for warning in &loaded.warnings {
        warn!("{}", warning.text(Look::Plain));
    }
    Ok((loaded.policy, loaded.sources))
}

fn make_state_folder(path: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::DirBuilderExt;
    let what = format!("make the folder {}", path.display());
    let made = fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(path);
    made.map_err(Fault::system(what))
}

/// Each session takes a descriptor. systemd gives services a soft limit of 1024 and a hard one far
/// above, for programs that ask.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!("cannot raise the limit of open descriptors: {error}, ignoring");
    }
}
