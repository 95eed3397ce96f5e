//! Text for a terminal of some width: tables without lines, and sentences broken between words.

use std::fmt::Write as _;
use std::os::fd::AsFd;

use clap::builder::styling::Style;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

const HEADING: Style = Style::new().dimmed();

/// How wide a line may be; `None` is any width, as in a pipe.
pub(crate) type Width = Option<usize>;

/// No terminal is narrower than this in earnest.
const NARROWEST: usize = 20;

/// The width to write for on standard output: `COLUMNS` where it is set, else the terminal's.
pub(crate) fn width() -> Width {
    width_of(std::io::stdout())
}

/// The same for another stream.
pub(crate) fn width_of(stream: impl AsFd) -> Width {
    let columns = std::env::var("COLUMNS").ok();
    let terminal = || terminal_size::terminal_size_of(stream);
    columns
        .and_then(|columns| columns.parse().ok().filter(|&columns| columns > 0))
        .or_else(|| terminal().map(|(terminal_size::Width(columns), _)| usize::from(columns)))
        .map(|columns: usize| columns.max(NARROWEST))
}

/// Rows without lines between them, the first one being the heading; columns without a figure left
/// out, and rows too. Where the terminal is too narrow for a table, each row becomes a list.
pub(crate) fn table<const N: usize>(rows: &[[String; N]], width: Width) -> String {
    table_with_texts(rows, &[], width)
}

/// The same where some columns beside the first hold texts.
pub(crate) fn table_with_texts<const N: usize>(
    rows: &[[String; N]],
    texts: &[usize],
    width: Width,
) -> String {
    side_by_side(rows, texts, width).unwrap_or_else(|| stacked(&shown(rows).1))
}

/// The table, where it fits.
fn side_by_side<const N: usize>(
    rows: &[[String; N]],
    texts: &[usize],
    width: Width,
) -> Option<String> {
    let (columns, rows) = shown(rows);
    let fits = |text: &String| {
        width.is_none_or(|width| text.lines().all(|line| line.chars().count() <= width))
    };
    let to_the_left: Vec<bool> = columns
        .iter()
        .map(|column| *column == 0 || texts.contains(column))
        .collect();
    let text = [
        aligned(&rows, &to_the_left, 2),
        aligned(&rows, &to_the_left, 1),
    ]
    .into_iter()
    .find(fits);
    let text = text?;
    let (heading, rest) = text.split_once('\n').unwrap_or((&text, ""));
    Some(format!("{HEADING}{heading}{HEADING:#}\n{rest}\n"))
}

/// What is shown of the rows, and which columns that is.
fn shown<const N: usize>(rows: &[[String; N]]) -> (Vec<usize>, Vec<Vec<&str>>) {
    let told = |column: &usize| {
        let mut below_heading = rows.iter().skip(1);
        below_heading.any(|row| row.get(*column).is_some_and(|cell| !cell.is_empty()))
    };
    let columns: Vec<usize> = (0..N).filter(told).collect();
    let rows: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| columns.iter().filter_map(|&column| row.get(column)))
        .map(|cells| cells.map(String::as_str).collect())
        .filter(|row: &Vec<&str>| row.iter().skip(1).any(|cell| !cell.is_empty()))
        .collect();
    (columns, rows)
}

/// Rows as [`table`] has them, without as many of the columns that may go as the width asks for.
/// What is left out is told below.
pub(crate) fn table_without<const N: usize>(
    rows: &[[String; N]],
    first_to_go: &[usize],
    width: Width,
) -> String {
    let narrow = |gone: &[usize]| -> Vec<[String; N]> {
        let mut rows = rows.to_vec();
        for cell in rows
            .iter_mut()
            .skip(1)
            .flat_map(|row| row.iter_mut().enumerate())
            .filter_map(|(column, cell)| gone.contains(&column).then_some(cell))
        {
            cell.clear();
        }
        rows
    };
    for count in 0..=first_to_go.len() {
        let gone = first_to_go.get(..count).unwrap_or_default();
        let rows_left = narrow(gone);
        let Some(text) = side_by_side(&rows_left, &[], width) else {
            continue;
        };
        let told = |column: usize| {
            let mut below = rows.iter().skip(1).filter_map(|row| row.get(column));
            below.any(|cell| !cell.is_empty())
        };
        let heading = rows.first();
        let left_out: Vec<&str> = (0..N)
            .filter(|column| gone.contains(column) && told(*column))
            .filter_map(|column| heading?.get(column))
            .map(String::as_str)
            .collect();
        if left_out.is_empty() {
            return text;
        }
        let note = format!("left out in this width: {}", left_out.join(", "));
        return text + &wrapped("", &note, width);
    }
    table(rows, width)
}

/// Names and texts to the left, figures to the right, so many spaces between columns.
fn aligned(rows: &[Vec<&str>], to_the_left: &[bool], gap: u16) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    for row in rows {
        table.add_row(row);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding(if index == 0 { (0, 0) } else { (gap, 0) });
        if to_the_left.get(index) != Some(&true) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Each row as its name and, under it, its figures with their heading.
fn stacked(rows: &[Vec<&str>]) -> String {
    let mut text = String::new();
    let Some((heading, rows)) = rows.split_first() else {
        return text;
    };
    for row in rows {
        for (index, (cell, label)) in row.iter().zip(heading).enumerate() {
            // Writing to a String cannot fail.
            let _ = match (index, cell.is_empty()) {
                (_, true) => Ok(()),
                (0, false) => writeln!(text, "{}", cell.trim_start()),
                (_, false) => writeln!(text, "  {HEADING}{label}{HEADING:#} {cell}"),
            };
        }
    }
    text
}

/// The text behind a prefix, broken between words; further lines stand under the first word.
pub(crate) fn wrapped(prefix: &str, text: &str, width: Width) -> String {
    let width = width.unwrap_or(usize::MAX);
    let indent = prefix.chars().count();
    let mut lines = prefix.to_owned();
    let mut used = indent;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > indent && used + 1 + length > width {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            used = indent;
        } else if used > indent {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += length;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_and_stands_under_its_first_word() {
        assert_eq!(
            wrapped("warning: ", "one two three", Some(16)),
            "warning: one two\n         three\n"
        );
        assert_eq!(wrapped("", "one two", None), "one two\n");
        assert_eq!(wrapped("", "muchtoolong", Some(4)), "muchtoolong\n");
    }

    #[test]
    fn rows_and_columns_without_a_figure_are_left_out() {
        let rows = [["", "now", "max"], ["CPU", "4", ""], ["swap", "", ""]]
            .map(|row| row.map(str::to_owned));
        let text = anstream::adapter::strip_str(&table(&rows, None)).to_string();
        assert_eq!(text, "     now\nCPU    4\n");
    }
}
