//! `fairshare top`: what all users use now, over the whole terminal.
//!
//! One thread reads keys, one asks the daemon, one waits for signals; each sends what it has to the
//! one that keeps the state and draws. So a daemon that does not answer holds up no key.

mod draw;
mod keys;
mod state;
mod terminal;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use fairshare_client::Client;
use fairshare_protocol::{Processes, Reply, Request, printable};
use ratatui::crossterm::event::{self, Event, KeyEvent};

use self::keys::Action;
use self::state::State;
use self::terminal::{Screen, Signals};
use crate::bar::Glyphs;
use crate::cli::Cli;
use crate::exit::Exit;
use crate::names::Names;
use crate::output::Outcome;

/// Events that wait to be shown, and requests that wait to be asked. A key more waits in the
/// terminal.
const WAITING: usize = 32;
/// An answer later than this is none: the next question is asked instead.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the screen is told of.
enum Happened {
    Key(KeyEvent),
    Resized,
    /// The terminal is gone, or a signal asks for the end.
    End(Exit),
    Answer(Answer),
}

/// What came of a question.
enum Answer {
    Reply(Box<Reply>),
    /// What was asked for in the user's name came to this.
    Done(String),
    Lost(String),
}

/// What is to be asked beside the usage.
enum Question {
    /// The processes of a user, until told otherwise.
    Watch(Option<u32>),
    Carry(Request),
}

/// Shows it until the user ends it.
pub(crate) fn run(cli: &Cli, every: Duration) -> Outcome {
    let failed = |sentence: String, exit| Outcome {
        stdout: String::new(),
        stderr: format!("fairshare: {sentence}\n"),
        exit,
    };
    if cli.json {
        let sentence = "top has no JSON; use status --json".to_owned();
        return failed(sentence, Exit::Usage);
    }
    if let Err(sentence) = terminal::is_usable() {
        return failed(sentence.to_owned(), Exit::Usage);
    }
    // Before any thread, so that none of them is ended by one.
    let signals = match Signals::block() {
        Ok(signals) => signals,
        Err(error) => return failed(format!("cannot block signals: {error}"), Exit::Failed),
    };
    let mut screen = match Screen::begin() {
        Ok(screen) => screen,
        Err(error) => return failed(format!("cannot set up the terminal: {error}"), Exit::Failed),
    };
    let (happened, events) = mpsc::sync_channel(WAITING);
    let (questions, asked) = mpsc::sync_channel(WAITING);
    let client = Client::new(cli.socket.clone(), cli.timeout.min(PATIENCE));
    let threads = [
        thread::Builder::new().spawn({
            let happened = happened.clone();
            move || {
                let exit = signals.wait();
                let _ = happened.send(Happened::End(exit));
                terminal::end_at_last(exit);
            }
        }),
        thread::Builder::new().spawn({
            let happened = happened.clone();
            move || read_keys(&happened)
        }),
        thread::Builder::new().spawn(move || ask(&client, every, &asked, &happened)),
    ];
    for thread in threads {
        if let Err(error) = thread {
            drop(screen);
            return failed(format!("cannot start a thread: {error}"), Exit::Failed);
        }
    }
    let state = State::new(nix::unistd::getuid().as_raw(), Glyphs::of_locale());
    let result = show(&mut screen, state, &events, &questions);
    drop(screen);
    match result {
        Ok(exit) => Outcome {
            exit,
            ..Outcome::done(String::new())
        },
        Err(error) => failed(
            format!("cannot write to the terminal: {error}"),
            Exit::Failed,
        ),
    }
}

fn show(
    screen: &mut Screen,
    mut state: State,
    events: &Receiver<Happened>,
    questions: &SyncSender<Question>,
) -> std::io::Result<Exit> {
    loop {
        screen.draw(|frame| draw::draw(frame, &mut state))?;
        // Without a sender nothing more can happen.
        let Ok(event) = events.recv() else {
            return Ok(Exit::Done);
        };
        match event {
            Happened::Resized => {}
            Happened::End(exit) => return Ok(exit),
            Happened::Answer(Answer::Lost(why)) => state.lose(why),
            Happened::Answer(Answer::Done(sentence)) => state.say(sentence),
            Happened::Answer(Answer::Reply(reply)) => match *reply {
                Reply::UsageInfo(info) => state.take(info),
                Reply::ProcessesInfo(info) => state.take_processes(info),
                _ => {}
            },
            Happened::Key(key) => {
                let question = match keys::press(&mut state, key) {
                    Action::Nothing => continue,
                    Action::Quit => return Ok(Exit::Done),
                    Action::Watch(uid) => Question::Watch(uid),
                    Action::Ask(request) => Question::Carry(request),
                };
                // What asks is busy with a daemon that does not answer: the key is for nothing.
                if questions.try_send(question).is_err() {
                    state.say("the daemon has not answered yet".to_owned());
                }
            }
        }
    }
}

fn read_keys(happened: &SyncSender<Happened>) {
    loop {
        let event = match event::read() {
            Ok(Event::Key(key)) if !key.is_release() => Happened::Key(key),
            Ok(Event::Resize(..)) => Happened::Resized,
            Ok(_) => continue,
            Err(_) => Happened::End(Exit::Failed),
        };
        let end = matches!(event, Happened::End(_));
        if happened.send(event).is_err() || end {
            return;
        }
    }
}

/// Asks for the use every so often, and for what the keys ask in between.
fn ask(
    client: &Client,
    every: Duration,
    questions: &Receiver<Question>,
    happened: &SyncSender<Happened>,
) {
    let mut names = Names::default();
    let mut watched = None;
    let mut next = Instant::now();
    loop {
        let wait = next.saturating_duration_since(Instant::now());
        match questions.recv_timeout(wait) {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Question::Watch(uid)) => watched = uid,
            Ok(Question::Carry(request)) => {
                let sentence = match client.call(&request) {
                    Ok(Reply::Success { message }) => message,
                    Ok(_) => "done".to_owned(),
                    Err(error) => error.to_string(),
                };
                if happened
                    .send(Happened::Answer(Answer::Done(printable(&sentence))))
                    .is_err()
                {
                    return;
                }
            }
        }
        next = Instant::now() + every;
        let processes = watched.map(|uid| Request::Processes(Processes { uid: Some(uid) }));
        for request in std::iter::once(Request::Usage).chain(processes) {
            let answer = match client.call(&request) {
                Ok(mut reply) => {
                    if let Reply::UsageInfo(info) = &mut reply {
                        for user in &mut info.users {
                            names.fill(Some(user.row.uid), &mut user.row.user);
                        }
                    }
                    Answer::Reply(Box::new(reply))
                }
                Err(error) if matches!(request, Request::Processes(_)) => {
                    Answer::Done(printable(&error.to_string()))
                }
                Err(error) => Answer::Lost(printable(&error.to_string())),
            };
            if happened.send(Happened::Answer(answer)).is_err() {
                return;
            }
        }
    }
}
