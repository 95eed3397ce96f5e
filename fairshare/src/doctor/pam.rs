//! What libpam does for a service, as `pam.d(5)` says: files, and the files that they include.

use super::tree::Tree;

/// Where stacks are; an earlier folder's file hides a later one's.
const FOLDERS: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"];
/// How deep files may include each other; libpam has 16.
const MAX_DEPTH: usize = 16;
/// How many lines of a stack are looked at.
const MAX_ENTRIES: usize = 1024;

/// A line that loads a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `auth`, `account`, `password` or `session`.
    pub(crate) kind: String,
    pub(crate) control: String,
    /// As it is written: a name, or a path.
    pub(crate) module: String,
    /// `file:line`.
    pub(crate) place: Place,
}

/// Where a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: usize,
}

impl Entry {
    /// Whether it loads a module of this name.
    pub(crate) fn loads(&self, name: &str) -> bool {
        self.module.rsplit('/').next() == Some(name)
    }

    /// Whether nothing behind it is run where it succeeds.
    pub(crate) fn ends_the_stack(&self) -> bool {
        self.control == "sufficient" || self.control.contains("success=done")
    }
}

/// The file of a service.
pub(crate) fn file_of(tree: &Tree, service: &str) -> Option<String> {
    let files = FOLDERS.iter().map(|folder| format!("{folder}/{service}"));
    files.into_iter().find(|file| tree.exists(file))
}

/// The names of all stacks.
pub(crate) fn services(tree: &Tree) -> Vec<String> {
    let mut names: Vec<String> = FOLDERS
        .iter()
        .flat_map(|folder| tree.list(folder))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Every line of a service's stacks in the order in which they are run; `None` where there is no
/// such file.
pub(crate) fn stack(tree: &Tree, service: &str) -> Option<Vec<Entry>> {
    let file = file_of(tree, service)?;
    let mut entries = Vec::new();
    expand(tree, &file, None, 0, &mut entries);
    Some(entries)
}

/// Adds the lines of a file: of one kind, or of all.
fn expand(tree: &Tree, file: &str, kind: Option<&str>, depth: usize, into: &mut Vec<Entry>) {
    if depth >= MAX_DEPTH {
        return;
    }
    let text = tree.text(file);
    for (number, line) in logical_lines(&text) {
        if into.len() >= MAX_ENTRIES {
            return;
        }
        let Some((first, rest)) = word(&line) else {
            continue;
        };
        if first == "@include" {
            include(tree, rest.trim(), kind, depth, into);
            continue;
        }
        let own = first.trim_start_matches('-').to_lowercase();
        if kind.is_some_and(|kind| kind != own) {
            continue;
        }
        let Some((control, rest)) = word(rest) else {
            continue;
        };
        let Some((module, _)) = word(rest) else {
            continue;
        };
        if matches!(control, "include" | "substack") {
            include(tree, module, Some(&own), depth, into);
            continue;
        }
        into.push(Entry {
            kind: own,
            control: control.to_lowercase(),
            module: module.to_owned(),
            place: Place {
                file: file.to_owned(),
                line: number,
            },
        });
    }
}

fn include(tree: &Tree, name: &str, kind: Option<&str>, depth: usize, into: &mut Vec<Entry>) {
    let file = if name.starts_with('/') {
        Some(name.to_owned())
    } else {
        file_of(tree, name)
    };
    if let Some(file) = file {
        expand(tree, &file, kind, depth + 1, into);
    }
}

/// Lines with the number of their first one; a `\` at the end joins the next, and a `#` begins a
/// comment.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        let (line, goes_on) = match line.trim_end().strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some((_, last)) if open => {
                last.push(' ');
                last.push_str(line);
            }
            _ => lines.push((number, line.to_owned())),
        }
        open = goes_on;
    }
    lines
}

/// The first word, where a part in brackets is one, and what is behind it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    if text.is_empty() {
        return None;
    }
    let end = if text.starts_with('[') {
        text.find(']').map(|end| end + 1)
    } else {
        text.find(char::is_whitespace)
    };
    Some(text.split_at(end.unwrap_or(text.len())))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fake;
    use super::*;

    fn modules(entries: &[Entry]) -> Vec<String> {
        let session = entries.iter().filter(|entry| entry.kind == "session");
        session.map(|entry| entry.module.clone()).collect()
    }

    #[test]
    fn includes_are_followed_in_their_order_and_for_their_kind() {
        let fake = Fake::empty();
        fake.write(
            "/etc/pam.d/one",
            "# session optional pam_comment.so\n\
             @include all\n\
             session [success=1 default=ignore] pam_b.so a \\\n  b # c\n\
             session include some\n\
             -Session optional /lib/security/pam_d.so\n\
             @include nothing\n",
        );
        fake.write(
            "/etc/pam.d/all",
            "auth required pam_auth.so\nsession required pam_a.so\n",
        );
        fake.write(
            "/usr/lib/pam.d/some",
            "session optional pam_c.so\nauth required pam_auth.so\nsession substack more\n",
        );
        fake.write("/usr/lib/pam.d/all", "session required pam_hidden.so\n");
        fake.write("/etc/pam.d/more", "session required pam_more.so\n");
        let entries = stack(&fake.tree, "one").unwrap();
        assert_eq!(
            modules(&entries),
            [
                "pam_a.so",
                "pam_b.so",
                "pam_c.so",
                "pam_more.so",
                "/lib/security/pam_d.so"
            ]
        );
        let auth = entries.iter().filter(|entry| entry.kind == "auth").count();
        assert_eq!(auth, 1, "an include of a kind brings that kind");
        let bracketed = &entries[2];
        assert_eq!(bracketed.control, "[success=1 default=ignore]");
        assert_eq!(bracketed.place.line, 3);
        assert!(entries.last().unwrap().loads("pam_d.so"));
        assert_eq!(stack(&fake.tree, "none"), None);
        assert_eq!(services(&fake.tree), ["all", "more", "one", "some"]);
    }

    #[test]
    fn a_file_that_includes_itself_comes_to_an_end() {
        let fake = Fake::empty();
        fake.write(
            "/etc/pam.d/round",
            "session required pam_a.so\n@include round\n@include round\n",
        );
        let entries = stack(&fake.tree, "round").unwrap();
        assert!(entries.len() <= MAX_ENTRIES, "{}", entries.len());
    }
}
