//! The rules of policy, one by one.

use super::*;

mod hostile;
mod messages;
mod sites;

const FIRST_VERSION: &str = "defaults: {cpu: 2, mem: 8G}\nmax: {cpu: 8, mem: 32G}\n";

/// 16 CPUs, 64G, and the usual `pid_max`.
const MACHINE: Machine = Machine {
    cpu_thousandths: 16_000,
    mem_bytes: 64 << 30,
    tasks: 32_768,
};

fn sources(texts: &[&str]) -> Vec<Source> {
    let named = texts
        .iter()
        .zip(["10-base.yaml", "20-site.yaml", "30-more.yaml"]);
    let source = |(text, name): (&&str, &str)| Source {
        name: name.to_owned(),
        text: (*text).to_owned(),
    };
    named.map(source).collect()
}

fn read_all(texts: &[&str]) -> Policy {
    match Policy::read(&sources(texts), &MACHINE) {
        Ok((policy, _)) => policy,
        Err(problems) => panic!("{}", report(&problems, Look::Plain)),
    }
}

fn read(text: &str) -> Policy {
    read_all(&[text])
}

/// The file of the first version with more below it.
fn read_with(text: &str) -> Policy {
    read(&format!("{FIRST_VERSION}{text}"))
}

fn problems(text: &str) -> Vec<String> {
    Policy::read(&sources(&[text]), &MACHINE)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Errors of the file of the first version with more below it, each with its hint.
fn problems_with(text: &str) -> Vec<String> {
    let text = format!("{FIRST_VERSION}{text}");
    let problems = Policy::read(&sources(&[&text]), &MACHINE).unwrap_err();
    let told = |problem: &Problem| match &problem.hint {
        Some(hint) => format!("{problem} [{hint}]"),
        None => problem.to_string(),
    };
    problems.iter().map(told).collect()
}

fn warnings_with(text: &str) -> Vec<String> {
    let text = format!("{FIRST_VERSION}{text}");
    let (_, warnings) = Policy::read(&sources(&[&text]), &MACHINE).unwrap();
    warnings.iter().map(ToString::to_string).collect()
}

fn groups(names: &[&str]) -> Vec<Group> {
    let group = |(gid, name): (u32, &&str)| Group {
        gid,
        name: Some((*name).to_owned()),
    };
    (2000..).zip(names).map(group).collect()
}

/// What a member of these groups gets.
fn member(policy: &Policy, names: &[&str]) -> Arc<Entitlement> {
    user(policy, "zoe", names)
}

fn user(policy: &Policy, name: &str, names: &[&str]) -> Arc<Entitlement> {
    let groups = groups(names);
    policy.entitlement(&Subject {
        uid: 1000,
        name: Some(name),
        groups: &groups,
    })
}

#[test]
fn the_file_of_the_first_version_loads() {
    let entitlement = read(FIRST_VERSION).entitlement(&Subject::of_uid(1000));
    assert_eq!(
        entitlement.default.to_string(),
        "2 CPUs, 8G memory, 4096 tasks"
    );
    assert_eq!(
        entitlement.max.to_string(),
        "8 CPUs, 32G memory, 16384 tasks"
    );
    assert_eq!(entitlement.swap, MemorySize::ZERO);
}

#[test]
fn fractions_tasks_swap_and_plain_bytes_are_read() {
    let text = "defaults: {cpu: 0.5, mem: 1073741824, tasks: 200, swap: 1GiB}\n\
                max: {cpu: '1.5', mem: 2 GB, tasks: 300}\nslice: fairshare\n";
    let policy = read(text);
    let entitlement = policy.entitlement(&Subject::of_uid(1000));
    assert_eq!(
        entitlement.default.to_string(),
        "0.5 CPUs, 1G memory, 200 tasks"
    );
    assert_eq!(
        entitlement.max.to_string(),
        "1.5 CPUs, 2G memory, 300 tasks"
    );
    assert_eq!(entitlement.swap.to_string(), "1G");
    assert_eq!(policy.slice_scheme(), SliceScheme::Fairshare);
}

#[test]
fn a_task_count_that_is_not_written_gives_way_to_the_one_that_is() {
    let low_max = "defaults: {cpu: 1, mem: 1G}\nmax: {cpu: 1, mem: 1G, tasks: 100}";
    let entitlement = read(low_max).entitlement(&Subject::of_uid(1000));
    assert_eq!(entitlement.default.tasks.count(), 100);
    let high = "defaults: {cpu: 1, mem: 1G, tasks: 20000}\nmax: {cpu: 1, mem: 1G}";
    let entitlement = read(high).entitlement(&Subject::of_uid(1000));
    assert_eq!(entitlement.max.tasks.count(), 20_000);
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = "defaults: {cpu: -1, mem: 8Q, colour: red}\nmax: {cpu: 8, swap: 1G}\nspeed: 3\n";
    let found = problems(text).join("\n");
    for part in [
        "defaults.cpu: Invalid CPU count: -1",
        "defaults.mem: Invalid memory size format: 8Q",
        "defaults.colour: unknown key",
        "max.swap: unknown key",
        "max: 'mem' is missing",
        "speed: unknown key",
    ] {
        assert!(found.contains(part), "{part} not in\n{found}");
    }
}

#[test]
fn a_default_that_would_lock_everybody_out_is_refused() {
    let found = problems("defaults: {cpu: 0.01, mem: 1M, tasks: 1}\nmax: {cpu: 1, mem: 1G}");
    assert_eq!(
        found,
        [
            "defaults.cpu: too little to log in with (at least 0.05)",
            "defaults.mem: too little to log in with (at least 64M)",
            "defaults.tasks: too little to log in with (at least 32)",
        ]
    );
}

#[test]
fn a_default_above_the_maximum_is_refused() {
    let found = problems("defaults: {cpu: 9, mem: 64G}\nmax: {cpu: 8, mem: 32G}");
    assert_eq!(
        found,
        [
            "defaults.cpu: 9 is above max.cpu (8)",
            "defaults.mem: 64G is above max.mem (32G)"
        ]
    );
}

#[test]
fn a_key_written_twice_is_refused_with_its_place() {
    let found = problems("defaults: {cpu: 1, mem: 1G, cpu: 8}\nmax: {cpu: 8, mem: 32G}");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("duplicate") && found[0].contains("cpu"),
        "{found:?}"
    );
}

#[test]
fn what_is_no_policy_is_refused_with_a_reason() {
    for text in [
        "",
        "~",
        "[]",
        "5",
        "defaults: 5\nmax: 5",
        "defaults: {cpu: 2, mem: 8G}",
        "a: b: c",
    ] {
        assert!(!problems(text).is_empty(), "{text}");
    }
    let found = problems("defaults: {cpu: ~, mem: [8G]}\nmax: {cpu: 8, mem: true}").join("\n");
    assert!(
        found.contains("defaults.cpu: a number is expected, not nothing"),
        "{found}"
    );
    assert!(
        found.contains("defaults.mem: a size such as 8G is expected, not a list"),
        "{found}"
    );
}

#[test]
fn aliases_that_explode_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let inner = vec![format!("*a{}", level - 1); 9].join(", ");
        text = format!("{text}a{level}: &a{level} [{inner}]\n");
    }
    assert!(!problems(&text).is_empty());
}

#[test]
fn root_system_accounts_and_nobody_are_not_covered() {
    for uid in [0, 1, 999, 65_534, 65_535, u32::MAX] {
        assert!(!covers(uid, 1000), "{uid}");
    }
    for uid in [1000, 60_000, 100_000, 1_234_567_890] {
        assert!(covers(uid, 1000), "{uid}");
    }
    assert!(!covers(0, 0));
}
