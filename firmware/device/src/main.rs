//! The program. Commands are dispatched and exit codes decided here, and nowhere else.

mod check;
mod cli;
mod config;
mod error;
mod plan;
mod pulse;
mod replay;
mod run;
mod soak;
mod state;
mod voice;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::error::note;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Run(args) => run::command(args),
        Command::Replay(args) => replay::command(args),
        Command::Check(args) => check::command(args),
        Command::Packs(args) => check::packs(args),
        Command::Soak(args) => soak::command(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_quiet() {
                note(&error);
            }
            error.code()
        }
    }
}
