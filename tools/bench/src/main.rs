//! Serves measurements over standard input and output; see `ocelli_bench`.

use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;
use ocelli_bench::{Server, answer, cases};
use ocelli_heap::CountingAlloc;
use ocelli_infer::Pack;
use serde_json::json;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

/// Runs our STAB on real clips on request. `tools/bench/stab.py` asks; `cargo xtask bench stab` starts both.
#[derive(Parser)]
struct Arguments {
    /// Folder of the pack.
    #[arg(long)]
    pack: PathBuf,
    /// Folder of real clips (gmdcsa24, assist-iot, intel-samples); without it the demonstration's clip stands for them.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The demonstration's clip.
    #[arg(long)]
    demo: PathBuf,
    /// Where canvases go.
    #[arg(long)]
    out: PathBuf,
    /// Fewer clips and rounds.
    #[arg(long)]
    quick: bool,
}

fn main() -> Result<()> {
    let Arguments { pack, data, demo, out, quick } = Arguments::parse();
    let pack = Pack::open(&pack)?;
    let cases = cases(&pack, data.as_deref(), &demo, quick)?;
    let mut server = Server::new(pack, cases, quick)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", server.introduce(&out)?)?;
    for request in io::stdin().lock().lines() {
        let request = request.context("requests are lines of text")?;
        let said = answer(&mut server, &request).unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        writeln!(stdout, "{said}")?;
    }
    Ok(())
}
