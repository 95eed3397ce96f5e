//! What each key does.

use fairshare_protocol::{MemorySize, Period, Release, Request, Resize, Set, Wish};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{LONGEST_TEXT, Mode, Order, State};

/// What is to be done beside showing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    Quit,
    /// The processes of this user are to be asked for, or of nobody any more.
    Watch(Option<u32>),
    Ask(Request),
}

/// The keys as the help shows them.
pub(super) const HELP: &[(&str, &str)] = &[
    ("Up, Down, j, k", "choose a user"),
    ("PgUp, PgDn, Home, End", "go far"),
    ("Enter", "the user's processes"),
    ("c m t p n", "sort by CPU, memory, tasks, pressure, name"),
    ("/", "show only names that hold a text"),
    ("r", "change the grant: for administrators, or your own"),
    ("x", "take the grant back, likewise"),
    ("Esc", "go back"),
    ("q, Ctrl-C", "end"),
];

const FAR: isize = isize::MAX / 2;

/// A key was pressed.
pub(super) fn press(state: &mut State, key: KeyEvent) -> Action {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'd') => Action::Quit,
            _ => Action::Nothing,
        };
    }
    match state.mode.clone() {
        Mode::List => in_list(state, key.code),
        Mode::Filter => in_filter(state, key.code),
        Mode::Help => {
            state.mode = Mode::List;
            Action::Nothing
        }
        Mode::Processes { uid, from } => in_processes(state, key.code, uid, from),
        Mode::Resize { uid, text } => in_resize(state, key.code, uid, text),
        Mode::Confirm { request, .. } => {
            state.mode = Mode::List;
            if matches!(key.code, KeyCode::Char('y' | 'Y')) {
                state.say("asked, waiting for the answer".to_owned());
                return Action::Ask(request);
            }
            state.say("nothing was changed".to_owned());
            Action::Nothing
        }
    }
}

fn in_list(state: &mut State, key: KeyCode) -> Action {
    let page = isize::try_from(state.page).unwrap_or(1);
    state.message = None;
    match key {
        KeyCode::Char('q') => return Action::Quit,
        KeyCode::Up | KeyCode::Char('k') => state.go(-1),
        KeyCode::Down | KeyCode::Char('j') => state.go(1),
        KeyCode::PageUp => state.go(-page),
        KeyCode::PageDown => state.go(page),
        KeyCode::Home => state.go(-FAR),
        KeyCode::End => state.go(FAR),
        KeyCode::Char('c') => state.sort_by(Order::Cpu),
        KeyCode::Char('m') => state.sort_by(Order::Memory),
        KeyCode::Char('t') => state.sort_by(Order::Tasks),
        KeyCode::Char('p') => state.sort_by(Order::Pressure),
        KeyCode::Char('n') => state.sort_by(Order::Name),
        KeyCode::Char('/') => state.mode = Mode::Filter,
        KeyCode::Char('?' | 'h') => state.mode = Mode::Help,
        KeyCode::Esc => {
            state.filter.clear();
            state.keep_selection();
        }
        KeyCode::Enter => {
            if let Some(uid) = state.selected {
                state.processes = None;
                state.mode = Mode::Processes { uid, from: 0 };
                return Action::Watch(Some(uid));
            }
        }
        KeyCode::Char('r') => {
            if let Some(uid) = state.selected {
                if !may_change(state, uid) {
                    return Action::Nothing;
                }
                let text = String::new();
                state.mode = Mode::Resize { uid, text };
            }
        }
        KeyCode::Char('x') => {
            if !state.selected.is_some_and(|uid| may_change(state, uid)) {
                return Action::Nothing;
            }
            let Some(row) = state.chosen() else {
                return Action::Nothing;
            };
            let uid = row.usage.row.uid;
            if !row.usage.row.grant {
                state.message = Some(format!("{} holds no grant", row.name));
                return Action::Nothing;
            }
            let question = format!("Take the grant of {} back?", row.name);
            let request = Request::Release(Release {
                uid: (uid != state.own).then_some(uid),
                force: false,
            });
            state.mode = Mode::Confirm { question, request };
        }
        _ => {}
    }
    Action::Nothing
}

/// Whether the daemon would hear of it; if not, that is said.
fn may_change(state: &mut State, uid: u32) -> bool {
    let may = state.everybody || uid == state.own;
    if !may {
        let name = state.name_of(uid);
        state.say(format!(
            "only an administrator may change the grant of {name}"
        ));
    }
    may
}

fn in_filter(state: &mut State, key: KeyCode) -> Action {
    match key {
        KeyCode::Enter => state.mode = Mode::List,
        KeyCode::Esc => {
            state.filter.clear();
            state.mode = Mode::List;
        }
        key => edit(&mut state.filter, key),
    }
    state.keep_selection();
    Action::Nothing
}

fn in_processes(state: &mut State, key: KeyCode, uid: u32, from: usize) -> Action {
    let count = state
        .processes
        .as_ref()
        .map_or(0, |info| info.processes.len());
    let last = count.saturating_sub(state.page);
    let from = match key {
        KeyCode::Char('q') | KeyCode::Esc | KeyCode::Enter | KeyCode::Left => {
            state.mode = Mode::List;
            return Action::Watch(None);
        }
        KeyCode::Up | KeyCode::Char('k') => from.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => from + 1,
        KeyCode::PageUp => from.saturating_sub(state.page),
        KeyCode::PageDown => from + state.page,
        KeyCode::Home => 0,
        KeyCode::End => last,
        _ => from,
    };
    let from = from.min(last);
    state.mode = Mode::Processes { uid, from };
    Action::Nothing
}

fn in_resize(state: &mut State, key: KeyCode, uid: u32, mut text: String) -> Action {
    match key {
        KeyCode::Esc => {
            state.mode = Mode::List;
            return Action::Nothing;
        }
        KeyCode::Enter => match wish(&text) {
            Ok((wish, lease)) => {
                let name = state.name_of(uid);
                let time = lease.map_or_else(String::new, |lease| format!(", for {lease}"));
                state.message = None;
                state.mode = Mode::Confirm {
                    question: format!("Give {name} {wish}{time}?"),
                    request: if state.everybody {
                        Request::Set(Set {
                            uid,
                            wish,
                            lease,
                            force: false,
                        })
                    } else {
                        Request::Resize(Resize {
                            wish,
                            lease,
                            ..Resize::default()
                        })
                    },
                };
                return Action::Nothing;
            }
            Err(sentence) => state.say(sentence),
        },
        key => edit(&mut text, key),
    }
    state.mode = Mode::Resize { uid, text };
    Action::Nothing
}

fn edit(text: &mut String, key: KeyCode) {
    match key {
        KeyCode::Backspace => {
            text.pop();
        }
        KeyCode::Char(c) if text.len() < LONGEST_TEXT && !c.is_control() => text.push(c),
        _ => {}
    }
}

/// A wish as it is typed here: CPUs, memory with a large unit, time with a small one, in any order,
/// such as `4 16G 2h`.
fn wish(text: &str) -> Result<(Wish, Option<Period>), String> {
    let (mut wish, mut lease) = (Wish::default(), None);
    for word in text.split_whitespace() {
        let word = word.trim_end_matches(',');
        match word.chars().last() {
            Some('K' | 'M' | 'G' | 'T' | 'B') => {
                let mem: MemorySize = word.parse().map_err(|error| format!("{error}"))?;
                wish.mem = Some(mem);
            }
            Some('s' | 'm' | 'h' | 'd' | 'w') => {
                lease = Some(word.parse().map_err(|error| format!("{error}"))?);
            }
            _ => wish.cpu = Some(word.parse().map_err(|error| format!("{error}"))?),
        }
    }
    if wish.is_empty() {
        return Err("give CPUs, memory or both, such as 4 16G 2h".to_owned());
    }
    Ok((wish, lease))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::Glyphs;

    fn state(everybody: bool) -> State {
        let mut state = State::new(1001, Glyphs::ASCII);
        let json = format!(
            r#"{{"everybody": {everybody}, "users": [
            {{"uid": 1000, "user": "alice", "sessions": 1, "grant": true, "cpu": 2, "mem": "8G",
              "tasks": 100}},
            {{"uid": 1001, "user": "bob", "sessions": 1, "grant": true, "cpu": 2, "mem": "8G",
              "tasks": 100}},
            {{"uid": 1002, "user": "carol", "sessions": 1, "grant": false, "cpu": 2, "mem": "8G",
              "tasks": 100}}]}}"#
        );
        state.take(serde_json::from_str(&json).unwrap());
        state
    }

    fn typed(state: &mut State, text: &str) -> Action {
        let mut last = Action::Nothing;
        for c in text.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '^' => KeyCode::Esc,
                'v' => KeyCode::Down,
                c => KeyCode::Char(c),
            };
            last = press(state, KeyEvent::new(code, KeyModifiers::NONE));
        }
        last
    }

    fn line(action: &Action) -> String {
        match action {
            Action::Ask(request) => serde_json::to_string(request).unwrap(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn an_administrator_sets_and_takes_back_after_a_yes() {
        let mut top = state(true);
        let asked = typed(&mut top, "r4 16G 2h\ny");
        assert_eq!(
            line(&asked),
            r#"{"type":"set","uid":1000,"cpu":4,"mem":"16G","for":"2h"}"#
        );
        assert_eq!(
            line(&typed(&mut top, "xy")),
            r#"{"type":"release","uid":1000}"#
        );
        assert_eq!(typed(&mut top, "xn"), Action::Nothing);
        assert_eq!(
            typed(&mut top, "vxy"),
            Action::Ask(Request::Release(Release::default()))
        );
        assert_eq!(typed(&mut top, "vxy"), Action::Nothing, "carol holds none");
    }

    #[test]
    fn a_user_asks_for_themselves() {
        let mut top = state(false);
        assert_eq!(
            line(&typed(&mut top, "vr1.5\ny")),
            r#"{"type":"resize","cpu":1.5}"#
        );
    }

    #[test]
    fn a_user_is_told_at_once_that_others_are_not_theirs() {
        for key in ["r", "x"] {
            let mut top = state(false);
            assert_eq!(typed(&mut top, key), Action::Nothing);
            assert_eq!(top.mode, Mode::List);
            let told = top.message.unwrap();
            assert!(
                told.contains("administrator") && told.contains("alice"),
                "{told}"
            );
        }
    }

    #[test]
    fn what_is_no_wish_is_told_and_can_be_mended() {
        let mut top = state(true);
        assert_eq!(typed(&mut top, "r4x\n"), Action::Nothing);
        assert!(
            top.message.as_ref().unwrap().contains("4x"),
            "{:?}",
            top.message
        );
        assert!(matches!(top.mode, Mode::Resize { .. }));
        assert_eq!(typed(&mut top, "^q"), Action::Quit);
        assert!(wish("").is_err() && wish("2h").is_err());
    }

    #[test]
    fn a_filter_and_a_sort_keep_who_is_chosen() {
        let mut top = state(true);
        typed(&mut top, "/CAR\n");
        assert_eq!(top.selected, Some(1002));
        typed(&mut top, "^n");
        assert_eq!((top.selected, top.place()), (Some(1002), Some(2)));
        assert_eq!(typed(&mut top, "\n"), Action::Watch(Some(1002)));
        assert_eq!(typed(&mut top, "q"), Action::Watch(None));
        assert_eq!(typed(&mut top, "vvvv"), Action::Nothing);
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(press(&mut top, control_c), Action::Quit);
    }
}
