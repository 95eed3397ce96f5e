use super::*;

/// Packages that are as the tables want them.
fn sound() -> BTreeMap<String, Content> {
    let mut packages: BTreeMap<String, Content> = BTreeMap::new();
    for (name, path, mode, flags) in EXPECTED {
        let entry = (mode.to_owned(), "root:root".to_owned(), flags.to_owned());
        let files = &mut packages.entry(name.to_owned()).or_default().files;
        files.insert(path.to_owned(), entry);
    }
    for (name, need) in NEEDED {
        let needs = &mut packages.entry(name.to_owned()).or_default().needs;
        needs.extend([need, "\n"]);
    }
    for (name, provided) in PROVIDED {
        let provides = &mut packages.entry(name.to_owned()).or_default().provides;
        provides.extend([provided, "\n"]);
    }
    for (name, kind, words) in SCRIPTS {
        let scripts = &mut packages.entry(name.to_owned()).or_default().scripts;
        scripts.entry(kind).or_default().push_str(words);
    }
    packages
}

fn found(change: impl FnOnce(&mut Content)) -> Vec<String> {
    let mut packages = sound();
    change(packages.get_mut("fairshare").unwrap());
    faults(&packages)
}

fn set<'a>(content: &'a mut Content, path: &str) -> &'a mut (String, String, String) {
    content.files.get_mut(path).unwrap()
}

#[test]
fn packages_as_they_should_be_pass() {
    assert_eq!(faults(&sound()), Vec::<String>::new());
}

#[test]
fn a_policy_that_an_upgrade_would_overwrite_is_found() {
    let path = "/etc/fairshare/policy.d/default.yaml";
    assert_eq!(
        found(|content| set(content, path).2.clear()),
        [format!(
            "fairshare: '{path}' has mode 100644 and flags '', not 100644 and 'cn'"
        )]
    );
}

#[test]
fn a_file_of_the_builders_is_found() {
    let path = "/usr/bin/fairshare";
    assert_eq!(
        found(|content| set(content, path).1 = "builder:root".to_owned()),
        ["fairshare: '/usr/bin/fairshare' belongs to builder:root"]
    );
}

#[test]
fn a_file_that_others_may_write_or_run_as_root_is_found() {
    let more = |mode: &str| {
        let entry = (mode.to_owned(), "root:root".to_owned(), String::new());
        found(|content| {
            content.files.insert("/usr/share/more".to_owned(), entry);
        })
    };
    assert_eq!(
        more("100664"),
        ["fairshare: '/usr/share/more' has mode 100664"]
    );
    assert_eq!(
        more("104755"),
        ["fairshare: '/usr/share/more' has mode 104755"]
    );
}

#[test]
fn a_newer_glibc_is_found() {
    assert_eq!(
        found(|content| content.needs.push_str("libc.so.6(GLIBC_2.38)(64bit)\n")),
        ["fairshare needs 'libc.so.6(GLIBC_2.38)(64bit)'"]
    );
}

#[test]
fn a_script_that_edits_pams_files_is_found() {
    let found = found(|content| {
        let script = content.scripts.get_mut("POSTIN").unwrap();
        script.push_str("\nsed -i /etc/pam.d/sshd");
    });
    assert_eq!(
        found,
        [
            "fairshare: POSTIN has '/etc/pam.d' in it",
            "fairshare: POSTIN has 'sed ' in it"
        ]
    );
}

#[test]
fn a_script_that_was_lost_is_found() {
    assert_eq!(
        found(|content| {
            content.scripts.remove("PREUN");
        }),
        [
            "fairshare: PREUN does not have 'fairshare-authselect disable' in it",
            "fairshare: PREUN does not have '/usr/libexec/fairshare/lift-limits' in it",
        ]
    );
}

#[test]
fn what_one_kind_of_package_has_alone_is_found() {
    let set = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    let rpm = set(&[
        "usr/bin/fairshare",
        "usr/bin/new",
        "usr/sbin/fairshare-authselect",
    ]);
    let debian = set(&[
        "usr/bin/fairshare",
        "usr/lib/x/security/pam_fairshare.so",
        "usr/share/pam-configs/fairshare",
        "usr/share/doc/fairshare/copyright",
    ]);
    assert_eq!(
        differences("fairshare", &rpm, &debian, "usr/lib/x"),
        [
            "fairshare: '/usr/lib64/security/pam_fairshare.so' is in the Debian package alone",
            "fairshare: '/usr/bin/new' is in the RPM alone",
        ]
    );
}

#[test]
fn half_a_script_is_found() {
    assert!(parses("if true; then echo; fi").is_ok());
    assert!(parses("if true; then echo").is_err());
}
