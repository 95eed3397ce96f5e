//! Reading the single values of a file, and saying what is wrong with them.

use fairshare_protocol::VARIABLES;

use super::problem::{Problems, Severity, cut, quoted};
use super::reading::{DEFAULTS, RESOURCES, USER};
use super::sections::{Given, Names, Resource, Who};
use super::source::Spot;
use super::value::{self, Invalid, Value};
use super::yaml::{self, Entry, Node};
use super::{LEAST_CPU, LEAST_MEMORY, LEAST_TASKS};
use crate::variables::Variables;

/// Reads values and adds what is wrong to the problems.
pub(super) struct Reader<'a, 'b> {
    pub(super) problems: &'a mut Problems<'b>,
}

impl<'a, 'b> Reader<'a, 'b> {
    pub(super) fn new(problems: &'a mut Problems<'b>) -> Self {
        Self { problems }
    }

    /// An amount of a resource: absolute, a percentage or `unlimited`. `least`: refused where it
    /// is too little to log in with.
    pub(super) fn amount(
        &mut self,
        path: &str,
        node: &Node,
        resource: Resource,
        least: bool,
    ) -> Option<Given> {
        let expected = match resource {
            Resource::Cpu | Resource::Tasks => "a number",
            Resource::Mem => "a size such as 8G",
        };
        let read = |text: &str| {
            if text == "unlimited" {
                return Ok(Value::Unlimited);
            }
            if let Some(share) = value::percentage(text) {
                return share.map(Value::Share);
            }
            match resource {
                Resource::Cpu => value::cpus(text),
                Resource::Mem => value::size(text),
                Resource::Tasks => value::tasks(text),
            }
        };
        let given = self.value(path, node, expected, read)?;
        let (too_little, shown) = match given.value {
            Value::Cpu(cpus) => (cpus.thousandths() < LEAST_CPU, "0.05".to_owned()),
            Value::Size(size) => (size.bytes() < LEAST_MEMORY, "64M".to_owned()),
            Value::Tasks(tasks) => (tasks.count() < LEAST_TASKS, LEAST_TASKS.to_string()),
            Value::Share(share) => (share.0 == 0, "0.01%".to_owned()),
            _ => (false, String::new()),
        };
        // Less than this and nobody but root could log in to mend it.
        if least && too_little {
            let message = format!("too little to log in with (at least {shown})");
            self.problems.error(given.at, path, message);
            return None;
        }
        Some(given)
    }

    /// A value that is written as one text or number.
    pub(super) fn value(
        &mut self,
        path: &str,
        node: &Node,
        expected: &str,
        read: impl FnOnce(&str) -> Result<Value, Invalid>,
    ) -> Option<Given> {
        let text = self.text(path, node, expected)?;
        let value = self.read(path, node.at, || read(text))?;
        Some(Given { value, at: node.at })
    }

    /// What was read, or what is wrong with it told.
    pub(super) fn read<T>(
        &mut self,
        path: &str,
        at: Spot,
        read: impl FnOnce() -> Result<T, Invalid>,
    ) -> Option<T> {
        match read() {
            Ok(value) => Some(value),
            Err(Invalid { message, hint }) => {
                self.problems
                    .add(Severity::Error, Some(at), path, message, hint);
                None
            }
        }
    }

    pub(super) fn text<'n>(
        &mut self,
        path: &str,
        node: &'n Node,
        expected: &str,
    ) -> Option<&'n str> {
        let text = node.text();
        if text.is_none() {
            let message = format!("{expected} is expected, not {}", node.kind());
            self.problems.error(node.at, path, message);
        }
        text.map(str::trim)
    }

    /// One of a few words; `true` and `false` are words too.
    pub(super) fn word(
        &mut self,
        path: &str,
        node: &Node,
        words: &[&'static str],
    ) -> Option<&'static str> {
        let written = match &node.value {
            yaml::Value::Scalar { text, .. } => &**text,
            _ => "",
        };
        let word = words.iter().find(|word| **word == written);
        if word.is_none() {
            let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            let message = format!("write {}", words.join(" or "));
            self.problems.error(node.at, path, message);
        }
        word.copied()
    }

    pub(super) fn list<'n>(&mut self, path: &str, node: &'n Node, how: &str) -> Option<&'n [Node]> {
        let yaml::Value::List(items) = &node.value else {
            let message = format!("a list is expected, not {}", node.kind());
            self.problems.hinted(node.at, path, message, how.to_owned());
            return None;
        };
        Some(items)
    }

    /// A list of users or groups.
    pub(super) fn names(&mut self, path: &str, node: &Node, noun: &str) -> Option<Names> {
        let items = self.list(path, node, "write the names in brackets: [one, other]")?;
        let mut names = Names::new();
        for item in items {
            let Some(text) = self.text(path, item, "a name or a number") else {
                continue;
            };
            if let Some(who) = self.who(path, text, item.at, noun) {
                names.push((who, item.at));
            }
        }
        Some(names)
    }

    /// `all`, `off`, or a list of variables.
    pub(super) fn variables(&mut self, path: &str, node: &Node) -> Option<Given> {
        const HOW: &str = "write all, off, or names in brackets: [OMP_NUM_THREADS, MAKEFLAGS]";
        let at = node.at;
        let given = |variables| Given {
            value: Value::Variables(variables),
            at,
        };
        match node.text().map(str::trim) {
            Some("all") => return Some(given(Variables::ALL)),
            // YAML's older readers take it for a truth value; it is the same word here.
            Some("off") => return Some(given(Variables::NONE)),
            Some(other) => {
                let message = format!("{} is neither all nor off nor a list", quoted(other));
                self.problems.hinted(at, path, message, HOW.to_owned());
                return None;
            }
            None => {}
        }
        let mut variables = Some(Variables::NONE);
        for item in self.list(path, node, HOW)? {
            let Some(name) = self.text(path, item, "the name of a variable") else {
                variables = None;
                continue;
            };
            let more = variables.unwrap_or_default().with(name);
            if more.is_none() {
                let message = format!("no variable {}", quoted(name));
                let hint = nearest_variable(name).map_or_else(
                    || format!("known are: {}", VARIABLES.join(", ")),
                    |near| format!("did you mean '{near}'?"),
                );
                self.problems.hinted(item.at, path, message, hint);
            }
            variables = variables.and(more);
        }
        variables.map(given)
    }

    /// A user or a group.
    pub(super) fn who(&mut self, path: &str, text: &str, at: Spot, noun: &str) -> Option<Who> {
        let who = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // The largest number means "no ID" to the kernel.
            text.parse().ok().filter(|id| *id != u32::MAX).map(Who::Id)
        } else {
            let bad = |c: char| c.is_control() || matches!(c, ':' | '/' | ',');
            let good = !text.is_empty() && text.len() <= 256 && !text.contains(bad);
            good.then(|| Who::Name(text.to_owned()))
        };
        if who.is_none() {
            let message = format!("{} is no {noun}", quoted(text));
            let hint = format!("write the {noun}'s name or its number");
            self.problems.hinted(at, path, message, hint);
        }
        who
    }

    pub(super) fn mapping<'n>(
        &mut self,
        node: &'n Node,
        path: &str,
        how: &str,
    ) -> Option<&'n [Entry]> {
        let yaml::Value::Map(entries) = &node.value else {
            let message = format!("not a mapping: {how}");
            self.problems.error(node.at, path, message);
            return None;
        };
        Some(entries)
    }

    /// A key that policy does not have here.
    pub(super) fn unknown(&mut self, path: &str, entry: &Entry, known: &[&str]) {
        let name = cut(&entry.key);
        let path = match path {
            "" => name,
            path => format!("{path}.{name}"),
        };
        let hint = if &*entry.key == "<<" {
            "merge keys are not taken; an alias for the whole section is".to_owned()
        } else if let Some(near) = nearest(&entry.key, known) {
            format!("did you mean '{near}'?")
        } else if known == RESOURCES && DEFAULTS.contains(&&*entry.key) {
            format!("'{}' belongs into 'defaults'", entry.key)
        } else if known == USER && &*entry.key == "budget" {
            "only a group has a budget".to_owned()
        } else {
            format!("known here: {}", known.join(", "))
        };
        self.problems.hinted(entry.at, &path, "unknown key", hint);
    }
}

/// The variable that is most like this name, if one is like it at all.
fn nearest_variable(name: &str) -> Option<&'static str> {
    let known = VARIABLES.map(str::to_lowercase);
    let known = known.each_ref().map(String::as_str);
    let near = nearest(name, &known)?;
    VARIABLES
        .into_iter()
        .find(|variable| variable.eq_ignore_ascii_case(near))
}

/// The known key that is most like this one, if one is like it at all.
pub(super) fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    /// No key is longer, and the distance takes as long as the product of both lengths.
    const LONGEST: usize = 32;
    if key.len() > LONGEST {
        return None;
    }
    let lower = key.to_lowercase().replace('-', "_");
    let distance = |word: &str| strsim::damerau_levenshtein(&lower, word);
    let (distance, word) = known.iter().map(|word| (distance(word), *word)).min()?;
    (distance <= word.len().div_ceil(3)).then_some(word)
}
