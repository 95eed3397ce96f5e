//! The documentation points at what is there: files, headings, and the tests that SECURITY.md
//! names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::checkout;
use crate::problem::{Problem, Result};
use crate::program;

/// The page whose claims name tests.
const CLAIMS: &str = "SECURITY.md";

/// The least number of tests that it names; fewer mean that they are not found any more.
const CLAIMS_LEAST: usize = 30;

/// The contents of the book under `docs`, as mdbook reads them.
const CONTENTS: &str = "docs/SUMMARY.md";

/// Fails when a relative link leads nowhere, a page of the book is not in its contents, or a test
/// that is named is not there.
pub(crate) fn check() -> Result<()> {
    let top = program::workspace();
    let mut pages = checkout::files()?;
    pages.retain(|name| Path::new(name).extension().is_some_and(|kind| kind == "md"));
    let mut found = Vec::new();
    for name in &pages {
        let path = top.join(name);
        let text = read(&path)?;
        for link in links(&text) {
            if let Some(fault) = follow(&path, &text, link)? {
                found.push(format!("{name}: '{link}': {fault}"));
            }
        }
    }
    if pages.is_empty() {
        return Err(Problem::new("there is no page of the documentation"));
    }
    let contents = read(&top.join(CONTENTS))?;
    for page in missing(&contents, pages.iter().map(String::as_str)) {
        let text = read(&top.join("docs").join(page))?;
        let title = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_matches(['#', ' ']);
        found.push(format!("{CONTENTS}: add '- [{title}]({page})'"));
    }
    let claims = read(&top.join(CLAIMS))?;
    let mut named = 0;
    for (file, test) in tests(&claims) {
        named += 1;
        let there = fs::read_to_string(top.join(file)).is_ok_and(|text| defines(&text, test));
        if !there {
            found.push(format!("{CLAIMS}: there is no test '{file}::{test}'"));
        }
    }
    if named < CLAIMS_LEAST {
        found.push(format!("{CLAIMS}: names {named} tests"));
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(format!(
            "the documentation points at what is not there:\n  {}",
            found.join("\n  ")
        )))
    }
}

/// The pages of the book that its contents do not have.
fn missing<'a>(
    contents: &'a str,
    pages: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    let listed: BTreeSet<&str> = links(contents).into_iter().collect();
    pages
        .filter_map(|page| page.strip_prefix("docs/"))
        .filter(move |page| *page != "SUMMARY.md" && !listed.contains(page))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Problem::io("read", path))
}

/// What is wrong with a link of this page; `None` for a good one and one out of the checkout.
fn follow(page: &Path, text: &str, link: &str) -> Result<Option<&'static str>> {
    if link.contains("://") || link.starts_with("mailto:") {
        return Ok(None);
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target: PathBuf = page.parent().unwrap_or(page).join(file);
    if !file.is_empty() && !target.exists() {
        return Ok(Some("there is no such file"));
    }
    if heading.is_empty() {
        return Ok(None);
    }
    let there = if file.is_empty() {
        anchors(text).contains(heading)
    } else {
        anchors(&read(&target)?).contains(heading)
    };
    Ok((!there).then_some("there is no such heading"))
}

/// The lines of a page without its blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut within = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        within ^= fence;
        !within && !fence
    })
}

/// The targets of a page's links, in its prose.
fn links(text: &str) -> Vec<&str> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .collect()
}

/// The anchors of a page's headings, as code hosts and mdbook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
                .map(|letter| if letter == ' ' { '-' } else { letter })
                .collect()
        })
        .collect()
}

/// The tests that a page names as `file.rs::test`.
fn tests(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|word| {
            word.split_once(".rs::")
                .map(|(file, test)| (word, file, test))
        })
        .filter_map(|(word, file, test)| Some((word.get(..file.len() + 3)?, test)))
        .collect()
}

/// Whether a source file has a function of this name.
fn defines(source: &str, name: &str) -> bool {
    source
        .lines()
        .filter_map(|line| line.split_once("fn "))
        .any(|(_, rest)| {
            rest.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('('))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_prose_and_not_in_code() {
        let text = "see [a](a.md) and [b](b.md#c-d)\n```\n[x](y)\n```\n[e](#f)\n";
        assert_eq!(links(text), ["a.md", "b.md#c-d", "#f"]);
    }

    #[test]
    fn a_page_is_in_the_contents_or_missing() {
        let pages = ["docs/a.md", "docs/SUMMARY.md", "docs/d/b.md", "README.md"];
        assert!(missing("- [A](a.md)\n", pages.into_iter()).eq(["d/b.md"]));
    }

    #[test]
    fn a_heading_has_the_anchor_that_hosts_give_it() {
        let anchors = anchors("# One two\n```sh\n# no heading\n```\n### fairshare: it's `on`\n");
        let expected = ["fairshare-its-on", "one-two"].map(str::to_owned);
        assert!(anchors.iter().eq(expected.iter()), "{anchors:?}");
    }

    #[test]
    fn a_test_is_named_by_its_file_and_its_function() {
        assert_eq!(tests("`a/b.rs::c`, `d`, `e.rs`"), [("a/b.rs", "c")]);
        assert!(defines("    pub(crate) fn c(machine: &Machine) {", "c"));
        assert!(!defines("fn cd() {", "c") && !defines("// c()", "c"));
    }
}
