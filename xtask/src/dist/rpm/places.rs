//! Where a file of the Debian packages is in the RPM: the one table by which the RPM is made of
//! the same tree, and by which the two are compared afterwards.

/// Folders that have another name on Fedora and RHEL, the longest first.
const RENAMED: [(&str, &str); 2] = [
    (
        "usr/share/zsh/vendor-completions/",
        "usr/share/zsh/site-functions/",
    ),
    // Units, where Debian 12 has them. Fedora's own name is the same folder.
    ("lib/systemd/system/", "usr/lib/systemd/system/"),
];

/// What means something on Debian and its relatives alone.
const DEBIAN_ONLY: [&str; 3] = [
    // fairshare-authselect is there instead.
    "usr/share/pam-configs/",
    // SELinux is there instead.
    "etc/apparmor.d/",
    "usr/share/lintian/",
];

/// What Debian asks each package to have among its documentation.
const DEBIAN_DOCUMENTS: [&str; 5] = [
    "copyright",
    "changelog.gz",
    "changelog.Debian.gz",
    "changelog.Debian",
    "NEWS.Debian.gz",
];

/// What the RPM has and the Debian packages have not: files, or folders with all in them.
pub(super) const RPM_ONLY: [&str; 6] = [
    "usr/lib/systemd/system-preset/80-fairshare.preset",
    "usr/sbin/fairshare-authselect",
    "usr/share/doc/fairshare/CHANGELOG.md",
    "usr/share/licenses/fairshare/",
    "usr/share/licenses/fairshare-exporter/",
    "usr/share/licenses/libfairshare/",
];

/// The place in the RPM of what is at `path` on Debian; `None` where it has none.
///
/// Both are without the leading slash. `libraries` is Debian's folder for this kind of machine.
pub(super) fn place(path: &str, libraries: &str) -> Option<String> {
    if DEBIAN_ONLY.iter().any(|folder| path.starts_with(folder)) {
        return None;
    }
    if let Some(document) = path.strip_prefix("usr/share/doc/") {
        let name = document.split_once('/').map_or("", |(_, name)| name);
        if DEBIAN_DOCUMENTS.contains(&name) {
            return None;
        }
    }
    if let Some(rest) = path
        .strip_prefix(libraries)
        .and_then(|rest| rest.strip_prefix('/'))
    {
        return Some(format!("usr/lib64/{rest}"));
    }
    for (debian, fedora) in RENAMED {
        if let Some(rest) = path.strip_prefix(debian) {
            return Some(format!("{fedora}{rest}"));
        }
    }
    let page = path.starts_with("usr/share/man/");
    // Both compress them; the tree that both are made of has not yet.
    let page = page.then(|| path.strip_suffix(".gz").unwrap_or(path));
    Some(page.map_or_else(|| path.to_owned(), |page| format!("{page}.gz")))
}

/// Whether only the RPM has it.
pub(super) fn is_rpm_only(path: &str) -> bool {
    RPM_ONLY
        .iter()
        .any(|only| path == *only || (only.ends_with('/') && path.starts_with(only)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

    #[test]
    fn each_kind_of_file_has_its_place() {
        for (path, expected) in [
            (
                "usr/lib/x86_64-linux-gnu/security/pam_fairshare.so",
                Some("usr/lib64/security/pam_fairshare.so"),
            ),
            (
                "lib/systemd/system/fairshared.socket",
                Some("usr/lib/systemd/system/fairshared.socket"),
            ),
            (
                "usr/lib/systemd/system/fairshared.socket",
                Some("usr/lib/systemd/system/fairshared.socket"),
            ),
            (
                "usr/share/zsh/vendor-completions/_fairshare",
                Some("usr/share/zsh/site-functions/_fairshare"),
            ),
            (
                "usr/share/man/man8/fairshared.8",
                Some("usr/share/man/man8/fairshared.8.gz"),
            ),
            (
                "usr/share/man/man8/fairshared.8.gz",
                Some("usr/share/man/man8/fairshared.8.gz"),
            ),
            ("usr/bin/fairshare", Some("usr/bin/fairshare")),
            ("usr/share/pam-configs/fairshare", None),
            ("usr/share/doc/libfairshare0/changelog.gz", None),
            (
                "usr/share/doc/fairshare/docs/policy.md",
                Some("usr/share/doc/fairshare/docs/policy.md"),
            ),
        ] {
            assert_eq!(place(path, LIBRARIES).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_folder_of_the_rpm_alone_counts_with_all_in_it() {
        assert!(is_rpm_only("usr/share/licenses/fairshare/LICENSE"));
        assert!(is_rpm_only("usr/sbin/fairshare-authselect"));
        assert!(!is_rpm_only("usr/sbin/fairshare-authselect2"));
    }
}
