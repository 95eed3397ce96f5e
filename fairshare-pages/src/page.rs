//! A manual page for a program and for each of its commands.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::Program;
use crate::folder::File;

const MANUAL: &str = "fairshare";

/// How each page begins that was made from the definition of this program.
pub(crate) fn first_line(program: &str) -> String {
    format!(".\\\" From {program}'s command line, by 'cargo xtask pages'.\n")
}

/// The program's page and those of its commands.
pub(crate) fn all(program: &Program) -> Vec<File> {
    let mut command = program.command.clone().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&mut pages, program, &command);
    pages
}

fn add(pages: &mut Vec<File>, program: &Program, command: &Command) {
    pages.push(one(program, command));
    for below in commands(command) {
        add(pages, program, below);
    }
}

fn commands(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
}

fn one(program: &Program, command: &Command) -> File {
    let root = program.command.get_name();
    let page = command.get_display_name().unwrap_or(root);
    let mut usage = command.clone();
    let usage = usage.render_usage().to_string();
    let shown = command
        .clone()
        .override_usage(usage.trim_start_matches("Usage: ").to_owned())
        .long_about(description(command))
        .after_help(clap::builder::Resettable::Reset)
        .after_long_help(clap::builder::Resettable::Reset)
        .version(clap::builder::Resettable::Reset)
        .subcommand_help_heading("COMMANDS");
    let version = program.command.get_version().unwrap_or_default();
    let man = Man::new(shown).title(page).section(program.section);
    let mut text = first_line(root).into_bytes();
    // Writing to memory cannot fail.
    let _ = man.render(&mut text);
    let text = String::from_utf8_lossy(&text);
    // An empty date must be quoted: it is empty so that a page says the same on every day.
    let title = format!(
        ".TH {page} {} \"\" \"{MANUAL} {version}\" \"{MANUAL} manual\"\n",
        program.section
    );
    let mut text: String = text
        .split_inclusive('\n')
        .map(|line| {
            if line.starts_with(".TH ") {
                &title
            } else {
                line
            }
        })
        .collect();

    let mut rest = Roff::new();
    let help = command
        .get_after_long_help()
        .or_else(|| command.get_after_help());
    sections(
        &mut rest,
        &help.map(ToString::to_string).unwrap_or_default(),
    );
    if page == root && !program.files.is_empty() {
        rest.control("SH", ["FILES"]);
        for (path, what) in program.files {
            rest.control("TP", []);
            rest.text([bold(*path)]);
            rest.text([roman(*what)]);
        }
    }
    see_also(&mut rest, program, command, page);
    text.push_str(&without_preamble(&rest));
    File {
        name: format!("{page}.{}", program.section),
        text,
    }
}

/// What the help says the command does, in whole sentences.
fn description(command: &Command) -> String {
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let paragraphs = about.split("\n\n").map(|paragraph| {
        let stop = if paragraph.ends_with(['.', ':']) {
            ""
        } else {
            "."
        };
        format!("{paragraph}{stop}")
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// The text without the definitions that the page's beginning has already.
fn without_preamble(roff: &Roff) -> String {
    let text = roff.render();
    let preamble = Roff::new().render();
    text.strip_prefix(&preamble).unwrap_or(&text).to_owned()
}

/// The help's last words: a paragraph that opens with a heading and a colon, such as `Examples:`,
/// is a section of that name. Of lines that are indented, those with a wide gap are rows of a
/// table, and the others stay as they are.
fn sections(roff: &mut Roff, help: &str) {
    let mut paragraphs_without_heading = 0;
    for paragraph in help.split("\n\n").filter(|text| !text.trim().is_empty()) {
        let (heading, body) = match heading(paragraph) {
            Some((heading, body)) => (heading.to_uppercase(), body),
            None => ("NOTES".to_owned(), paragraph),
        };
        if heading == "NOTES" {
            paragraphs_without_heading += 1;
        }
        if heading == "NOTES" && paragraphs_without_heading > 1 {
            roff.control("PP", []);
        } else {
            roff.control("SH", [heading.as_str()]);
        }
        let mut literal = false;
        for line in body.lines().filter(|line| !line.is_empty()) {
            let indented = line.strip_prefix("  ");
            let row = indented.and_then(|row| row.trim_start().split_once("  "));
            let is_literal = indented.is_some() && row.is_none();
            if is_literal != literal {
                literal = is_literal;
                roff.control(if literal { "EX" } else { "EE" }, []);
            }
            if let Some((key, meaning)) = row {
                roff.control("TP", []);
                roff.text([bold(key)]);
                roff.text([roman(meaning.trim_start())]);
            } else {
                roff.text([roman(indented.unwrap_or(line))]);
            }
        }
        if literal {
            roff.control("EE", []);
        }
    }
}

/// The words before the colon in a paragraph's first line, where they are a heading: one or two
/// of them, the first with a capital.
fn heading(paragraph: &str) -> Option<(&str, &str)> {
    let (heading, body) = paragraph.split_once(':')?;
    let capital = heading.starts_with(|letter: char| letter.is_ascii_uppercase());
    let plain = heading
        .chars()
        .all(|letter| letter.is_ascii_alphabetic() || letter == ' ');
    (capital && plain && heading.split(' ').count() <= 2)
        .then(|| (heading, body.trim_start_matches(' ')))
}

/// The page above, those beside it, and what the program names.
fn see_also(roff: &mut Roff, program: &Program, command: &Command, page: &str) {
    let root = program.command.get_name();
    let section = program.section;
    let mut names: Vec<String> = Vec::new();
    if page != root {
        names.push(format!("{root}({section})"));
    }
    for below in commands(command) {
        names.extend(
            below
                .get_display_name()
                .map(|name| format!("{name}({section})")),
        );
    }
    names.extend(program.see_also.iter().map(|name| (*name).to_owned()));
    if names.is_empty() {
        return;
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.control("ad", ["l"]);
    roff.control("nh", []);
    let last = names.len() - 1;
    for (index, name) in names.iter().enumerate() {
        let (page, section) = name.split_once('(').unwrap_or((name, ""));
        let comma = if index == last { "" } else { "," };
        roff.text([bold(page), roman(format!("({section}{comma}"))]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(help: &str) -> String {
        let mut roff = Roff::new();
        sections(&mut roff, help);
        without_preamble(&roff)
    }

    #[test]
    fn a_heading_makes_a_section_rows_make_a_table_and_indented_lines_stay() {
        assert_eq!(
            made(
                "Plain words, more than two: with more of them.\n\nExit codes:\n  0  done\n\nExamples:\n  a b\n  c"
            ),
            ".SH NOTES\nPlain words, more than two: with more of them.\n\
             .SH \"EXIT CODES\"\n.TP\n\\fB0\\fR\ndone\n.SH EXAMPLES\n.EX\na b\nc\n.EE\n"
        );
        assert_eq!(made("Example: try it"), ".SH EXAMPLE\ntry it\n");
    }

    #[test]
    fn each_command_has_a_page_that_names_its_neighbours() {
        let command = Command::new("tool")
            .version("1.2")
            .about("does it")
            .subcommand(Command::new("sub").about("does a part of it"));
        let program = Program {
            command,
            section: "1",
            files: &[("/etc/tool", "its file")],
            see_also: &["other(8)"],
        };
        let pages = all(&program);
        let names: Vec<_> = pages.iter().map(|page| page.name.as_str()).collect();
        assert_eq!(names, ["tool.1", "tool-sub.1"]);
        assert!(pages[0].text.starts_with(&first_line("tool")));
        assert!(pages[0].text.contains("/etc/tool") && !pages[1].text.contains("/etc/tool"));
        assert!(
            pages[1]
                .text
                .ends_with("\\fBtool\\fR(1),\n\\fBother\\fR(8)\n"),
            "{}",
            pages[1].text
        );
    }
}
