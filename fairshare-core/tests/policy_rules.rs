//! What holds for every policy and every subject.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use fairshare_core::policy::{Group, Look, Machine, Policy, Source, Subject, report};
use proptest::prelude::*;

fn read(texts: &[String], machine: &Machine) -> Option<Policy> {
    let source = |(number, text): (usize, &String)| Source {
        name: format!("{number}.yaml"),
        text: text.clone(),
    };
    let sources: Vec<Source> = texts.iter().enumerate().map(source).collect();
    match Policy::read(&sources, machine) {
        Ok((policy, _)) => Some(policy),
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(!report(&problems, Look::Plain).is_empty());
            None
        }
    }
}

fn machines() -> impl Strategy<Value = Machine> {
    (1_u64..300, 1_u64..2_000_000, 100_u64..4_194_304).prop_map(|(cpus, mib, tasks)| Machine {
        cpu_thousandths: cpus * 1000,
        mem_bytes: mib << 20,
        tasks,
    })
}

/// A figure of each resource, absolute, as a percentage or unlimited.
fn figures() -> impl Strategy<Value = String> {
    let of = |low: u64, high: u64| {
        prop_oneof![
            3 => (low..high).prop_map(|figure| figure.to_string()),
            3 => (1_u64..10_000).prop_map(|part| format!("{}.{:02}%", part / 100, part % 100)),
            1 => Just("unlimited".to_owned()),
        ]
    };
    (of(1, 64), of(64, 4096), of(32, 9000)).prop_map(|(cpu, mem, tasks)| {
        let mem = if mem.ends_with(['%', 'd']) {
            mem
        } else {
            format!("{mem}M")
        };
        format!("{{cpu: {cpu}, mem: {mem}, tasks: {tasks}}}")
    })
}

fn sections() -> impl Strategy<Value = String> {
    (figures(), figures(), figures()).prop_map(|(defaults, max, min)| {
        format!("{{defaults: {defaults}, max: {max}, min: {min}}}")
    })
}

/// A policy whose groups and users may cross in any way.
fn policies() -> impl Strategy<Value = String> {
    let groups = prop::collection::vec(sections(), 0..4);
    let order = prop::collection::vec(0_usize..4, 0..4);
    (sections(), groups, prop::option::of(sections()), order).prop_map(
        |(everybody, groups, user, order)| {
            let everybody = everybody.trim_matches(['{', '}']).to_owned() + "}";
            let mut text = format!("{{{everybody}");
            for (number, group) in groups.iter().enumerate() {
                let before = if number == 0 { ", groups: {" } else { ", " };
                text += &format!("{before}g{number}: {group}");
            }
            if !groups.is_empty() {
                text += "}";
            }
            if let Some(user) = user {
                text += &format!(", users: {{alice: {user}}}");
            }
            let order: Vec<String> = order.iter().map(|number| format!("g{number}")).collect();
            text + &format!(", group_order: [{}]}}", order.join(", "))
        },
    )
}

fn check_order(policy: &Policy, member_of: &[usize], is_alice: bool) -> Result<(), TestCaseError> {
    let group = |number: &usize| Group {
        gid: 2000,
        name: Some(format!("g{number}")),
    };
    let groups: Vec<Group> = member_of.iter().map(group).collect();
    let subject = Subject {
        uid: 1000,
        name: is_alice.then_some("alice"),
        groups: &groups,
    };
    let entitlement = policy.entitlement(&subject);
    let (min, default, max) = (entitlement.min, entitlement.default, entitlement.max);
    prop_assert!(min.cpu <= default.cpu && default.cpu <= max.cpu);
    prop_assert!(min.mem <= default.mem && default.mem <= max.mem);
    prop_assert!(min.tasks <= default.tasks && default.tasks <= max.tasks);
    prop_assert!(default.cpu.thousandths() >= 50 && default.mem.bytes() >= 64 << 20);
    // What is explained is what is given.
    for explained in policy.explain(&subject) {
        if explained.key == "max.cpu" {
            prop_assert_eq!(explained.value, max.cpu.to_string());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_minimum_is_below_the_default_and_that_below_the_maximum(
        text in policies(),
        machine in machines(),
        other in machines(),
        member_of in prop::collection::vec(0_usize..4, 0..4),
        is_alice: bool,
    ) {
        if let Some(policy) = read(&[text], &machine) {
            check_order(&policy, &member_of, is_alice)?;
            check_order(&policy.with_machine(&other), &member_of, is_alice)?;
        }
    }

    #[test]
    fn a_larger_percentage_is_never_less(
        machine in machines(),
        one in 1_u32..10_000,
        other in 1_u32..10_000,
    ) {
        let policy = |share: u32| {
            let share = format!("{}.{:02}%", share / 100, share % 100);
            let figures = format!("{{cpu: {share}, mem: {share}, tasks: {share}}}");
            read(&[format!("defaults: {figures}\nmax: {figures}\n")], &machine).unwrap()
        };
        let (less, more) = (policy(one.min(other)), policy(one.max(other)));
        let (less, more) = (less.everyone().default, more.everyone().default);
        prop_assert!(less.cpu <= more.cpu && less.mem <= more.mem && less.tasks <= more.tasks);
    }

    #[test]
    fn the_last_file_that_gives_a_key_wins(cpus in prop::collection::vec(2_u64..50, 1..6)) {
        let machine = Machine { cpu_thousandths: 64_000, mem_bytes: 64 << 30, tasks: 32_768 };
        let base = "defaults: {cpu: 1, mem: 1G}\nmax: {cpu: 1, mem: 1G}\n".to_owned();
        let later = cpus.iter().map(|cpus| format!("max: {{cpu: {cpus}}}\n"));
        let texts: Vec<String> = [base].into_iter().chain(later).collect();
        let policy = read(&texts, &machine).unwrap();
        let last = cpus.last().unwrap() * 1000;
        prop_assert_eq!(policy.everyone().max.cpu.thousandths(), last);
        let explained = policy.explain(&Subject::of_uid(1000));
        let max = explained.iter().find(|one| one.key == "max.cpu").unwrap();
        prop_assert_eq!(max.beaten.len(), cpus.len());
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let machine = Machine { cpu_thousandths: 1000, mem_bytes: 1 << 30, tasks: 100 };
        read(&[text], &machine);
    }

    #[test]
    fn any_text_of_yamls_own_characters_is_read_or_refused(
        text in r##"([a-c0-9%ä\r\n\t :,{}\[\]&*!|>'"#?-]|defaults|max|cpu|mem|groups|<<){0,60}"##,
    ) {
        let machine = Machine { cpu_thousandths: 1000, mem_bytes: 1 << 30, tasks: 100 };
        read(&[text], &machine);
    }
}
