//! What holds for every policy and every subject.

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

/// A figure of each resource, absolute in one of three tiers, as a percentage or unlimited. Those
/// of a lower tier are never above those of a higher, so that many policies are accepted; what
/// crosses is what percentages come to.
fn figures(tier: u64) -> impl Strategy<Value = String> {
    let of = move |step: u64| {
        let absolute = step * (tier + 1)..=step * (tier + 2);
        prop_oneof![
            3 => absolute.prop_map(|figure| figure.to_string()),
            3 => (1_u64..10_000).prop_map(|part| format!("{}.{:02}%", part / 100, part % 100)),
            1 => Just("unlimited".to_owned()),
        ]
    };
    (of(4), of(256), of(500)).prop_map(|(cpu, mem, tasks)| {
        let is_absolute = !mem.ends_with(['%', 'd']);
        let unit = if is_absolute { "M" } else { "" };
        format!("{{cpu: {cpu}, mem: {mem}{unit}, tasks: {tasks}}}")
    })
}

fn sections() -> impl Strategy<Value = String> {
    (figures(1), figures(2), figures(0)).prop_map(|(defaults, max, min)| {
        format!("{{defaults: {defaults}, max: {max}, min: {min}}}")
    })
}

/// A policy whose groups and users may cross in any way.
fn policies() -> impl Strategy<Value = String> {
    let groups = prop::collection::vec(sections(), 0..4);
    let order = prop::collection::vec(0_usize..4, 0..4);
    (sections(), groups, prop::option::of(sections()), order).prop_map(
        |(everybody, groups, user, order)| {
            let everybody = everybody.trim_matches(['{', '}']);
            let groups: Vec<String> = groups
                .iter()
                .enumerate()
                .map(|(number, group)| format!("g{number}: {group}"))
                .collect();
            let users = user.map_or(String::new(), |user| format!("alice: {user}"));
            let order: Vec<String> = order.iter().map(|number| format!("g{number}")).collect();
            format!(
                "{{{everybody}}}, groups: {{{}}}, users: {{{users}}}, group_order: [{}]}}",
                groups.join(", "),
                order.join(", ")
            )
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
        let policy = read(&[text], &machine).unwrap();
        check_order(&policy, &member_of, is_alice)?;
        check_order(&policy.with_machine(&other), &member_of, is_alice)?;
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
