//! The program. Commands are dispatched and exit codes decided here, and nowhere else.
#![deny(unsafe_code)]

mod additions;
mod alerts;
mod ask;
mod bench;
mod board;
mod check;
mod cli;
mod condition;
mod config;
mod controls;
mod courier;
mod describe;
mod enforce;
mod error;
mod escalate;
mod events;
mod examples;
mod gateway;
mod glance;
mod held;
mod journal;
mod lessons;
mod moments;
mod panel;
mod plain;
mod plan;
mod privacy;
mod probe;
mod pulse;
mod recall;
mod recording;
mod replay;
mod run;
mod said;
mod sentences;
mod setup;
mod shelf;
mod signs;
mod soak;
mod state;
mod suggest;
mod supervise;
mod thermal;
mod threads;
mod trace;
mod vocab;
mod voice;
mod when;
mod wiring;
mod wish;

use std::process::ExitCode;

use clap::Parser;
use ocelli_heap::{CountingAlloc, Pool};

use crate::cli::{Cli, Command, Vocab, VocabArgs};
use crate::error::note;

#[global_allocator]
static HEAP: CountingAlloc = CountingAlloc;

fn main() -> ExitCode {
    CountingAlloc::join(Pool::Think);
    CountingAlloc::end_with(error::OUT_OF_MEMORY, error::MEMORY_ADVICE);
    let cli = Cli::parse();
    match cli.command {
        // A model runs again and again: an import embeds sentence after sentence, and giving back each time nearly doubles its time.
        Command::Run(_)
        | Command::Replay(_)
        | Command::Bench(_)
        | Command::Soak(_)
        | Command::Vocab(VocabArgs { what: Vocab::Import(_) }) => CountingAlloc::keep_freed(),
        _ => CountingAlloc::return_freed(),
    }
    let done = match &cli.command {
        Command::Run(args) => run::command(args),
        Command::Replay(args) => replay::command(args),
        Command::Check(args) => check::command(args),
        Command::Packs(args) => check::packs(args),
        Command::Bench(args) => bench::command(args),
        Command::Soak(args) => soak::command(args),
        Command::Teach(args) => examples::command(args),
        Command::Events(args) => events::command(args),
        Command::Ask(args) => ask::command(args),
        Command::Digest(args) => ask::digest(args),
        Command::Describe(args) => describe::command(args),
        Command::Yes(args) => events::teach(&args.about, None, false),
        Command::No(args) => events::teach(&args.about, args.was.as_deref(), true),
        Command::Embed => plain::embed(),
        Command::Glance(args) => glance::command(args),
        Command::Probe(args) => probe::command(args),
        Command::Ack(args) => events::acknowledge(args),
        Command::Vocab(args) => vocab::command(args),
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
