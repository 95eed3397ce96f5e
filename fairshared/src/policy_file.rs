//! Reading policy files, and the facts beside them, from disk.
//!
//! A policy says what root's daemon does, so nobody but root may be able to change it: a file or
//! folder that others can write is refused, and not only warned of. The open file is judged, so a
//! link counts by what it leads to.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fairshare_core::policy::{
    self, Look, MAX_SOURCES, MAX_TEXT, Machine, Policy, Problem, Severity, Source,
};
use rustix::fs::OFlags;
use rustix::process::geteuid;

/// The first UID of a person where `/etc/login.defs` does not say: `login.defs(5)`.
const DEFAULT_UID_MIN: u32 = 1000;
/// Where the system says it.
const LOGIN_DEFS: &str = "/etc/login.defs";

/// A policy with what is odd about it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) policy: Policy,
    /// The files that it was read from.
    pub(crate) sources: Vec<Source>,
    pub(crate) warnings: Vec<Problem>,
}

/// Why there is no policy.
#[derive(Debug)]
pub(crate) enum PolicyFault {
    /// The file or folder could not be read.
    Unreadable { path: PathBuf, error: io::Error },
    /// What the machine has could not be learnt, and percentages are of that.
    Machine(io::Error),
    /// What is in it is wrong.
    Wrong {
        paths: Vec<PathBuf>,
        problems: Vec<Problem>,
    },
}

impl PolicyFault {
    /// The first line of the display form: what is wrong, without the single problems.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Unreadable { path, error } => {
                format!("cannot read policy {}: {error}", path.display())
            }
            Self::Machine(error) => format!("cannot learn what the machine has: {error}"),
            Self::Wrong { paths, .. } => {
                let paths: Vec<String> = paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                format!("policy {} is wrong", paths.join(" "))
            }
        }
    }

    /// The single problems.
    pub(crate) fn problems(&self) -> &[Problem] {
        match self {
            Self::Unreadable { .. } | Self::Machine(_) => &[],
            Self::Wrong { problems, .. } => problems,
        }
    }
}

/// The summary, and below it each problem with its line and a caret.
impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        match self.problems() {
            [] => Ok(()),
            problems => write!(f, "\n{}", policy::report(problems, Look::Plain)),
        }
    }
}

/// Reads a policy from files and folders, in this order; of a folder `*.yaml` in the order of the
/// names.
pub(crate) fn read<P: AsRef<Path>>(paths: &[P], machine: &Machine) -> Result<Loaded, PolicyFault> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |error| PolicyFault::Unreadable { path, error }
    };
    let mut reader = Reader::default();
    for path in paths {
        let path = path.as_ref();
        reader.file_or_folder(path).map_err(unreadable(path))?;
    }
    let wrong = |problems| PolicyFault::Wrong {
        paths: paths.iter().map(|path| path.as_ref().to_owned()).collect(),
        problems,
    };
    // What a missing file says cannot be told from what no file says.
    if reader.incomplete {
        return Err(wrong(reader.problems));
    }
    let mut problems = reader.problems;
    match Policy::read(&reader.sources, machine) {
        Ok((policy, warnings)) if problems.is_empty() => Ok(Loaded {
            policy,
            sources: reader.sources,
            warnings: reader.warnings.into_iter().chain(warnings).collect(),
        }),
        Ok((_, more)) | Err(more) => {
            problems.extend(more);
            Err(wrong(problems))
        }
    }
}

/// Collects texts, and what is wrong with the files that they are in.
#[derive(Default)]
struct Reader {
    sources: Vec<Source>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Whether a file could not be read at all.
    incomplete: bool,
}

impl Reader {
    fn file_or_folder(&mut self, path: &Path) -> io::Result<()> {
        let file = open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_dir() {
            return self.file(path, file, &metadata);
        }
        self.trust(path, &metadata);
        for path in self.names(path)? {
            let read = open(&path).and_then(|file| {
                let metadata = file.metadata()?;
                self.file(&path, file, &metadata)
            });
            if let Err(error) = read {
                let message = format!("cannot read the file: {error}");
                self.problem(&path, message);
                self.incomplete = true;
            }
        }
        Ok(())
    }

    /// The files of a folder that belong to the policy.
    fn names(&mut self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let hidden = path
                .file_name()
                .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if hidden {
                continue;
            }
            if path.extension() == Some(OsStr::new("yml")) {
                let message = "not read: the name of a policy file ends in '.yaml'".to_owned();
                self.warnings.push(Problem {
                    severity: Severity::Warning,
                    ..Problem::error(message).in_file(&path.display().to_string())
                });
            }
            if path.extension() != Some(OsStr::new("yaml")) {
                continue;
            }
            if paths.len() >= MAX_SOURCES {
                self.problem(folder, format!("more than {MAX_SOURCES} files"));
                self.incomplete = true;
                break;
            }
            paths.push(path);
        }
        if paths.is_empty() {
            self.problem(folder, "no file in it ends in '.yaml'".to_owned());
            self.incomplete = true;
        }
        paths.sort();
        Ok(paths)
    }

    /// Reads at most one byte more than policy takes, so that a file that grows for ever is
    /// refused by the parser and not held in memory.
    fn file(&mut self, path: &Path, file: File, metadata: &Metadata) -> io::Result<()> {
        if !metadata.is_file() {
            self.problem(path, "not a regular file".to_owned());
            self.incomplete = true;
            return Ok(());
        }
        self.trust(path, metadata);
        let limit = u64::try_from(MAX_TEXT)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        match String::from_utf8(bytes) {
            Ok(text) => self.sources.push(Source {
                name: path.display().to_string(),
                text,
            }),
            // A character that the limit cut in two is no fault of the file's.
            Err(error) if error.as_bytes().len() > MAX_TEXT => {
                self.problem(path, format!("larger than {MAX_TEXT} bytes"));
                self.incomplete = true;
            }
            Err(_) => {
                self.problem(path, "not text in UTF-8".to_owned());
                self.incomplete = true;
            }
        }
        Ok(())
    }

    /// Tells of a file or folder that somebody beside root, or the user that the daemon runs as,
    /// can change.
    fn trust(&mut self, path: &Path, metadata: &Metadata) {
        let facts = (metadata.uid(), metadata.gid(), metadata.mode());
        if let Some((message, hint)) = distrust(facts, geteuid().as_raw()) {
            let problem = Problem::error(message).with_hint(format!("{hint} {}", path.display()));
            self.problems
                .push(problem.in_file(&path.display().to_string()));
        }
    }

    fn problem(&mut self, path: &Path, message: String) {
        let problem = Problem::error(message).in_file(&path.display().to_string());
        self.problems.push(problem);
    }
}

/// Why a file or folder with this owner, group and mode is not to be believed, and the command
/// that mends it.
pub(crate) fn distrust(
    (uid, gid, mode): (u32, u32, u32),
    daemon: u32,
) -> Option<(String, &'static str)> {
    const OTHERS_WRITE: u32 = 0o002;
    const GROUP_WRITES: u32 = 0o020;
    if uid != 0 && uid != daemon {
        return Some((format!("owned by UID {uid} and not by root"), "chown root"));
    }
    if mode & OTHERS_WRITE != 0 {
        return Some(("writable by everybody".to_owned(), "chmod go-w"));
    }
    if mode & GROUP_WRITES != 0 && gid != 0 {
        return Some((format!("writable by group {gid}"), "chmod go-w"));
    }
    None
}

/// Opens for reading; a FIFO does not make it wait.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// The first UID of a person on this system.
pub(crate) fn uid_min() -> u32 {
    fs::read_to_string(LOGIN_DEFS)
        .ok()
        .and_then(|text| parse_uid_min(&text))
        .unwrap_or(DEFAULT_UID_MIN)
}

fn parse_uid_min(login_defs: &str) -> Option<u32> {
    login_defs.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("UID_MIN"))
            .then(|| words.next()?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine {
        cpu_thousandths: 8000,
        mem_bytes: 64 << 30,
        tasks: 32_768,
    };

    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use fairshare_core::policy::Subject;

    const GOOD: &str = "defaults: {cpu: 2, mem: 1G}\nmax: {cpu: 8, mem: 2G}\n";

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    fn refusal(path: &Path) -> String {
        read(&[path], &MACHINE).unwrap_err().to_string()
    }

    fn may_give_files_away() -> bool {
        geteuid().is_root()
    }

    #[test]
    fn uid_min_is_read_from_login_defs() {
        assert_eq!(
            parse_uid_min("# UID_MIN 5\nUID_MIN\t\t 500\nUID_MAX 60000\n"),
            Some(500)
        );
        assert_eq!(parse_uid_min("SYS_UID_MIN 101\n"), None);
        assert_eq!(parse_uid_min("UID_MIN\n"), None);
    }

    #[test]
    fn a_missing_file_is_named() {
        let text = refusal(Path::new("/nonexistent/policy.yaml"));
        assert!(
            text.starts_with("cannot read policy /nonexistent/policy.yaml: "),
            "{text}"
        );
    }

    #[test]
    fn a_wrong_file_is_told_problem_by_problem_with_carets() {
        let folder = folder();
        let text = "defaults: {cpu: 9, mem: 1G}\nmax: {cpu: 8, mem: 0.5G}\n";
        let path = write(&folder, "site.yaml", text);
        let name = path.display();
        assert_eq!(
            refusal(&path),
            format!(
                "policy {name} is wrong\n\
                 error: defaults.cpu: 9 is above max.cpu (8)\n \
                 --> {name}:1:17\n  \
                 |\n\
                 1 | defaults: {{cpu: 9, mem: 1G}}\n  \
                 |                 ^\n\n\
                 error: defaults.mem: 1G is above max.mem (512M)\n \
                 --> {name}:1:25\n  \
                 |\n\
                 1 | defaults: {{cpu: 9, mem: 1G}}\n  \
                 |                         ^^"
            )
        );
    }

    #[test]
    fn an_endless_file_is_refused() {
        let text = refusal(Path::new("/dev/zero"));
        assert!(text.contains("not a regular file"), "{text}");
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let folder = folder();
        for filler in ["x", "ä"] {
            let path = write(&folder, "a.yaml", &format!("# {}", filler.repeat(MAX_TEXT)));
            let text = refusal(&path);
            assert!(text.contains("error: larger than 1048576 bytes"), "{text}");
        }
    }

    #[test]
    fn a_fifo_does_not_make_the_daemon_wait() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let text = refusal(folder.path());
        assert!(text.contains("not a regular file"), "{text}");
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_names_without_hidden_and_other_files() {
        let folder = folder();
        write(&folder, "20-more.yaml", "defaults: {cpu: 3}\n");
        write(&folder, "10-base.yaml", GOOD);
        write(&folder, ".30-hidden.yaml", "defaults: {cpu: 4}\n");
        write(&folder, "40-backup.yaml~", "defaults: {cpu: 5}\n");
        write(&folder, "README", "not a policy");
        let loaded = read(&[folder.path()], &MACHINE).unwrap();
        let entitlement = loaded.policy.entitlement(&Subject::of_uid(1000));
        assert_eq!(
            entitlement.default.to_string(),
            "3 CPUs, 1G memory, 4096 tasks"
        );
        assert_eq!(loaded.sources.len(), 2);
    }

    #[test]
    fn a_file_whose_name_is_nearly_right_is_warned_of() {
        let folder = folder();
        write(&folder, "10.yaml", GOOD);
        write(&folder, "20-site.yml", "nonsense");
        let loaded = read(&[folder.path()], &MACHINE).unwrap();
        assert_eq!(loaded.sources.len(), 1);
        let text = loaded.warnings[0].text(Look::Plain);
        assert!(
            text.contains("20-site.yml") && text.contains("'.yaml'"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_folder_is_no_policy() {
        let folder = folder();
        write(&folder, "policy.yml", GOOD);
        let text = refusal(folder.path());
        assert!(text.contains("no file in it ends in '.yaml'"), "{text}");
    }

    #[test]
    fn a_folder_of_too_many_files_is_refused() {
        let folder = folder();
        for number in 0..=MAX_SOURCES {
            write(&folder, &format!("{number}.yaml"), "");
        }
        let text = refusal(folder.path());
        assert!(text.contains("more than 256 files"), "{text}");
    }

    #[test]
    fn problems_of_files_and_of_texts_are_told_together() {
        let folder = folder();
        let writable = write(&folder, "10-base.yaml", GOOD);
        fs::set_permissions(&writable, fs::Permissions::from_mode(0o666)).unwrap();
        write(&folder, "20-more.yaml", "speed: 3\n");
        let text = refusal(folder.path());
        for part in ["writable by everybody", "chmod go-w", "speed: unknown key"] {
            assert!(text.contains(part), "{part} not in\n{text}");
        }
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused() {
        let folder = folder();
        let path = folder.path().join("a.yaml");
        fs::write(&path, b"defaults: \xff\n").unwrap();
        assert!(refusal(&path).contains("not text in UTF-8"));
    }

    #[test]
    fn what_others_can_write_is_not_believed() {
        let (root, daemon, alice) = (0, 990, 1000);
        let judge = |uid, gid, mode| distrust((uid, gid, mode), daemon).map(|(why, _)| why);
        assert_eq!(judge(root, 0, 0o100_644), None);
        assert_eq!(judge(root, 0, 0o100_664), None);
        assert_eq!(judge(daemon, 5, 0o100_644), None);
        assert_eq!(judge(root, 5, 0o100_644), None);
        assert_eq!(judge(root, 5, 0o100_664).unwrap(), "writable by group 5");
        assert_eq!(judge(root, 0, 0o100_646).unwrap(), "writable by everybody");
        assert_eq!(judge(root, 0, 0o041_777).unwrap(), "writable by everybody");
        assert_eq!(
            judge(alice, 0, 0o100_600).unwrap(),
            "owned by UID 1000 and not by root"
        );
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let folder = folder();
        write(&folder, "a.yaml", GOOD);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(refusal(folder.path()).contains("writable by everybody"));
    }

    #[test]
    fn somebody_elses_file_is_refused() {
        if !may_give_files_away() {
            return;
        }
        let folder = folder();
        let path = write(&folder, "a.yaml", GOOD);
        chown(&path, Some(1000), None).unwrap();
        let text = refusal(folder.path());
        assert!(text.contains("owned by UID 1000 and not by root"), "{text}");
        assert!(text.contains("help: chown root"), "{text}");
    }

    #[test]
    fn a_link_counts_by_what_it_leads_to() {
        let (folder, elsewhere) = (folder(), folder());
        let target = write(&elsewhere, "target", GOOD);
        symlink(&target, folder.path().join("a.yaml")).unwrap();
        read(&[folder.path()], &MACHINE).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o646)).unwrap();
        assert!(refusal(folder.path()).contains("writable by everybody"));
    }
}
