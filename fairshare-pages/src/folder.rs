//! Files that were made, as they are in a folder.

use std::fs;
use std::path::Path;

/// A file that was made.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// What a person does about a fault.
const REMEDY: &str = "run 'cargo xtask pages'";

/// A sentence for each file that is not as it should be; `mark` as for [`left`].
pub(crate) fn compare(folder: &Path, files: &[File], mark: &str) -> Vec<String> {
    let differing = files.iter().filter_map(|file| {
        let path = folder.join(&file.name);
        match fs::read_to_string(&path) {
            Ok(text) if text == file.text => None,
            Ok(text) => Some(format!(
                "'{}' is not what the command line's definition says now, in line {}; {REMEDY}",
                path.display(),
                first_difference(&text, &file.text)
            )),
            Err(error) => Some(format!(
                "cannot read '{}': {error}; {REMEDY}",
                path.display()
            )),
        }
    });
    let gone = left(folder, files, mark).map(|name| {
        format!(
            "'{}' is of a command that is no more; {REMEDY}",
            folder.join(name).display()
        )
    });
    differing.chain(gone).collect()
}

/// Writes the files and removes those that are left; what could not be done is returned.
pub(crate) fn write(folder: &Path, files: &[File], mark: &str) -> Vec<String> {
    let told = |verb: &str, path: &Path, result: std::io::Result<()>| {
        let error = result.err()?;
        Some(format!("cannot {verb} '{}': {error}", path.display()))
    };
    let mut faults: Vec<String> = told("make", folder, fs::create_dir_all(folder))
        .into_iter()
        .collect();
    for file in files {
        let path = folder.join(&file.name);
        faults.extend(told("write", &path, fs::write(&path, &file.text)));
    }
    for name in left(folder, files, mark) {
        let path = folder.join(name);
        faults.extend(told("remove", &path, fs::remove_file(&path)));
    }
    faults
}

/// Files that were made once and are made no more: they begin with `mark`. None where it is empty.
fn left<'a>(
    folder: &Path,
    files: &'a [File],
    mark: &'a str,
) -> impl Iterator<Item = String> + use<'a> {
    let folder = folder.to_owned();
    let names = fs::read_dir(&folder).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(move |name| {
        !mark.is_empty()
            && files.iter().all(|file| file.name != *name)
            && fs::read_to_string(folder.join(name)).is_ok_and(|text| text.starts_with(mark))
    })
}

fn first_difference(old: &str, new: &str) -> usize {
    let same = old.lines().zip(new.lines()).take_while(|(a, b)| a == b);
    same.count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> File {
        File {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_was_written_compares_and_what_is_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let two = [file("a", "# made\nx\n"), file("b", "# made\ny\n")];
        assert!(compare(folder.path(), &two, "# made\n").len() == 2);
        assert!(write(folder.path(), &two, "# made\n").is_empty());
        assert!(compare(folder.path(), &two, "# made\n").is_empty());

        fs::write(folder.path().join("by hand"), "y\n").unwrap();
        let one = [file("a", "# made\nz\n")];
        let faults = compare(folder.path(), &one, "# made\n");
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("in line 2"), "{faults:?}");
        assert!(faults[1].contains("no more"), "{faults:?}");
        assert!(write(folder.path(), &one, "# made\n").is_empty());
        assert!(!folder.path().join("b").exists());
        assert!(folder.path().join("by hand").exists());
    }
}
