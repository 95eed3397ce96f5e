//! Texts that are made to hurt.

use super::*;

/// All that is told of a text on its own.
fn told(text: &str) -> String {
    let problems = Policy::read(&sources(&[text]), &MACHINE).unwrap_err();
    assert!(problems.len() <= MAX_PROBLEMS + 1);
    report(&problems, Look::Plain)
}

#[test]
fn deep_nesting_is_refused() {
    let line = |depth| format!("{}a:\n", " ".repeat(depth));
    let block: Vec<String> = (0..1000).map(line).collect();
    for text in [
        "[".repeat(MAX_TEXT),
        "{a: ".repeat(MAX_TEXT / 4),
        "- ".repeat(MAX_TEXT / 2),
        "? ".repeat(MAX_TEXT / 2),
        block.concat(),
    ] {
        let told = told(&text);
        let refused = ["24 levels deep", "recursion limit exceeded"];
        assert!(refused.iter().any(|why| told.contains(why)), "{told}");
    }
}

#[test]
fn aliases_can_make_neither_many_values_nor_deep_ones() {
    let mut wide = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    let mut deep = String::from("a0: &a0 [x]\n");
    for level in 1..100 {
        let inner = vec![format!("*a{}", level - 1); 9].join(", ");
        wide = format!("{wide}a{level}: &a{level} [{inner}]\n");
        deep = format!("{deep}a{level}: &a{level} [*a{}]\n", level - 1);
    }
    let told_of_wide = told(&wide);
    assert!(
        told_of_wide.contains("aliases and values come to more than 250000 values"),
        "{told_of_wide}"
    );
    let told_of_deep = told(&deep);
    assert!(told_of_deep.contains("24 levels deep"), "{told_of_deep}");
    assert!(told("a: &a [*a]").contains("an alias inside of what it stands for"));
    assert!(told("a: *b").contains("not understood as YAML"));
}

#[test]
fn anchors_inside_of_anchors_do_not_multiply() {
    let open: Vec<String> = (0..20).map(|n| format!("&a{n} [")).collect();
    let open = open.concat();
    let text = format!("{open}{}{}", "x,".repeat(200_000), "]".repeat(20));
    let told = told(&text);
    assert!(told.contains("250000 values"), "{told}");
}

#[test]
fn a_text_that_many_aliases_repeat_is_kept_once() {
    let text = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(500_000),
        "*a,".repeat(100_000)
    );
    let told = told(&text);
    assert!(told.contains("b: unknown key"), "{}", &told[..500]);
}

#[test]
fn many_problems_are_counted_and_not_all_told() {
    let keys: Vec<String> = (0..50_000).map(|n| format!("key{n}: 1\n")).collect();
    let text = keys.concat();
    let told = told(&text);
    assert!(
        told.ends_with("error: 49802 more errors"),
        "{}",
        &told[told.len() - 200..]
    );
    let long_line = format!("{{{}}}", "x: 1, ".repeat(150_000));
    assert!(problems(&long_line).len() == MAX_PROBLEMS + 1);
}

#[test]
fn a_text_that_is_too_large_is_not_read() {
    let text = format!("{FIRST_VERSION}#{}", " ".repeat(MAX_TEXT));
    assert!(told(&text).contains("larger than 1048576 bytes"));
    let fits = format!(
        "{FIRST_VERSION}#{}",
        " ".repeat(MAX_TEXT - FIRST_VERSION.len() - 1)
    );
    read(&fits);
}

#[test]
fn too_many_files_are_not_read() {
    let sources = vec![sources(&[FIRST_VERSION]).remove(0); MAX_SOURCES + 1];
    assert!(Policy::read(&sources, &MACHINE).is_err());
    assert!(Policy::read(&sources[1..], &MACHINE).is_ok());
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    for (text, place) in [
        ("defaults:\n\tcpu: 1\n", ":2:2"),
        ("max: {cpu: 1\n", ":1"),
        ("a: \"x\n", ":1:4"),
        ("a: \0\n", ":1:4"),
        ("a: 1\n---\nb: 2\n", ":2:1"),
        ("a: @x\n", ":1:4"),
        ("? [a]\n: 1\n", ":1:3"),
    ] {
        let told = told(text);
        assert!(told.contains(&format!("10-base.yaml{place}")), "{told}");
        assert!(
            !told.contains("is missing") || text.starts_with('?'),
            "{told}"
        );
    }
}

#[test]
fn ways_to_write_a_good_policy_are_taken() {
    for text in [
        "\u{feff}defaults: {cpu: 2, mem: 8G}\nmax: {cpu: 8, mem: 32G}\n",
        "defaults: {cpu: 2, mem: 8G}\r\nmax:\r\n  cpu: 8\r\n  mem: 32G\r\n",
        "---\ndefaults:\t{cpu:\t2, mem: 8G}\nmax: {cpu: 8, mem: 32G}\n...\n",
        "%YAML 1.2\n---\n{defaults: {cpu: 2, mem: 8G}, max: {\"cpu\": 8, 'mem': '32G'}}",
        "defaults: &same {cpu: 2, mem: 8G}\nmax: {cpu: 8, mem: 32G}\nmin: *same\n",
        "defaults: {cpu: +2, mem: 8 GiB}\nmax: {cpu: 8.00, mem: \"32G\"}\n",
    ] {
        let entitlement = Arc::clone(&read(text).everyone);
        assert_eq!(
            entitlement.default.to_string(),
            "2 CPUs, 8G memory, 4096 tasks"
        );
        assert_eq!(
            entitlement.max.to_string(),
            "8 CPUs, 32G memory, 16384 tasks"
        );
    }
}
