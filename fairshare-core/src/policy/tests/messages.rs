//! What an administrator reads, word for word.

use super::*;

fn text_of(text: &str) -> String {
    let problems = Policy::read(&sources(&[text]), &MACHINE).unwrap_err();
    report(&problems, Look::Plain)
}

#[test]
fn an_unknown_key_is_shown_with_its_line_a_caret_and_the_key_that_was_meant() {
    assert_eq!(
        text_of("default: {cpu: 2, mem: 8G}\nmax: {cpu: 8, mem: 32G}\n"),
        "\
error: default: unknown key
 --> 10-base.yaml:1:1
  |
1 | default: {cpu: 2, mem: 8G}
  | ^^^^^^^
  |
  = help: did you mean 'defaults'?

error: section 'defaults' is missing
--> 10-base.yaml
 = help: write for example defaults: {cpu: 2, mem: 8G}"
    );
}

#[test]
fn a_problem_in_the_second_file_names_it_and_carets_count_characters() {
    let texts = [FIRST_VERSION, "users:\n  zoë: {max: {mem: 1X}}\r\n"];
    let problems = Policy::read(&sources(&texts), &MACHINE).unwrap_err();
    assert_eq!(
        report(&problems, Look::Plain),
        "\
error: users.zoë.max.mem: Invalid memory size format: 1X
 --> 20-site.yaml:2:20
  |
2 |   zoë: {max: {mem: 1X}}
  |                    ^^
  |
  = help: write for example 8G or 512M; K, M, G and T are powers of 1024"
    );
}

#[test]
fn colours_are_there_only_on_request() {
    let problems = Policy::read(&sources(&["a: 1"]), &MACHINE).unwrap_err();
    assert!(!report(&problems, Look::Plain).contains('\u{1b}'));
    assert!(report(&problems, Look::Coloured).contains('\u{1b}'));
}

#[test]
fn control_characters_of_a_file_reach_no_terminal() {
    let text = "\"\\e[31mred\\u202e\": 1\n\"x\\ty\": 2\nusers: {\"\\ebell\": {}}\n";
    let mut sources = sources(&[text]);
    sources[0].name = "evil\u{1b}[0m\n.yaml".to_owned();
    let problems = Policy::read(&sources, &MACHINE).unwrap_err();
    let text = report(&problems, Look::Plain);
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(control), "{text:?}");
    assert!(!text.contains('\u{202e}'), "{text:?}");
    assert!(text.contains("evil\u{fffd}[0m\u{fffd}.yaml"), "{text}");
}

#[test]
fn of_a_long_line_only_what_is_around_the_problem_is_shown() {
    let text = format!(
        "{FIRST_VERSION}# \nusers: {{{} bob: {{max: {{cpu: x}}}}}}\n",
        " ".repeat(5000)
    );
    let text = text_of(&text);
    assert!(text.len() < 500, "{text}");
    assert!(text.contains("10-base.yaml:4:5027"), "{text}");
    assert!(text.contains("bob: {max: {cpu: x}}"), "{text}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of messages")]
fn each_wrong_value_is_told_with_what_to_write() {
    for (text, told) in [
        (
            "defualts: {}",
            "defualts: unknown key [did you mean 'defaults'?]",
        ),
        (
            "min: {swap: 1G}",
            "min.swap: unknown key ['swap' belongs into 'defaults']",
        ),
        (
            "users: {a: {budget: {cpu: 1}}}",
            "users.a.budget: unknown key [only a group has a budget]",
        ),
        (
            "users: {a: {max: {cpus: 1}}}",
            "users.a.max.cpus: unknown key [did you mean 'cpu'?]",
        ),
        (
            "users: {a: {xyzzy: 1}}",
            "users.a.xyzzy: unknown key [known here: defaults, max, min, lease, idle, priority, environment]",
        ),
        (
            "users: {a: {max: {cpu: 101%}}}",
            "users.a.max.cpu: 101% is more than all of it [a percentage is at most 100%]",
        ),
        (
            "users: {a: {max: {mem: x%}}}",
            "users.a.max.mem: 'x%' is no percentage [write a number from 0.01% to 100%, with at most two decimals]",
        ),
        (
            "min: {cpu: 0%}",
            "min.cpu: too little to log in with (at least 0.01%)",
        ),
        (
            "min: {mem: 1M}",
            "min.mem: too little to log in with (at least 64M)",
        ),
        ("min: {cpu: 3}", "min.cpu: 3 is above defaults.cpu (2)"),
        (
            "min: {tasks: 5000}",
            "min.tasks: 5000 is above defaults.tasks (4096)",
        ),
        (
            "reserve: {cpu: 16}",
            "reserve.cpu: 16 leaves less than 0.05 to users: the machine has 16",
        ),
        (
            "reserve: {mem: unlimited}",
            "reserve.mem: it would leave nothing to users [write an amount, or a percentage below 100%]",
        ),
        (
            "reserve: {tasks: 1}",
            "reserve.tasks: unknown key [known here: cpu, mem]",
        ),
        (
            "overcommit: {cpu: 101}",
            "overcommit.cpu: '101' is no factor [write a number from 0.01 to 100, with at most two decimals]",
        ),
        (
            "lease: {default: soon}",
            "lease.default: 'soon' is no time [write for example 90m, 8h or 7d, or unlimited]",
        ),
        (
            "lease: {longest: 500ms}",
            "lease.longest: '500ms' is not from 1s to 366d in whole seconds [write for example 90m, 8h or 7d, or unlimited]",
        ),
        (
            "lease: {default: 8d, longest: 7d}",
            "lease.default: 8d is above lease.longest (7d)",
        ),
        (
            "lease: {default: unlimited, longest: 7d}",
            "lease.default: unlimited is above lease.longest (7d)",
        ),
        (
            "idle: {after: 1m, notice: 2m}",
            "idle.notice: 2m is above idle.after (1m)",
        ),
        (
            "environment: [OMP_THREADS]",
            "environment: no variable 'OMP_THREADS' [did you mean 'OMP_NUM_THREADS'?]",
        ),
        (
            "users: {a: {environment: [PATH]}}",
            "users.a.environment: no variable 'PATH' [known are: BLIS_NUM_THREADS, \
             CARGO_BUILD_JOBS, CMAKE_BUILD_PARALLEL_LEVEL, GOMAXPROCS, JULIA_NUM_THREADS, \
             MAKEFLAGS, MKL_NUM_THREADS, NUMBA_NUM_THREADS, NUMEXPR_NUM_THREADS, \
             OMP_NUM_THREADS, OPENBLAS_NUM_THREADS, RAYON_NUM_THREADS]",
        ),
        (
            "environment: on",
            "environment: 'on' is neither all nor off nor a list [write all, off, or names in \
             brackets: [OMP_NUM_THREADS, MAKEFLAGS]]",
        ),
        (
            "environment: {OMP_NUM_THREADS: 4}",
            "environment: a list is expected, not a mapping [write all, off, or names in \
             brackets: [OMP_NUM_THREADS, MAKEFLAGS]]",
        ),
        (
            "priority: 1001",
            "priority: '1001' is no priority [write a whole number from -1000 to 1000; a higher one comes first]",
        ),
        (
            "users: {a: {defaults: {cpu_weight: 0}}}",
            "users.a.defaults.cpu_weight: '0' is no weight [write a whole number from 1 to 10000, or auto to follow the allocation]",
        ),
        (
            "users: {a: {defaults: {io_weight: auto}}}",
            "users.a.defaults.io_weight: 'auto' is no weight [write a whole number from 1 to 10000; the kernel's own is 100]",
        ),
        (
            "users: {a: {defaults: {mem_high: 100%}}}",
            "users.a.defaults.mem_high: '100%' is no part of the memory limit [write a whole percentage of the user's own limit, 1% to 99%, or unlimited]",
        ),
        (
            "users: {a: {defaults: {mem_guarantee: 9G}}}",
            "users.a.defaults.mem_guarantee: 9G is above defaults.mem (8G)",
        ),
        (
            "users: {a: {defaults: {io: {vda: {read: 1M}}}}}",
            "users.a.defaults.io.vda: 'vda' is no block device [write the device's node, for example /dev/vda]",
        ),
        (
            "users: {a: {defaults: {io: {/dev/vda: {read: 0}}}}}",
            "users.a.defaults.io./dev/vda.read: nothing could be read or written [write at least 1]",
        ),
        (
            "users: {a: {defaults: {io: {/dev/vda: {reed: 1}}}}}",
            "users.a.defaults.io./dev/vda.reed: unknown key [did you mean 'read'?]",
        ),
        (
            "group_order: students",
            "group_order: a list is expected, not a text [write the names in brackets: [one, other]]",
        ),
        (
            "users: {'a/b': {}}",
            "users.a/b: 'a/b' is no user [write the user's name or its number]",
        ),
        (
            "users: {4294967295: {}}",
            "users.4294967295: '4294967295' is no user [write the user's name or its number]",
        ),
        (
            "exempt: {people: [a]}",
            "exempt.people: unknown key [known here: users, groups]",
        ),
        ("enforce: off", "enforce: write 'on' or 'watch'"),
        ("show_holders: yes", "show_holders: write 'true' or 'false'"),
        (
            "queue: {half_life: unlimited}",
            "queue.half_life: 'unlimited' is no time [write for example 90m, 8h or 7d]",
        ),
        ("slice: user", "slice: write 'auto' or 'fairshare'"),
        (
            "history: {keep: 59m}",
            "history.keep: '59m' is less than 1h [write a time from 1h to 366d, for example 90d]",
        ),
        (
            "history: {keep: forever}",
            "history.keep: 'forever' is no time [write a time from 1h to 366d, for example 90d]",
        ),
        (
            "history: {rows: 5}",
            "history.rows: unknown key [known here: keep]",
        ),
        (
            "strays: {look: 5s}",
            "strays.look: '5s' is less than 10s [write a time from 10s on, for example 5m, or off]",
        ),
        (
            "strays: {look: never}",
            "strays.look: 'never' is no time [write a time from 10s on, for example 5m, or off]",
        ),
        (
            "strays: {adopt: cron.service}",
            "strays.adopt: a list is expected, not a text \
             [write the units in brackets: [cron.service]]",
        ),
        (
            "strays: {adopt: [cron]}",
            "strays.adopt: 'cron' is no unit \
             [write a service or a scope, for example cron.service]",
        ),
        (
            "strays: {adopt: ['*.service']}",
            "strays.adopt: '*.service' does not say which units \
             [write a service or a scope, for example cron.service]",
        ),
        (
            "strays: {adopt: [user@1000.service]}",
            "strays.adopt: 'user@1000.service' is a user's service manager \
             [it stays where it is: systemd loses services that are moved away from it]",
        ),
        (
            "strays: {find: 5m}",
            "strays.find: unknown key [known here: look, adopt]",
        ),
        (
            "users: {a: 5}",
            "users.a: not a mapping: write sections such as max: {cpu: 4} below it",
        ),
        (
            "users: {a: {max: {cpu: 1}}}",
            "users.a.max.cpu: 1 is below defaults.cpu (2)",
        ),
        (
            "groups: {a: {defaults: {mem: 33G}}}",
            "groups.a.defaults.mem: 33G is above max.mem (32G)",
        ),
        (
            "groups: {a: {<<: {}}}",
            "groups.a.<<: unknown key [merge keys are not taken; an alias for the whole section is]",
        ),
        (
            "users: {a: {max: {cpu: 3, cpu: 4}}}",
            "users.a.max.cpu: duplicate key 'cpu' (first in line 3)",
        ),
        (
            "users: {a: {max: {cpu: !!int 3}}}",
            "users.a.max.cpu: tags are not taken in a policy [write the value without the tag]",
        ),
    ] {
        assert_eq!(problems_with(text), [told], "{text}");
    }
}

#[test]
fn what_is_odd_but_can_be_put_in_force_is_a_warning() {
    for (text, told) in [
        (
            "groups: {students: {}}\ngroup_order: [studnets]",
            "group_order: 'studnets' has no section in 'groups', ignoring it",
        ),
        (
            "users: {a: {max: {cpu: 10%}}}",
            "users.a.max.cpu: 10%, 1.6 is below defaults.cpu (2)",
        ),
        (
            "users: {a: {defaults: {cpu: 75%}}}",
            "users.a.defaults.cpu: 75% (12) is above max.cpu (8)",
        ),
        (
            "users: {a: {min: {mem: 0.01%}}}",
            "users.a.min.mem: 0.01% (6M) is too little to log in with on this machine",
        ),
    ] {
        assert_eq!(warnings_with(text), [told], "{text}");
    }
}

#[test]
fn everybodys_contradiction_is_told_once_and_not_for_each_user() {
    let text = "defaults: {cpu: 9, mem: 1G}\nmax: {cpu: 8, mem: 1G}\nusers: {a: {priority: 1}}";
    assert_eq!(problems(text), ["defaults.cpu: 9 is above max.cpu (8)"]);
}

#[test]
fn a_group_that_does_not_exist_is_a_warning_where_it_is_named_first() {
    let text = format!(
        "{FIRST_VERSION}exempt: {{groups: [wheel, nowhere]}}\n\
         groups: {{nowhere: {{}}, staff: {{}}, 1005: {{}}}}\n"
    );
    let sources = sources(&[&text]);
    let (policy, warnings) = Policy::read(&sources, &MACHINE).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let named: Vec<&str> = policy.named_groups().into_iter().collect();
    assert_eq!(named, ["nowhere", "staff", "wheel"]);
    let missing = ["nowhere".to_owned(), "unheard of".to_owned()];
    assert_eq!(
        report(
            &policy.missing_groups(&sources, &missing.into()),
            Look::Plain
        ),
        "\
warning: there is no group 'nowhere'
 --> 10-base.yaml:3:26
  |
3 | exempt: {groups: [wheel, nowhere]}
  |                          ^^^^^^^
  |
  = help: what is said for it holds for nobody until there is one"
    );
}
