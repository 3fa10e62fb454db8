//! Says what the panel's firmware takes, and sends it garbage: `ocelli-emulated --frames 100000 [--json FILE]`.

use std::path::PathBuf;
use std::{env, fs, panic, thread};

use anyhow::{Context as _, Result, bail, ensure};
use ocelli_emulated::{BOARDS, Board, Build, build, lacking, sizes, survive};
use serde_json::{Value, json};

/// What a board must have left of its stack, whatever comes.
const LEAST_STACK_LEFT: u64 = 1024;

fn main() -> Result<()> {
    let (mut frames, mut file) = (100_000, None);
    let mut arguments = env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--frames" => frames = value.parse().context("--frames is a number")?,
            "--json" => file = Some(PathBuf::from(value)),
            _ => bail!("there is no {name}; there are: --frames, --json"),
        }
    }
    if let Some(why) = lacking() {
        bail!("the firmware cannot be tested here: {why}");
    }
    let mut of_boards = Vec::new();
    println!("firmware          flash  of budget    RAM  of chip   stack room");
    for board in &BOARDS {
        let took = sizes(&build(board, Build::Board)?)?;
        let room = board.ram.checked_sub(took.ram).context("more variables than RAM")?;
        println!(
            "{:<14} {:>8} {:>10} {:>6} {:>8} {room:>12}",
            board.name, took.flash, board.flash_budget, took.ram, board.ram
        );
        ensure!(took.flash <= board.flash_budget, "{} takes more flash than its budget", board.name);
        of_boards.push(json!({
            "board": board.name,
            "target": board.target,
            "flash_bytes": took.flash,
            "flash_budget_bytes": board.flash_budget,
            "ram_bytes": took.ram,
            "ram_of_chip_bytes": board.ram,
            "stack_room_bytes": room,
            "emulated": board.cpu.is_some(),
        }));
    }
    // Beside each other: they mostly wait for their lines.
    let all = thread::scope(|scope| {
        let emulated = BOARDS.iter().filter(|board| board.cpu.is_some());
        let started: Vec<_> = emulated.map(|board| scope.spawn(move || of_garbage(board, frames))).collect();
        let ended = started.into_iter().map(|run| run.join().unwrap_or_else(|panic| panic::resume_unwind(panic)));
        ended.collect::<Vec<_>>()
    });
    let garbage = all.into_iter().collect::<Result<Vec<Value>>>()?;
    if let Some(file) = file {
        let report = json!({ "sizes": of_boards, "garbage": garbage });
        fs::write(&file, format!("{}\n", serde_json::to_string_pretty(&report)?))
            .with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// What a board came through. It is printed at once, for another board may take longer, or fail.
fn of_garbage(board: &Board, frames: u64) -> Result<Value> {
    let survived = survive(board, frames).with_context(|| format!("{} and garbage", board.name))?;
    let left = survived.status.stack_left.context("it counts its stack")?;
    ensure!(u64::from(left) >= LEAST_STACK_LEFT, "{} has only {left} bytes of stack left", board.name);
    let report = survived.report(board);
    println!("{report}");
    Ok(report)
}
