//! The program behind `cargo xtask bench`; see `ocelli_bench`.

use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use ocelli_bench::{
    Server, Talker, answer, cases, clips, conditions, drop_curve, journal_table, kv_report, needle, recall, table,
    vocabulary_table, watch, write_days,
};
use ocelli_heap::CountingAlloc;
use ocelli_infer::Pack;
use serde_json::json;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

/// Measures STAB and memory on real clips.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Runs STAB on request, a line each, and answers with a line of JSON. `tools/bench/stab.py` asks.
    Stab {
        #[command(flatten)]
        on: On,
        /// Where canvases go.
        #[arg(long)]
        out: PathBuf,
    },
    /// Token drop against what the narrator says, the KV cache, and events found again after a day.
    Memory {
        #[command(flatten)]
        on: On,
        /// Find the similarity at which so much is dropped.
        #[arg(long, default_value_t = 0.828)]
        target_drop: f64,
        /// A folder with recorded queries, keys and values; may be given more than once.
        #[arg(long)]
        kv: Vec<PathBuf>,
        /// Write the figures into this file.
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// What the memory's tiers recall of a clip, and what was told of it; a line of JSON. `tools/eval/language/memory.py` asks.
    Recall {
        /// Folder of the pack.
        #[arg(long)]
        pack: PathBuf,
        /// The clip.
        clip: PathBuf,
    },
    /// What standing conditions cost a picture, many at once; a line of JSON.
    Conditions,
    /// Searches in a journal of many events.
    Journal {
        /// How many.
        #[arg(long, default_value_t = 100_000)]
        events: u64,
        /// Where it is made.
        #[arg(long)]
        work: PathBuf,
    },
    /// What vocabularies of a hundred to a hundred thousand sentences take, and what a look-up takes and finds.
    Vocabulary {
        /// What `tools/bench/vocabulary.py` made.
        #[arg(long)]
        from: PathBuf,
    },
    /// Writes a journal of simulated days, which come as lines of JSON on standard input.
    Days {
        /// Folder of the pack whose sentences are said.
        #[arg(long)]
        pack: PathBuf,
        /// The journal.
        #[arg(long)]
        journal: PathBuf,
    },
    /// Runs the generative head on request, a line of JSON each. `tools/eval/language/generate.py` asks.
    Generate {
        /// Folder of the head.
        #[arg(long)]
        head: PathBuf,
    },
}

#[derive(Args)]
struct On {
    /// Folder of the pack.
    #[arg(long)]
    pack: PathBuf,
    /// Folder of real clips (gmdcsa24, assist-iot, intel-samples); without it the demonstration's clip stands for them.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The demonstration's clip.
    #[arg(long)]
    demo: PathBuf,
    /// Fewer clips and rounds.
    #[arg(long)]
    quick: bool,
}

fn main() -> Result<()> {
    CountingAlloc::keep_freed();
    match Arguments::parse().what {
        What::Stab { on, out } => stab(on, &out),
        What::Conditions => {
            println!("{}", conditions());
            Ok(())
        }
        What::Recall { pack, clip } => {
            let pack = Pack::open(&pack)?;
            println!("{}", recall(&pack, &watch(&pack, &clip)?)?);
            Ok(())
        }
        What::Vocabulary { from } => vocabulary_table(&from),
        What::Journal { events, work } => journal_table(&work, events),
        What::Days { pack, journal } => {
            let events = write_days(io::stdin().lock(), &Pack::open(&pack)?, &journal)?;
            eprintln!("{events} events");
            Ok(())
        }
        What::Generate { head } => generate(&head),
        What::Memory { on, target_drop, kv, json } => memory(&on, target_drop, &kv, json.as_deref()),
    }
}

fn stab(on: On, out: &Path) -> Result<()> {
    let On { pack, data, demo, quick } = on;
    let pack = Pack::open(&pack)?;
    let cases = cases(&pack, data.as_deref(), &demo, quick)?;
    let mut server = Server::new(pack, cases, quick)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", server.introduce(out)?)?;
    for request in io::stdin().lock().lines() {
        let request = request.context("requests are lines of text")?;
        let said = answer(&mut server, &request).unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        writeln!(stdout, "{said}")?;
    }
    Ok(())
}

fn generate(head: &Path) -> Result<()> {
    let mut talker = Talker::new(head)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", talker.introduce())?;
    for request in io::stdin().lock().lines() {
        let said = talker.answer(&request.context("requests are lines of text")?);
        writeln!(stdout, "{}", said.unwrap_or_else(|error| json!({ "error": format!("{error:#}") })))?;
    }
    Ok(())
}

/// Falls of the first subject are the events of the needle test; people who do not fall are its background.
fn memory(On { pack, data, demo, quick }: &On, target_drop: f64, kv: &[PathBuf], json: Option<&Path>) -> Result<()> {
    let pack = Pack::open(pack)?;
    let kv = kv_report(kv)?;
    let drop = drop_curve(&pack, data.as_deref(), demo, *quick, target_drop)?;
    let needle = match data {
        None => json!(null),
        Some(data) => {
            let paths = clips(&data.join("gmdcsa24"))?;
            let falls = |path: &&PathBuf| path.to_string_lossy().to_lowercase().contains("fall");
            let event = paths.iter().find(falls).context("no clip of a fall")?;
            let quiet: Vec<&PathBuf> = paths.iter().filter(|path| !falls(path)).collect();
            let background = quiet.iter().map(|path| watch(&pack, path)).collect::<Result<Vec<_>>>()?;
            needle(&pack, &background, &watch(&pack, event)?, "fall", if *quick { 2.4 } else { 24.0 })?
        }
    };
    let found = json!({ "drop": drop, "kv": kv, "needle": needle });
    println!("{}", table(&found, target_drop));
    if let Some(path) = json {
        fs::write(path, format!("{found}\n")).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
