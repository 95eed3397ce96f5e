//! What a site with groups, percentages and a reserve comes to.

use super::*;
use crate::Variables;
use crate::entitlement::{CpuWeight, DeviceBandwidth, IdleTerms};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_policy_without_names_needs_none_and_is_shared() {
    let policy = read(FIRST_VERSION);
    assert!(!policy.needs_names());
    let one = policy.entitlement(&Subject::of_uid(1000));
    let other = policy.entitlement(&Subject::of_uid(1001));
    assert!(Arc::ptr_eq(&one, &other));
    assert_eq!(one.min, one.default);
    assert_eq!(one.shaping.mem_high, DEFAULT_MEM_HIGH);
    assert_eq!(one.lease.default, None);
    assert_eq!(policy.enforce(), Enforce::On);
    assert!(!policy.show_holders());
}

#[test]
fn only_what_asks_for_names_needs_them() {
    for numbers in ["users: {1005: {priority: 1}}", "exempt: {users: [1005]}"] {
        assert!(!read_with(numbers).needs_names(), "{numbers}");
    }
    for names in [
        "users: {alice: {priority: 1}}",
        "groups: {1005: {priority: 1}}",
        "exempt: {users: [alice]}",
        "exempt: {groups: [4]}",
    ] {
        assert!(read_with(names).needs_names(), "{names}");
    }
    let administrators = read_with("administrators: {groups: [wheel]}");
    assert!(!administrators.needs_names());
    assert!(administrators.administrators().needs_names());
}

#[test]
fn variables_are_off_unless_set_and_a_list_replaces_a_list() {
    let policy = read_with(
        "environment: all\n\
         groups:\n  staff: {environment: [GOMAXPROCS]}\n  students: {environment: off}\n",
    );
    assert_eq!(member(&policy, &[]).environment, Variables::ALL);
    let staff = member(&policy, &["staff"]).environment;
    assert_eq!(staff.names().collect::<Vec<_>>(), ["GOMAXPROCS"]);
    assert_eq!(member(&policy, &["students"]).environment, Variables::NONE);
    assert_eq!(member(&read_with(""), &[]).environment, Variables::NONE);
}

#[test]
fn the_most_specific_wins_key_by_key() {
    let policy = read_with(
        "groups:\n  students: {defaults: {cpu: 1, mem: 4G}, max: {cpu: 4}}\n  \
         staff: {defaults: {cpu: 3}, priority: 5}\n\
         users:\n  alice: {max: {mem: 64G}}\n  1000: {max: {mem: 48G, tasks: 20000}}\n\
         group_order: [staff]\n",
    );
    let nobody = member(&policy, &[]);
    assert_eq!(nobody.default.to_string(), "2 CPUs, 8G memory, 4096 tasks");
    // UID 1000 is everybody's in these tests.
    assert_eq!(nobody.max.to_string(), "8 CPUs, 48G memory, 20000 tasks");
    let both = member(&policy, &["students", "staff"]);
    assert_eq!(both.default.to_string(), "3 CPUs, 4G memory, 4096 tasks");
    assert_eq!(both.max.cpu.to_string(), "4");
    assert_eq!(both.priority, 5);
    let alice = user(&policy, "alice", &["staff", "students"]);
    assert_eq!(alice.max.to_string(), "4 CPUs, 64G memory, 20000 tasks");
}

#[test]
fn groups_outside_the_order_come_after_it_in_the_order_of_their_text() {
    let groups = "groups:\n  a: {priority: 1}\n  b: {priority: 2}\n  c: {priority: 3}\n";
    let of = |policy: &Policy, names: &[&str]| member(policy, names).priority;
    let unordered = read_with(groups);
    assert_eq!(of(&unordered, &["c", "b", "a"]), 1);
    let ordered = read_with(&format!("{groups}group_order: [c]\n"));
    assert_eq!(of(&ordered, &["a", "b", "c"]), 3);
    assert_eq!(of(&ordered, &["b", "a"]), 1);
}

#[test]
fn a_number_is_an_id() {
    let policy = read_with("groups: {2000: {priority: 7}}\nusers: {1001: {priority: 9}}\n");
    assert_eq!(member(&policy, &["whatever"]).priority, 7);
    assert_eq!(policy.entitlement(&Subject::of_uid(1001)).priority, 9);
    assert_eq!(policy.entitlement(&Subject::of_uid(1002)).priority, 0);
}

#[test]
fn users_of_one_group_share_an_entitlement() {
    let policy = read_with("groups: {students: {priority: 7}}\n");
    let one = member(&policy, &["students"]);
    assert!(Arc::ptr_eq(&one, &member(&policy, &["other", "students"])));
}

#[test]
fn percentages_are_of_what_the_reserve_leaves() {
    let policy = read(
        "defaults: {cpu: 25%, mem: 10%, tasks: 12.5%, swap: 1%}\nmax: {cpu: unlimited, mem: 50%}\n\
         reserve: {cpu: 4, mem: 50%}\novercommit: {cpu: 2, mem: 0.5}\n",
    );
    let entitlement = policy.everyone();
    // 12 CPUs and 32 GiB are left.
    assert_eq!(
        entitlement.default.to_string(),
        "3 CPUs, 3276M memory, 4096 tasks"
    );
    assert_eq!(entitlement.max.cpu.to_string(), "16");
    assert_eq!(entitlement.max.mem.to_string(), "16G");
    assert_eq!(entitlement.swap.to_string(), "327M");
    let capacity = policy.capacity();
    assert_eq!(capacity.cpu_thousandths, 24_000);
    assert_eq!(capacity.mem_bytes, 16 << 30);

    let half = policy.with_machine(&Machine {
        cpu_thousandths: 8000,
        ..MACHINE
    });
    assert_eq!(half.everyone().default.cpu.to_string(), "1");
    assert_eq!(half.capacity().cpu_thousandths, 8000);
}

#[test]
fn a_machine_that_shrinks_below_the_policy_leaves_room_to_log_in() {
    let policy = read("defaults: {cpu: 10%, mem: 1%}\nmax: {cpu: 20%, mem: 2%}\nreserve: {cpu: 8}");
    let tiny = policy.with_machine(&Machine {
        cpu_thousandths: 1000,
        mem_bytes: 1 << 30,
        tasks: 100,
    });
    let entitlement = tiny.everyone();
    assert_eq!(entitlement.default.cpu.to_string(), "0.05");
    assert_eq!(entitlement.default.mem.to_string(), "64M");
    assert_eq!(entitlement.max.mem.to_string(), "64M");
}

#[test]
fn groups_that_cross_are_brought_within_the_maximum_and_it_is_told() {
    let policy = read_with(
        "groups:\n  small: {max: {cpu: 2}}\n  large: {defaults: {cpu: 6}}\n\
         group_order: [small, large]\n",
    );
    let groups = groups(&["large", "small"]);
    let subject = Subject {
        uid: 1,
        name: None,
        groups: &groups,
    };
    let entitlement = policy.entitlement(&subject);
    assert_eq!(entitlement.default.cpu.to_string(), "2");
    assert_eq!(entitlement.min.cpu.to_string(), "2");
    let explained = policy.explain(&subject);
    let cpu = explained
        .iter()
        .find(|one| one.key == "defaults.cpu")
        .unwrap();
    assert_eq!(cpu.value, "2");
    assert_eq!(
        cpu.note.as_deref(),
        Some("6 is brought to max.cpu, which is 2")
    );
    let winner = cpu.winner.as_ref().unwrap();
    assert_eq!(winner.path, "groups.large.defaults.cpu");
    assert_eq!(winner.place.to_string(), "10-base.yaml:5:27");
}

#[test]
fn later_files_win_in_single_keys_and_the_beaten_are_kept() {
    let policy = read_all(&[
        FIRST_VERSION,
        "max: {cpu: 12}\ngroup_order: [a, b]\nexempt: {users: [x]}\n\
         groups: {a: {max: {cpu: 10}}, b: {}}\n",
        "groups: {a: {max: {cpu: 11, mem: 40G}}}\nexempt: {users: [y]}\n",
    ]);
    let groups = groups(&["a"]);
    let subject = Subject {
        uid: 1000,
        name: None,
        groups: &groups,
    };
    let entitlement = policy.entitlement(&subject);
    assert_eq!(
        entitlement.max.to_string(),
        "11 CPUs, 40G memory, 16384 tasks"
    );
    let explained = policy.explain(&subject);
    let cpu = explained.iter().find(|one| one.key == "max.cpu").unwrap();
    let told: Vec<String> = cpu
        .winner
        .iter()
        .chain(&cpu.beaten)
        .map(|one| format!("{} {} {}", one.value, one.path, one.place))
        .collect();
    assert_eq!(
        told,
        [
            "11 groups.a.max.cpu 30-more.yaml:1:25",
            "10 groups.a.max.cpu 20-site.yaml:4:25",
            "12 max.cpu 20-site.yaml:1:12",
            "8 max.cpu 10-base.yaml:2:12",
        ]
    );
    let exempt = |name| Subject {
        name: Some(name),
        ..Subject::of_uid(1)
    };
    assert!(!policy.exempts(&exempt("x")), "lists are replaced whole");
    assert!(policy.exempts(&exempt("y")));
}

#[test]
fn the_sections_may_lie_in_different_files() {
    let policy = read_all(&[
        "defaults: {cpu: 1}\nmax: {mem: 2G}",
        "# nothing\n",
        "defaults: {mem: 1G}\nmax: {cpu: 2}",
    ]);
    assert_eq!(
        policy.everyone().max.to_string(),
        "2 CPUs, 2G memory, 16384 tasks"
    );
}

#[test]
fn what_is_built_in_has_no_winner() {
    let explained = read(FIRST_VERSION).explain(&Subject::of_uid(1000));
    let tasks = explained.iter().find(|one| one.key == "max.tasks").unwrap();
    assert_eq!((tasks.value.as_str(), &tasks.winner), ("16384", &None));
    let keys: Vec<&str> = explained.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(keys.len(), 20, "{keys:?}");
}

#[test]
fn everything_beside_the_figures_is_read() {
    let policy = read_with(
        "groups:\n  hpc:\n    defaults: {cpu_weight: 300, mem_high: 90%, mem_guarantee: 1G, \
         io_weight: 50, io: {/dev/vda: {read: 100M, write: 50M}, /dev/vdb: {write: unlimited}}}\n    \
         min: {cpu: 0.5, mem: 256M, tasks: 64}\n    lease: {default: 8h, longest: 7d}\n    \
         idle: {after: 2h}\n    budget: {cpu: 32, mem: 50%}\n\
         administrators: {groups: [hpc]}\nenforce: watch\nshow_holders: true\n\
         queue: {half_life: 1d, longest_wait: unlimited}\n",
    );
    let entitlement = member(&policy, &["hpc"]);
    assert_eq!(
        entitlement.min.to_string(),
        "0.5 CPUs, 256M memory, 64 tasks"
    );
    let shaping = &entitlement.shaping;
    assert_eq!(shaping.cpu_weight, CpuWeight::Fixed(300));
    assert_eq!((shaping.mem_high, shaping.io_weight), (Some(90), Some(50)));
    assert_eq!(shaping.mem_guarantee.unwrap().to_string(), "1G");
    let device = DeviceBandwidth {
        device: "/dev/vda".to_owned(),
        read: Some(100 << 20),
        write: Some(50 << 20),
    };
    assert_eq!(shaping.io_bandwidth, [device]);
    assert_eq!(entitlement.lease.default, Some(8 * HOUR));
    assert_eq!(entitlement.lease.longest, Some(7 * 24 * HOUR));
    let idle = IdleTerms {
        after: 2 * HOUR,
        notice: BUILT_IN_NOTICE,
    };
    assert_eq!(entitlement.idle, Some(idle));
    assert_eq!(entitlement.budgets, ["hpc"]);
    let budget = policy.budgets()["hpc"];
    assert_eq!(budget.cpu.unwrap().to_string(), "32");
    assert_eq!(budget.mem.unwrap().to_string(), "32G");
    assert_eq!(budget.tasks, None);
    assert_eq!(policy.enforce(), Enforce::Watch);
    assert!(policy.show_holders());
    let terms = QueueTerms {
        half_life: 24 * HOUR,
        longest_wait: None,
    };
    assert_eq!(policy.queue(), terms);
    let groups = groups(&["hpc"]);
    let subject = Subject {
        groups: &groups,
        ..Subject::of_uid(5)
    };
    assert!(policy.administrators().contains(&subject));
    assert!(!policy.administrators().contains(&Subject::of_uid(5)));
}

#[test]
fn history_is_kept_for_a_time_or_not_at_all() {
    assert_eq!(read_with("").history(), Some(HOUR * 24 * 366 * 3));
    let kept = read_with("history: {keep: 90d}\n").history();
    assert_eq!(kept, Some(HOUR * 24 * 90));
    assert_eq!(read_with("history: off\n").history(), None);
}

#[test]
fn strays_are_looked_for_and_adopted_by_unit() {
    assert_eq!(read_with("").strays(), &StrayTerms::default());
    let policy = read_with("strays: {look: 1m, adopt: [cron.service, 'docker-*.scope']}\n");
    assert_eq!(policy.strays().look, Some(HOUR / 60));
    assert!(policy.strays().adopts("cron.service"));
    assert!(!policy.strays().adopts("ssh.service"));
    assert_eq!(read_with("strays: {look: off}\n").strays().look, None);
    let many: Vec<String> = (0..=MAX_ADOPTED).map(|n| format!("a{n}.scope")).collect();
    let text = format!("strays: {{adopt: [{}]}}", many.join(", "));
    assert_eq!(problems_with(&text), ["strays.adopt: more than 64 units"]);
    assert_eq!(
        warnings_with("strays: {look: off, adopt: [cron.service]}"),
        ["strays.adopt: nothing is adopted where strays.look is off"]
    );
}

#[test]
fn a_lease_that_nobody_set_is_no_longer_than_the_longest() {
    let policy = read_with("lease: {longest: 7d}\nusers: {bob: {lease: {longest: 1h}}}\n");
    assert_eq!(policy.everyone().lease.default, Some(7 * 24 * HOUR));
    assert_eq!(user(&policy, "bob", &[]).lease.default, Some(HOUR));
    let free = read_with("lease: {default: 8h, longest: unlimited}\n");
    assert_eq!(free.everyone().lease.longest, None);
}

#[test]
fn a_group_can_take_back_what_everybody_has() {
    let policy = read(
        "defaults: {cpu: 1, mem: 1G, mem_high: 90%, cpu_weight: 50, mem_guarantee: 512M, \
         io: {/dev/vda: {read: 1M}}}\nmax: {cpu: 1, mem: 1G}\nidle: {after: 1h}\n\
         groups: {free: {idle: {after: unlimited}, defaults: {mem_high: unlimited, \
         cpu_weight: auto, mem_guarantee: 0, io: {/dev/vda: {read: unlimited}}}}}\n",
    );
    assert!(policy.everyone().idle.is_some());
    let free = member(&policy, &["free"]);
    assert_eq!(free.idle, None);
    assert_eq!(free.shaping, crate::Shaping::default());
}

#[test]
fn exempt_is_by_name_number_and_group() {
    let policy = read_with("exempt: {users: [backup, 1005], groups: [wheel, 4]}\n");
    let exempt = |uid, name, groups: &[Group]| policy.exempts(&Subject { uid, name, groups });
    assert!(exempt(1, Some("backup"), &[]));
    assert!(exempt(1005, Some("x"), &[]));
    assert!(exempt(1, None, &groups(&["a", "wheel"])));
    assert!(exempt(1, None, &[Group { gid: 4, name: None }]));
    assert!(!exempt(1, Some("wheel"), &groups(&["backup"])));
}

#[test]
fn a_diff_says_who_would_get_what_instead() {
    let (old, new) = (
        read_with("users: {alice: {max: {cpu: 4}}}\n"),
        read_with("exempt: {users: [alice]}\nlease: {longest: 1d}\n"),
    );
    let alice = Subject {
        name: Some("alice"),
        ..Subject::of_uid(1000)
    };
    let told = |subject| {
        let differences = old.diff(&new, subject);
        let text = differences
            .iter()
            .map(|one| format!("{}: {} -> {}", one.key, one.before, one.after));
        text.collect::<Vec<_>>()
    };
    assert_eq!(
        told(&alice),
        [
            "exempt: no -> yes",
            "max.cpu: 4 -> 8",
            "lease.default: unlimited -> 1d",
            "lease.longest: unlimited -> 1d",
        ]
    );
    assert_eq!(told(&Subject::of_uid(7)).len(), 2);
    assert!(old.diff(&old, &alice).is_empty());
}
