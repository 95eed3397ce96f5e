//! What is wrong with a policy, and how it is told.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use fairshare_protocol::printable;

use super::source::{Source, Spot};

/// How many problems are told of at the most; the rest are counted.
pub const MAX_PROBLEMS: usize = 200;
/// How much of a line a problem keeps, in characters.
const MAX_EXCERPT: usize = 160;
/// How much of a cropped line stands before what is wrong, in characters.
const BEFORE: usize = 60;
/// How much of somebody's text a message repeats, in characters.
const MAX_QUOTED: usize = 64;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The policy cannot be put in force.
    Error,
    /// It can, and this is likely not what was meant.
    Warning,
}

/// Something wrong in a policy. The display form is one line without the place; [`Problem::text`]
/// shows the place too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file that it is in, where it is in one.
    pub file: Option<String>,
    /// Where in the file, where it is at one place.
    pub excerpt: Option<Excerpt>,
    /// The path of keys, such as `groups.students.max.cpu`.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// The line that a problem is in, fit for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The line's text; of a long line only what is around the problem.
    pub text: String,
    /// What is wrong, in bytes of `text`.
    pub span: Range<usize>,
}

/// How the text form looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// Without escape sequences, for a log.
    #[default]
    Plain,
    /// With colours, for a terminal.
    Coloured,
}

impl Problem {
    /// An error that has no place in a text.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: None,
            excerpt: None,
            key: None,
            message: message.into(),
            hint: None,
        }
    }

    /// The same problem, in this file.
    #[must_use]
    pub fn in_file(mut self, name: &str) -> Self {
        self.file = Some(printable(name));
        self
    }

    /// The same problem, with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Several lines: what is wrong, the place, the line with a caret below it, and the hint.
    /// No line feed at the end.
    pub fn text(&self, look: Look) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.to_string()));
        match (&self.file, &self.excerpt) {
            (Some(file), Some(at)) if at.is_cropped() => {
                let origin = Origin::path(file.as_str()).line(at.line as usize);
                group = group.element(origin.char_column(at.column as usize));
                group = group.element(at.snippet());
            }
            (file, Some(at)) => group = group.element(at.snippet().path(file.as_deref())),
            (Some(file), None) => group = group.element(Origin::path(file.as_str())),
            (None, None) => {}
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        let renderer = match look {
            Look::Plain => Renderer::plain(),
            Look::Coloured => Renderer::styled(),
        };
        renderer.decor_style(DecorStyle::Ascii).render(&[group])
    }
}

impl Excerpt {
    /// Whether the text is not the line from its beginning.
    fn is_cropped(&self) -> bool {
        let before = self.text.get(..self.span.start).unwrap_or_default();
        before.chars().count() + 1 != self.column as usize
    }

    fn snippet(&self) -> Snippet<'_, Annotation<'_>> {
        Snippet::source(self.text.as_str())
            .line_start(self.line as usize)
            .annotation(AnnotationKind::Primary.span(self.span.clone()))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// The text form of all of them, with an empty line between two.
pub fn report(problems: &[Problem], look: Look) -> String {
    let texts: Vec<String> = problems.iter().map(|problem| problem.text(look)).collect();
    texts.join("\n\n")
}

/// What somebody wrote, as a message may repeat it: cleaned, cut, in single quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", cut(text))
}

/// What somebody wrote, cleaned and cut.
pub(super) fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_QUOTED).collect();
    if text.chars().nth(MAX_QUOTED).is_some() {
        shown.push('…');
    }
    printable(&shown)
}

/// The problems found so far in files that are read together.
pub(super) struct Problems<'a> {
    sources: &'a [Source],
    found: Vec<(Option<Spot>, Problem)>,
    untold: usize,
}

impl<'a> Problems<'a> {
    pub(super) fn new(sources: &'a [Source]) -> Self {
        Self {
            sources,
            found: Vec::new(),
            untold: 0,
        }
    }

    /// Adds an error at a place.
    pub(super) fn error(&mut self, at: Spot, key: &str, message: impl Into<String>) {
        self.add(Severity::Error, Some(at), key, message.into(), None);
    }

    /// Adds an error with a hint.
    pub(super) fn hinted(&mut self, at: Spot, key: &str, message: impl Into<String>, hint: String) {
        self.add(Severity::Error, Some(at), key, message.into(), Some(hint));
    }

    /// Adds a problem that has no place of its own.
    pub(super) fn without_place(&mut self, message: String, hint: Option<String>) {
        self.add(Severity::Error, None, "", message, hint);
    }

    /// Adds an error about a whole file.
    pub(super) fn whole_file(&mut self, file: u32, message: String) {
        let source = usize::try_from(file)
            .ok()
            .and_then(|file| self.sources.get(file));
        let name = source.map_or("", |source| &source.name);
        let problem = Problem::error(message).in_file(name);
        self.push(None, problem);
    }

    pub(super) fn add(
        &mut self,
        severity: Severity,
        at: Option<Spot>,
        key: &str,
        message: String,
        hint: Option<String>,
    ) {
        if self.is_full(severity) {
            return;
        }
        let source = at.and_then(|at| self.sources.get(usize::try_from(at.file).ok()?));
        let only = match self.sources {
            [only] => Some(only),
            _ => None,
        };
        let problem = Problem {
            severity,
            file: source.or(only).map(|source| printable(&source.name)),
            excerpt: at.zip(source).map(|(at, source)| excerpt(&source.text, at)),
            key: (!key.is_empty()).then(|| printable(key)),
            message,
            hint,
        };
        self.push(at, problem);
    }

    fn push(&mut self, at: Option<Spot>, problem: Problem) {
        if !self.is_full(problem.severity) {
            self.found.push((at, problem));
        }
    }

    /// Whether there are as many as are told of; one more is then counted.
    fn is_full(&mut self, severity: Severity) -> bool {
        let is_full = self.found.len() >= MAX_PROBLEMS;
        if is_full && severity == Severity::Error {
            self.untold = self.untold.saturating_add(1);
        }
        is_full
    }

    /// Whether one of them is an error.
    pub(super) fn has_errors(&self) -> bool {
        let error = |(_, problem): &(_, Problem)| problem.severity == Severity::Error;
        self.untold > 0 || self.found.iter().any(error)
    }

    /// All of them in the order of the files; those without a place come last.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(at, _)| (at.is_none(), *at));
        let mut problems: Vec<Problem> =
            self.found.into_iter().map(|(_, problem)| problem).collect();
        if self.untold > 0 {
            problems.push(Problem::error(format!("{} more errors", self.untold)));
        }
        problems
    }
}

/// The line around a place, cropped and cleaned. A tab becomes a space: both are one column of the
/// text, and the caret stays below what it points at.
fn excerpt(text: &str, at: Spot) -> Excerpt {
    let clean = |part: &str| printable(&part.replace('\t', " "));
    let start = floor(text, at.start as usize);
    let end = floor(text, at.end as usize).max(start);
    // Four bytes hold any character; the rest of a long line is not looked at.
    let from = floor(text, start.saturating_sub(4 * BEFORE));
    let before = text.get(from..start).unwrap_or_default();
    let upto = floor(text, start.saturating_add(4 * MAX_EXCERPT));
    let rest = text.get(start..upto).unwrap_or_default();
    let before = before.rsplit(['\n', '\r']).next().unwrap_or(before);
    let skipped = before.chars().count().saturating_sub(BEFORE);
    let before: String = before.chars().skip(skipped).collect();
    let line = rest.split(['\n', '\r']).next().unwrap_or(rest);
    let marked = line.get(..(end - start).min(line.len())).unwrap_or(line);
    let behind = line.get(marked.len()..).unwrap_or_default();
    let room = MAX_EXCERPT.saturating_sub(before.chars().count());
    let marked: String = marked.trim_end().chars().take(room).collect();
    let room = room.saturating_sub(marked.chars().count());
    let behind: String = behind.chars().take(room).collect();

    let (before, marked) = (clean(&before), clean(&marked));
    let span = before.len()..before.len() + marked.len();
    Excerpt {
        line: at.line,
        column: at.column,
        text: format!("{before}{marked}{}", clean(&behind)),
        span,
    }
}

/// The nearest start of a character at or before an index.
fn floor(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}
