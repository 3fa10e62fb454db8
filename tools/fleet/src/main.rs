//! The events of many boards, from JetStream into PostgreSQL with pgvector, and a search over all of them.
//!
//! How far each stream was taken is written in the transaction that writes its events, so a kill at any moment takes none and doubles none;
//! what comes twice under its id, because a board sent it twice, is one row. `boards/fleet` says how events get into JetStream.

mod database;
mod event;
mod place;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::{self, Message};
use clap::{Args, Parser, Subcommand};
use database::{Database, Stream, Taken};
use futures_util::stream::{SelectAll, StreamExt as _, TryStreamExt as _};

/// Messages of one transaction, at most.
const BATCH: usize = 1000;
/// How often streams are looked for that were not there.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The events of many boards in one database.
#[derive(Parser)]
#[command(name = "ocelli-fleet", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take what the boards tell into the database, until it is ended.
    Consume(Consume),
    /// Find events of all boards, those nearest in meaning first.
    Search(Search),
}

#[derive(Args)]
struct Place {
    /// The database, such as `postgresql://ocelli@db.lan/fleet`. In the environment a password is not seen by others.
    #[arg(long, env = "OCELLI_FLEET_DATABASE", hide_env_values = true)]
    database: String,
    /// The program whose text encoder places sentences.
    #[arg(long, default_value = "ocelli")]
    ocelli: PathBuf,
}

#[derive(Args)]
struct Consume {
    #[command(flatten)]
    place: Place,
    /// The hub.
    #[arg(long, default_value = "nats://127.0.0.1:4222")]
    nats: String,
    /// File with credentials of NATS.
    #[arg(long)]
    credentials: Option<PathBuf>,
    /// With what the names of the boards' streams begin.
    #[arg(long, default_value = "FLEET_")]
    streams: String,
}

#[derive(Args)]
struct Search {
    #[command(flatten)]
    place: Place,
    /// What happened, in words.
    what: String,
    /// By the words alone, without the text encoder.
    #[arg(long)]
    words: bool,
    /// Only of this site, or this board of it: `north`, `north/barn`.
    #[arg(long)]
    of: Option<String>,
    /// How many, at most.
    #[arg(long, default_value_t = 10)]
    limit: u32,
}

#[tokio::main]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Consume(arguments) => consume(&arguments).await,
        Command::Search(arguments) => search(&arguments).await,
    }
}

async fn search(search: &Search) -> Result<()> {
    let database = Database::open(&search.place.database).await?;
    let found = if search.words {
        database.find_words(&search.what, search.of.as_deref(), search.limit).await?
    } else {
        let placed = place::of(&search.place.ocelli, std::slice::from_ref(&search.what)).await?;
        database.find_near(&placed[0], search.of.as_deref(), search.limit).await?
    };
    found.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Takes events, and begins anew whatever failed.
async fn consume(arguments: &Consume) -> Result<()> {
    // What is wrong from the start ends it.
    Database::open(&arguments.place.database).await?.prepare().await?;
    tokio::spawn(place_sentences(arguments.place.database.clone(), arguments.place.ocelli.clone()));
    let mut wait = Duration::from_secs(1);
    loop {
        let mut took = false;
        let ended = tokio::select! {
            ended = consume_once(arguments, &mut took) => ended,
            asked = tokio::signal::ctrl_c() => return asked.context("no signal"),
        };
        wait = if took { Duration::from_secs(1) } else { (wait * 2).min(LONGEST_WAIT) };
        eprintln!("fleet: {:#}; trying again in {} s", ended.expect_err("it goes on until it fails"), wait.as_secs());
        tokio::time::sleep(wait).await;
    }
}

/// Takes events until a line fails.
async fn consume_once(arguments: &Consume, took: &mut bool) -> Result<()> {
    let mut database = Database::open(&arguments.place.database).await?;
    let options = match &arguments.credentials {
        Some(file) => async_nats::ConnectOptions::with_credentials_file(file).await.context("credentials")?,
        None => async_nats::ConnectOptions::new(),
    };
    let client = options.connect(&arguments.nats).await.with_context(|| arguments.nats.clone())?;
    let jetstream = jetstream::new(client);
    let mut streams: Vec<Stream> = Vec::new();
    let mut messages = SelectAll::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        let batch = tokio::select! {
            _ = look.tick() => {
                let names: Vec<String> = jetstream.stream_names().try_collect().await.context("no list of streams")?;
                for name in names.into_iter().filter(|name| name.starts_with(&arguments.streams)) {
                    if streams.iter().any(|known| known.name == name) {
                        continue;
                    }
                    let (stream, all) = begin(&jetstream, &mut database, &name).await.with_context(|| name.clone())?;
                    let index = streams.len();
                    messages.push(all.map(move |message| (index, message)).boxed());
                    eprintln!("fleet: {name} from message {}", stream.position + 1);
                    streams.push(stream);
                }
                continue;
            }
            batch = ready(&mut messages), if !messages.is_empty() => batch,
        };
        ensure!(messages.len() == streams.len(), "a stream was taken away");
        let mut taken = Taken::default();
        for (index, message) in batch {
            let message = message.with_context(|| format!("{} ends", streams[index].name))?;
            let position = message.info().map_err(anyhow::Error::msg)?.stream_sequence;
            let stream = &mut streams[index];
            // What the stream left out meanwhile, by age or size, is gone for good: counted, not passed over.
            stream.missed += position.saturating_sub(stream.position + 1);
            stream.position = position;
            taken.add(stream, &message.subject, &message.payload);
        }
        database.write(&streams, taken).await?;
        *took = true;
    }
}

type Messages = SelectAll<futures_util::stream::BoxStream<'static, (usize, Result<Message, pull::OrderedError>)>>;

/// What is there, at least one.
async fn ready(messages: &mut Messages) -> Vec<(usize, Result<Message, pull::OrderedError>)> {
    messages.ready_chunks(BATCH).next().await.unwrap_or_default()
}

/// A stream from where the database has it.
async fn begin(jetstream: &jetstream::Context, database: &mut Database, name: &str) -> Result<(Stream, pull::Ordered)> {
    let mut at_hub = jetstream.get_stream(name).await?;
    let info = at_hub.info().await?;
    // One that was made anew counts from 1 again.
    let created = info.created.unix_timestamp_nanos().to_string();
    let stream = database.stream(name, &created).await?;
    let deliver_policy = DeliverPolicy::ByStartSequence { start_sequence: stream.position + 1 };
    let config = pull::OrderedConfig { deliver_policy, max_batch: BATCH as i64, ..pull::OrderedConfig::default() };
    Ok((stream, at_hub.create_consumer(config).await?.messages().await?))
}

/// Gives each sentence that was not seen before its place, a few at a time and behind the events.
async fn place_sentences(at: String, ocelli: PathBuf) {
    loop {
        let done = async {
            let database = Database::open(&at).await?;
            // Places of other models mean nothing beside those of these.
            if let Some((sentence, place)) = database.placed().await?
                && place::of(&ocelli, &[sentence]).await?[0] != place
            {
                eprintln!("fleet: the text encoder is another one; all sentences are placed anew");
                database.displace().await?;
            }
            loop {
                let sentences = database.without_place().await?;
                if sentences.is_empty() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
                database.place(&sentences, &place::of(&ocelli, &sentences).await?).await?;
            }
        };
        let failed: Result<()> = done.await;
        eprintln!("fleet: sentences are found by words alone for now: {:#}", failed.expect_err("it goes on"));
        tokio::time::sleep(LONGEST_WAIT).await;
    }
}
