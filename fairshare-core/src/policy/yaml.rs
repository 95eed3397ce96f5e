//! YAML text into values that know where they are written.
//!
//! It is the one place that knows of YAML's syntax. Nothing in a file can make the result large:
//! the number of values and their depth are bounded, aliases included, and a text that several
//! aliases stand for is kept once.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span};

use super::problem::{Problems, cut};
use super::source::Spot;

/// How many values a file may hold, each alias counted with all that it stands for.
pub const MAX_VALUES: usize = 250_000;
/// How deep values may lie in one another. Policy needs six levels.
pub const MAX_DEPTH: usize = 24;

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Spot,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A text or number: YAML's own types are left to whoever reads it.
    Scalar {
        /// The text without quotation marks.
        text: Arc<str>,
        /// Whether it was written without quotation marks.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text, each key once.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Arc<str>,
    pub(super) at: Spot,
    pub(super) node: Node,
}

impl Node {
    /// What it is, for "… is expected, not …".
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar { plain: false, .. } => "a text",
            Value::Scalar { text, .. } => match &**text {
                "" | "~" | "null" | "Null" | "NULL" => "nothing",
                "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => "true or false",
                text if text.parse::<f64>().is_ok() => "a number",
                _ => "a text",
            },
        }
    }

    /// Whether nothing is written.
    pub(super) fn is_nothing(&self) -> bool {
        self.kind() == "nothing"
    }

    /// The text of a text or number; `None` for everything else, true and false included.
    pub(super) fn text(&self) -> Option<&str> {
        match (&self.value, self.kind()) {
            (Value::Scalar { text, .. }, "a text" | "a number") => Some(text),
            _ => None,
        }
    }
}

/// Why a file has no tree. What is to be said of it has been added to the problems.
pub(super) struct Unreadable;

/// Reads a text; `None` where nothing is written in it. Keys written twice are told of, and the
/// first stays.
pub(super) fn read(
    text: &str,
    file: u32,
    problems: &mut Problems<'_>,
) -> Result<Option<Node>, Unreadable> {
    let mut builder = Builder {
        file,
        problems,
        frames: Vec::new(),
        anchors: HashMap::new(),
        values: 0,
        root: None,
    };
    let mut options = Options::default();
    options.emit_comments = false;
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let at = error.marker();
                let at = builder.spot(&Span::empty(*at));
                let message = format!("not understood as YAML: {}", error.info());
                builder.problems.error(at, "", message);
                return Err(Unreadable);
            }
        };
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > 1 {
                let at = builder.spot(&span);
                builder.problems.hinted(
                    at,
                    "",
                    "a second document in one file",
                    "write it into a file of its own, without '---'".to_owned(),
                );
                return Err(Unreadable);
            }
        }
        builder.take(event, &span)?;
    }
    Ok(builder.root.filter(|root| !root.is_nothing()))
}

/// A value that is complete, with what it costs to repeat it.
#[derive(Clone)]
struct Complete {
    node: Node,
    values: usize,
    height: usize,
}

/// A list or mapping whose end has not come yet.
struct Frame {
    at: Spot,
    anchor: usize,
    values: usize,
    height: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        places: HashMap<Arc<str>, Spot>,
        key: Option<PendingKey>,
    },
}

/// A key whose value has not come yet.
enum PendingKey {
    Good(Arc<str>, Spot),
    /// Told of already; its value is passed over.
    Bad,
}

struct Builder<'a, 'b> {
    file: u32,
    problems: &'a mut Problems<'b>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Complete>,
    values: usize,
    root: Option<Node>,
}

impl Builder<'_, '_> {
    fn spot(&self, span: &Span) -> Spot {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let start = span.start.byte_offset().unwrap_or_default();
        let end = span.end.byte_offset().unwrap_or(start);
        Spot {
            file: self.file,
            start: narrow(start),
            end: narrow(end),
            line: narrow(span.start.line()),
            column: narrow(span.start.col()).saturating_add(1),
        }
    }

    /// The keys above the value that comes next.
    fn path(&self) -> String {
        let keys = self.frames.iter().filter_map(|frame| match &frame.items {
            Items::Map {
                key: Some(PendingKey::Good(key, _)),
                ..
            } => Some(&**key),
            _ => None,
        });
        keys.collect::<Vec<_>>().join(".")
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Unreadable> {
        let at = self.spot(span);
        if event.tag().is_some() {
            let path = self.path();
            let hint = "write the value without the tag".to_owned();
            self.problems
                .hinted(at, &path, "tags are not taken in a policy", hint);
        }
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = Value::Scalar {
                    text: text.as_ref().into(),
                    plain: style == ScalarStyle::Plain,
                };
                let complete = Complete {
                    node: Node { at, value },
                    values: 1,
                    height: 1,
                };
                self.complete(complete, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(at, anchor, Items::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                let items = Items::Map {
                    entries: Vec::new(),
                    places: HashMap::new(),
                    key: None,
                };
                self.open(at, anchor, items)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, at),
            _ => Ok(()),
        }
    }

    /// Repeats what an anchor stands for.
    fn alias(&mut self, anchor: usize, at: Spot) -> Result<(), Unreadable> {
        let Some(complete) = self.anchors.get(&anchor) else {
            let path = self.path();
            let message = "an alias inside of what it stands for";
            self.problems.error(at, &path, message);
            return Err(Unreadable);
        };
        if complete.values > MAX_VALUES.saturating_sub(self.values) {
            return self.too_much(at);
        }
        let complete = complete.clone();
        self.complete(complete, 0)
    }

    fn open(&mut self, at: Spot, anchor: usize, items: Items) -> Result<(), Unreadable> {
        if self.frames.len() >= MAX_DEPTH {
            return self.too_deep(at);
        }
        self.frames.push(Frame {
            at,
            anchor,
            values: 1,
            height: 1,
            items,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Unreadable> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let value = match frame.items {
            Items::List(items) => Value::List(items),
            Items::Map { entries, .. } => Value::Map(entries),
        };
        let complete = Complete {
            node: Node {
                at: frame.at,
                value,
            },
            values: frame.values,
            height: frame.height,
        };
        // What is inside has been counted when it came.
        self.values = self.values.saturating_sub(frame.values - 1);
        self.complete(complete, frame.anchor)
    }

    /// Puts a value where it belongs.
    fn complete(&mut self, complete: Complete, anchor: usize) -> Result<(), Unreadable> {
        let at = complete.node.at;
        self.values = self.values.saturating_add(complete.values);
        if self.values > MAX_VALUES {
            return self.too_much(at);
        }
        if self.frames.len() + complete.height > MAX_DEPTH {
            return self.too_deep(at);
        }
        if anchor != 0 {
            // The copy that is kept counts too, or anchors inside of anchors would multiply.
            self.values = self.values.saturating_add(complete.values);
            self.anchors.insert(anchor, complete.clone());
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(complete.node);
            return Ok(());
        };
        frame.values = frame.values.saturating_add(complete.values);
        frame.height = frame.height.max(complete.height + 1);
        match &mut frame.items {
            Items::List(items) => items.push(complete.node),
            Items::Map {
                entries,
                key: key @ Some(_),
                ..
            } => {
                if let Some(PendingKey::Good(key, at)) = key.take() {
                    let node = complete.node;
                    entries.push(Entry { key, at, node });
                }
            }
            Items::Map { key: None, .. } => self.key(complete.node),
        }
        Ok(())
    }

    fn key(&mut self, node: Node) {
        let path = self.path();
        let at = node.at;
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let Items::Map { places, key, .. } = &mut frame.items else {
            return;
        };
        let (pending, problem) = if let Value::Scalar { text, .. } = node.value {
            if let Some(first) = places.get(&text) {
                let name = cut(&text);
                let path = match path.as_str() {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                let message = format!("duplicate key '{name}' (first in line {})", first.line);
                (PendingKey::Bad, Some((path, message)))
            } else {
                places.insert(Arc::clone(&text), at);
                (PendingKey::Good(text, at), None)
            }
        } else {
            let message = "a key must be a text or a number".to_owned();
            (PendingKey::Bad, Some((path, message)))
        };
        *key = Some(pending);
        if let Some((path, message)) = problem {
            self.problems.error(at, &path, message);
        }
    }

    fn too_much(&mut self, at: Spot) -> Result<(), Unreadable> {
        let message = format!("aliases and values come to more than {MAX_VALUES} values");
        self.problems.error(at, "", message);
        Err(Unreadable)
    }

    fn too_deep(&mut self, at: Spot) -> Result<(), Unreadable> {
        let message = format!("values lie more than {MAX_DEPTH} levels deep");
        self.problems.error(at, "", message);
        Err(Unreadable)
    }
}
