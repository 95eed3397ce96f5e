//! Asks the daemon and turns the answer into what is printed.

use std::thread;
use std::time::Duration;

use fairshare_client::{Client, ClientError};
use fairshare_protocol::{Reply, Request, Resize, StatusInfo, frame};

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::Outcome;
use crate::rate::Reading;
use crate::waiting::Waiting;
use crate::{advice, doctor, layout, names, problem, report, show, skew, top, watch};

/// Between two readings of CPU time: two of the periods in which the kernel counts a limit.
const BETWEEN_READINGS: Duration = Duration::from_millis(250);

/// Carries the command out.
pub(crate) fn run(cli: &Cli) -> Outcome {
    if let Some(args) = cli.doctor() {
        return doctor::run(cli, args);
    }
    if let Some(every) = cli.top() {
        return top::run(cli, every);
    }
    match cli.watch() {
        Some(every) => watch::run(cli, every),
        None => once(cli),
    }
}

/// Asks once and shows the answer.
pub(crate) fn once(cli: &Cli) -> Outcome {
    let client = Client::new(cli.socket.clone(), cli.timeout);
    let request = cli.request();
    let answer = ask(&client, &request, cli.json)
        .map(names::filled_in)
        .map_err(names::filled_in_error);
    match answer {
        Ok(reply) if cli.json => json(&reply),
        Ok(reply) => {
            let mut outcome = shown(cli, &client, &reply);
            if let Some(skew) = skew::of_reply(&reply, &request, &client) {
                let warning = layout::wrapped("warning: ", &skew, stderr_width());
                outcome.stderr.push_str(&warning);
            }
            outcome
        }
        Err(error) if cli.json => problem::json(&error),
        Err(error) => {
            let status = if advice::wants_status(&error, &request) {
                client.status().ok()
            } else {
                None
            };
            match skew::of_error(&error, &request, &client) {
                Some(skew) => problem::skewed(&error, &skew),
                None => problem::text(&error, &request, status.as_ref()),
            }
        }
    }
}

fn shown(cli: &Cli, client: &Client, reply: &Reply) -> Outcome {
    match (reply, cli.report()) {
        (Reply::ReportInfo(info), Some(args)) => report::show(info, args),
        (Reply::StatusInfo(info), _) => Outcome::done(status(client, info)),
        _ => Outcome::done(show::reply(reply, layout::width())),
    }
}

/// CPU use now takes a second reading.
fn status(client: &Client, info: &StatusInfo) -> String {
    let first = info.slice.as_ref().and_then(Reading::of_slice);
    let cpu = first.and_then(|first| {
        thread::sleep(BETWEEN_READINGS);
        let second = client.status().ok()?.slice?;
        Reading::of_slice(&second)?.since(first)
    });
    show::status(info, cpu, layout::width())
}

fn ask(client: &Client, request: &Request, json: bool) -> Result<Reply, ClientError> {
    let Request::Resize(Resize { wait: Some(_), .. }) = request else {
        return client.call(request);
    };
    let mut waiting = Waiting::begin(json);
    let answer = client.call_waiting(request, |queued| waiting.show(queued));
    waiting.end();
    answer
}

fn stderr_width() -> layout::Width {
    layout::width_of(std::io::stderr())
}

fn json(reply: &Reply) -> Outcome {
    match frame::encode(reply) {
        Ok(line) => Outcome::done(line),
        Err(error) => Outcome {
            stdout: String::new(),
            stderr: format!("fairshare: cannot write the reply as JSON: {error}\n"),
            exit: Exit::Failed,
        },
    }
}
