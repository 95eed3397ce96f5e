//! The module's file: where libpam looks for it, for this machine, nobody else's to write, and such
//! that the dynamic linker takes it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use super::check::Check;
use super::program::{self, Ran};
use super::tree::Tree;
use super::{Facts, ROOT};

pub(crate) const NAME: &str = "pam_fairshare.so";
/// A module of libpam's own: its folder is where libpam looks.
const NEIGHBOUR: &str = "pam_unix.so";
/// Folders below which a distribution may have libpam's modules, each with its own name between.
const PARENTS: [&str; 3] = ["/usr/lib", "/lib", "/usr/local/lib"];
/// Those that are not below one of them.
const FOLDERS: [&str; 5] = [
    "/usr/lib64/security",
    "/lib64/security",
    "/usr/lib/security",
    "/lib/security",
    "/usr/local/lib/security",
];
/// Bits of a mode that let others than the owner write.
const OTHERS_WRITE: u32 = 0o022;
const REINSTALL: &str = "apt install --reinstall fairshare";
const REINSTALL_BY_DNF: &str = "dnf reinstall fairshare";

/// Where the module is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: String,
    /// libpam's own modules are in the same folder.
    in_place: bool,
    /// The folder where it should be, where that is known.
    right_folder: Option<String>,
}

/// Looks for the module, first where libpam looks.
pub(crate) fn find(tree: &Tree) -> Option<Found> {
    let folders = folders(tree);
    let right_folder = folders
        .iter()
        .find(|folder| tree.exists(&format!("{folder}/{NEIGHBOUR}")))
        .cloned();
    let holds = |folder: &&String| tree.exists(&format!("{folder}/{NAME}"));
    let folder = right_folder
        .iter()
        .find(holds)
        .or_else(|| folders.iter().find(holds))?;
    Some(Found {
        path: format!("{folder}/{NAME}"),
        in_place: tree.exists(&format!("{folder}/{NEIGHBOUR}")),
        right_folder,
    })
}

fn folders(tree: &Tree) -> Vec<String> {
    let below = PARENTS.iter().flat_map(|parent| {
        let names = tree.list(parent).into_iter();
        names.map(move |name| format!("{parent}/{name}/security"))
    });
    let fixed = FOLDERS.iter().map(|&folder| folder.to_owned());
    below
        .chain(fixed)
        .filter(|folder| tree.exists(folder))
        .collect()
}

/// Has the dynamic linker load the module into a program that does nothing. `None` where the file
/// is another's than root's: then nothing of it is run.
///
/// Each symbol is looked up, so that a module of a newer C library fails here and not at a login.
pub(crate) fn load(found: &Found, limit: Duration) -> Option<Result<Ran, String>> {
    let metadata = std::fs::metadata(&found.path).ok()?;
    is_only_for(&metadata, ROOT).then(|| {
        let environment = [("LD_PRELOAD", found.path.as_str()), ("LD_BIND_NOW", "1")];
        program::run("/bin/true", &[], &environment, limit)
    })
}

/// Whether nobody but this user can write a file.
fn is_only_for(metadata: &Metadata, owner: u32) -> bool {
    metadata.uid() == owner && metadata.mode() & OTHERS_WRITE == 0
}

/// How the package is put in place again: by dnf on a machine that has no apt.
pub(crate) fn reinstall(tree: &Tree) -> &'static str {
    if tree.exists("/usr/bin/dnf") && !tree.exists("/usr/bin/apt") {
        REINSTALL_BY_DNF
    } else {
        REINSTALL
    }
}

pub(crate) fn checks(facts: &Facts<'_>) -> Vec<Check> {
    vec![check(facts)]
}

fn check(facts: &Facts<'_>) -> Check {
    let Some(found) = find(facts.tree) else {
        return Check::failed(
            "module",
            format!("{NAME} is in no folder of PAM modules: nobody is limited at login"),
            reinstall(facts.tree),
        );
    };
    let path = &found.path;
    if let (false, Some(right)) = (found.in_place, &found.right_folder) {
        return Check::failed(
            "module",
            format!("{path} is where libpam does not look"),
            format!("mv {path} {right}/"),
        );
    }
    if let Some(metadata) = facts.tree.metadata(path)
        && !is_only_for(&metadata, facts.root)
    {
        return Check::failed(
            "module",
            format!("{path} can be changed by others than root, who would be in every login"),
            format!("chown root:root {path} && chmod 644 {path}"),
        );
    }
    let folder = path.strip_suffix(NAME).unwrap_or_default();
    let own = Machine::of(facts.tree, path);
    let others = Machine::of(facts.tree, &format!("{folder}{NEIGHBOUR}"));
    if own.is_none() {
        return Check::failed(
            "module",
            format!("{path} is no shared library"),
            reinstall(facts.tree),
        );
    }
    if others.is_some() && own != others {
        return Check::failed(
            "module",
            format!("{path} is for another kind of machine than libpam's own modules"),
            reinstall(facts.tree),
        );
    }
    match &facts.loading {
        None => Check::ok("module", path),
        Some(Err(why)) => Check::skipped("module", format!("{path}: {why}")),
        Some(Ok(ran)) if ran.status == Some(0) && ran.stderr.is_empty() => {
            Check::ok("module", format!("{path} loads"))
        }
        Some(Ok(ran)) => {
            let said = ran.stderr.lines().next().unwrap_or("it is damaged");
            Check::failed(
                "module",
                format!("{path} does not load: {said}"),
                reinstall(facts.tree),
            )
        }
    }
}

/// What an ELF file is for: the bytes behind its mark that say word length, byte order and
/// processor, `elf(5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Machine {
    class_and_order: [u8; 2],
    processor: [u8; 2],
}

impl Machine {
    /// `None` where the file is no shared library.
    fn of(tree: &Tree, path: &str) -> Option<Self> {
        const SHARED: [[u8; 2]; 2] = [[3, 0], [0, 3]];
        let bytes = tree.read_bytes(path).ok()?;
        let at = |from: usize| bytes.get(from..)?.first_chunk::<2>().copied();
        (bytes.starts_with(b"\x7fELF") && SHARED.contains(&at(16)?)).then_some(())?;
        Some(Self {
            class_and_order: at(4)?,
            processor: at(18)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::check::State;
    use super::super::testing::{Fake, MODULES, elf, found};
    use super::*;

    #[test]
    fn a_module_in_its_place_is_well() {
        let fake = Fake::healthy();
        found(&checks(&fake.facts()), "module", State::Ok, "loads", "");
    }

    #[test]
    fn each_fault_of_the_file_is_named() {
        let path = format!("{MODULES}/{NAME}");
        let fake = Fake::healthy();
        fake.remove(&path);
        let missing = checks(&fake.facts());
        found(
            &missing,
            "module",
            State::Failed,
            "no folder",
            "apt install",
        );
        fake.write("/usr/bin/dnf", "");
        let missing = checks(&fake.facts());
        found(
            &missing,
            "module",
            State::Failed,
            "no folder",
            REINSTALL_BY_DNF,
        );
        fake.remove("/usr/bin/dnf");

        fake.write_bytes(&format!("/usr/lib/security/{NAME}"), &elf(62));
        let elsewhere = checks(&fake.facts());
        let remedy = format!("mv /usr/lib/security/{NAME} {MODULES}/");
        found(
            &elsewhere,
            "module",
            State::Failed,
            "does not look",
            &remedy,
        );

        fake.write_bytes(&path, &elf(183));
        let foreign = checks(&fake.facts());
        found(&foreign, "module", State::Failed, "another kind", REINSTALL);

        fake.write(&path, "#!/bin/sh\n");
        let script = checks(&fake.facts());
        found(
            &script,
            "module",
            State::Failed,
            "no shared library",
            REINSTALL,
        );

        fake.write_bytes(&path, &elf(62));
        let place = fake.tree.root().join(path.trim_start_matches('/'));
        std::fs::set_permissions(&place, PermissionsExt::from_mode(0o666)).unwrap();
        let open = checks(&fake.facts());
        found(
            &open,
            "module",
            State::Failed,
            "others than root",
            "chmod 644",
        );
        std::fs::set_permissions(&place, PermissionsExt::from_mode(0o644)).unwrap();

        let mut facts = fake.facts();
        facts.loading = Some(Ok(Ran {
            status: Some(0),
            stdout: String::new(),
            stderr: "ERROR: version `GLIBC_2.99' not found\n".to_owned(),
        }));
        let newer = checks(&facts);
        found(&newer, "module", State::Failed, "GLIBC_2.99", REINSTALL);
    }
}
