//! Asks the daemon and turns the answer into what is printed.

use fairshare_client::Client;
use fairshare_protocol::{Reply, frame};

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::Outcome;
use crate::{advice, layout, names, problem, show};

/// Carries the command out.
pub(crate) fn run(cli: &Cli) -> Outcome {
    let client = Client::new(cli.socket.clone(), cli.timeout);
    let request = cli.request();
    match client.call(&request).map(names::filled_in) {
        Ok(reply) if cli.json => json(&reply),
        Ok(reply) => Outcome::done(show::reply(&reply, layout::width())),
        Err(error) if cli.json => problem::json(&error),
        Err(error) => {
            let status = if advice::wants_status(&error) {
                client.status().ok()
            } else {
                None
            };
            problem::text(&error, &request, status.as_ref())
        }
    }
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
