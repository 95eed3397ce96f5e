//! Figures of the fairshare daemon for Prometheus, over HTTP.
//!
//! A process of its own, because whoever reads HTTP should not be root and the daemon should have
//! no network: `docs/decisions/0040-metrics-by-a-process-of-their-own.md`. It is a client of the
//! daemon's socket like any other, and holds nothing but the last answer.
//!
//! ```text
//! main ─ args      the command line
//!      ├ socket    where it listens: systemd's socket, or one of its own
//!      └ server    HTTP within limits
//!          └ scrape    asks the daemon, one at a time
//!              └ families    which figures there are
//!                  └ text    how they are written
//! ```

#![forbid(unsafe_code)]

mod args;
mod families;
mod scrape;
mod server;
mod socket;
mod text;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::scrape::Scraper;
use crate::socket::Listener;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("fairshare-exporter: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // One scrape at a time asks the daemon; the second is for one that has just been given up.
        .max_blocking_threads(2)
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(async {
        let listener = match args.listen() {
            Some(address) => Listener::bind(address)?,
            None => Listener::inherited()?,
        };
        server::serve(listener, Scraper::new(args.socket(), args.users())).await
    })
}
