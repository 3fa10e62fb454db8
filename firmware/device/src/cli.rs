//! The command line: what can be asked for, with help that teaches.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ocelli_types::{Severity, SizePx};

use crate::config::{self, CameraTable, CommandFormat, Config, ConfigError, Profile, Verbosity};
use crate::said::SeverityName;
use crate::setup;
use crate::when::{When, parse_last, parse_since, parse_time};

const EXIT_CODES: &str = "\
Exit codes:
  0  done (also when the reader of the output has gone, as `head` does)
  1  the events could not be written, or the journal, a display or a pin not used, or the system refused what it should not
  2  the command line or the config is wrong
  3  the camera, clip or command cannot be used or gives no picture (of several cameras: none does), or the clip is
     damaged (what was seen before is still told)
  4  the pack cannot be used
  5  the memory plan exceeds the budget, or would with a picture as large as this one
  6  out of memory: the system, or with --enforce the budget, gives no more
A second SIGINT or SIGTERM ends the program at once, with 1.";

const RUN_EXAMPLES: &str = "\
Examples:
  ocelli run                                         the first camera of this machine
  ocelli run --device /dev/video2 --json             one JSON object a line
  ocelli run --state hall.state                      remembers across restarts
  ocelli run --verbosity quiet                       who comes and goes, falls, who lies; `full` also what still goes on
  ocelli run clip.mp4                                a clip, at the speed at which it was recorded
  ocelli run --command 'rpicam-vid -t 0 -n --codec mjpeg -o -; exit 1' --command-format mjpeg
  ocelli run --rtsp rtsp://camera.lan/stream
  ocelli run --command 'ffmpeg -loglevel error -i http://camera/stream -f yuv4mpegpipe -pix_fmt yuv420p -; exit 1'";

const REPLAY_EXAMPLES: &str = "\
Examples:
  ocelli replay clip.mp4                             lines for people
  ocelli replay clip.mp4 --json > events.jsonl       lines for programs
  ocelli replay clip.mp4 --stages                    what a frame costs, stage by stage
  ocelli replay clip.mp4 --trace why.jsonl           why something was said, or was not";

const BENCH_EXAMPLES: &str = "\
Examples:
  ocelli bench                                       a table: still room, much movement, and the worst that there is
  ocelli bench --json rpi5.json                      the same for programs, with what the machine is
  ocelli bench --compare rpi5.json orin.json --page boards.html
The pictures are made by the program, 640x480, and go through one thread, one after the other; the shares of a core are at the
pack's own rate. Let nothing else run meanwhile.";

const TEACH_EXAMPLES: &str = "\
Examples:
  ocelli teach 'the bin is put out' --last 10s                 it happened just now: said from now on where it looks like that
  ocelli teach 'the bin is put out' --from '2026-11-26 18:30' --to '2026-11-26 18:31' --severity notice
                                                               a second example; the place is the mean of all
  ocelli yes 17    ocelli no 19                                what is said of it is right, or wrong: moves it, or narrows it
  ocelli teach --list
  ocelli teach --export 'the bin is put out' > bin.jsonl       ocelli vocab import bin.jsonl, on another device
  ocelli teach --delete 'the bin is put out'
With --last and --from what the camera saw then is taken from the journal (--journal FILE, or what the config says), which keeps
it for ten minutes in which much happens and longer where little does; the sentence goes into --vocabulary FILE, which a running
`ocelli run` follows within two seconds.

Of events on standard input:
  ocelli run --json --evidence --out events.jsonl              write events that can be taught
  tail -1 events.jsonl | ocelli teach hall.lessons             that was right
  grep '\"id\":7,' events.jsonl | ocelli teach hall.lessons --was sit
                                                               no, somebody sat
  grep '\"id\":9,' events.jsonl | ocelli teach hall.lessons --wrong
                                                               no, whatever it was
  ocelli run --lessons hall.lessons                            knows from now on
Each camera has lessons of its own: what is right in one room is not in another. A lesson counts where the picture looks like
the one that it was taught on. It says most when it names what really happened. Nothing is trained, and deleting a line of the
file takes its lesson back. Of one event the newest lesson holds.";

const EVENTS_EXAMPLES: &str = "\
Examples (FILE is --journal FILE, or what the config says):
  ocelli events                                      the newest events, the newest last
  ocelli events --since 2h                           of the last two hours
  ocelli events --since 2026-11-26 --until '2026-11-26 12:00'
                                                     of a morning (local time; with --utc in UTC)
  ocelli events fall                                 that say a word that begins so; of several words all
  ocelli events --kind fall --camera hall            of a kind of the pack, at one camera
  ocelli events --kind blind                         when a camera was not seen (also: alert, alert_end, health, camera)
  ocelli events --about person                       about a person (also: people, pet, door, light, television, object)
  ocelli events --severity notice --json             one JSON object a line
  ocelli events --like 17                            what looked like event 17, the most alike first
  ocelli no 17 --was sit                             event 17 was wrong: see `ocelli no --help`
A narration that goes on with one of its kind shortly before becomes part of its event, which has the id of the first. Times in
which the program did not run are shown as holes, unless words, a kind, a severity or a camera are asked for.";

const ACK_EXAMPLES: &str = "\
Examples:
  ocelli events --kind alert                         the alerts, with their ids
  ocelli ack 17                                      somebody knows of alert 17 (the journal is that of the config)
  ocelli ack 17 --journal hall.journal
A running `ocelli run` with this journal sees it within a second or two. With `escalate_after` in [alerts] of its config it tells an
alarm again until then.";

const ASK_EXAMPLES: &str = "\
Examples (FILE is --journal FILE, or what the config says):
  ocelli ask 'When did someone last come in?'        also: first, how often, how long, since when
  ocelli ask 'Did anyone fall last night?'           yes or no, with when
  ocelli ask 'Is anyone home now?'                   also: was the light on at 9 pm
  ocelli ask 'What happened between 8 and 9 in the kitchen?'
                                                     a camera is meant by its name
  ocelli ask 'What came right after the door opened?'
  ocelli ask - --json < questions.txt                a question a line, an answer a line
  ocelli ask --word 'When did someone last come in?' in the words of the model that `cargo xtask pack smollm2` makes
Times are those of this machine's time zone; an hour without am or pm is that of a clock with 24 hours. What is asked about is
found among the sentences that can be said, by the text encoder (models/minilm); without it by their words alone. An answer names
the events that it rests on (`ocelli events` shows them) and the times in which nobody looked. What is not known is not answered.";

const DIGEST_EXAMPLES: &str = "\
Examples:
  ocelli digest                                      yesterday
  ocelli digest --day today --camera hall
  ocelli digest --day 2026-11-26 --json
Chapters end where nothing was told for half an hour, or where what is told becomes other; each is called by what sets it apart.";

const DESCRIBE_EXAMPLES: &str = "\
Examples (FILE is --journal FILE, or what the config says):
  ocelli describe --since 1h                         what happened in the last hour
  ocelli describe --since 2026-11-26 --camera hall   in the hall on a day
  ocelli describe --since 3h --seconds 5             in what words can be found in 5 seconds
  ocelli describe --since 1h --schema note.json      as JSON of this form
The words are those of a small language model (`cargo xtask pack smollm2` makes it; 166 MB on disk, and 180 MiB of memory while
it words). It may say only what the events say: each sentence is held against its event, names, times, numbers and all. Where it says
more, or where there is no such model, the event itself is told. Ctrl-C ends the wording; the rest is told as it is.";

const YES_EXAMPLES: &str = "\
Examples:
  ocelli yes 17                                      event 17 was right
  ocelli yes 17 --lessons hall.lessons               where the config names no lessons for its camera
As `ocelli teach` with the event's line, which need not be kept: the journal has what it takes. Use it from the next start on.";

const NO_EXAMPLES: &str = "\
Examples:
  ocelli no 17                                       event 17 was wrong, whatever it was
  ocelli no 17 --was sit                             somebody sat: says more than no alone
As `ocelli teach` with the event's line, which need not be kept: the journal has what it takes. Use it from the next start on.";

const VOCAB_EXAMPLES: &str = "\
Examples:
  ocelli vocab add 'the cat jumps on the counter'              a kind of its own, of severity info
  ocelli vocab add 'smoke comes from the stove' --severity alarm
  ocelli vocab add 'somebody takes a nap' --kind lie           said where the pack sees somebody lie
  ocelli vocab add 'Someone is standing.' --in 'de=Jemand steht.' --in 'zh=有人站着。'
  grep '\"id\":7,' events.jsonl | ocelli vocab add 'the cat jumps on the counter' --seen
                                                               placed by what was seen then, not by its words
  ocelli vocab suggest                                         what had no name, in groups (FILE is --journal FILE)
  ocelli vocab add 'the cat jumps on the counter' --seen u3,u5 names one of them
  ocelli vocab import sentences.txt                            one a line; or TOML with [[entry]] tables; or JSON lines (.jsonl)
  ocelli vocab list
  ocelli vocab remove 'the cat jumps on the counter'
The file is --vocabulary FILE, or `vocabulary` in the config; a running `ocelli run` with the same one follows it within two
seconds, as far as memory was set aside for it at the start: for 2000 sentences, or `vocabulary_room` of the config, 100,000 at
most, which `ocelli check` shows. An import is whole or not at all; one that was interrupted goes on where it was when it is begun
again, and does not keep others from changing the file meanwhile. A sentence counts from its floor on, a cosine between what is seen and what it means: raise the --floor of one that is
said too often. The camera knows by words what it was trained on, and little else; what was seen once it knows again with --seen.";

const SOAK_NOTES: &str = "\
Ends with 0 if the resident set is within the plan and flat, both within uptimes and from one to the next (told where three
are left without warm-up, which takes some ten hours), steps become no slower, and every picture and hole is accounted for,
else with 1. An uptime is a process of its own; a power cut kills it.
Faults come about as often as these: a damaged picture in 500, a lost one in 300, the camera away each 20 minutes, a
restart each 2 hours, half of them power cuts, a third of them with a wall clock that was set back.";

/// A camera that understands, offline: narrates what it sees, from a camera or a clip, within a fixed memory budget.
#[derive(Debug, Parser)]
#[command(name = "ocelli", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Narrate a camera, a command's video or a clip, in real time.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Narrate a clip as fast as possible; the same clip and pack give the same bytes.
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Check config, pack, board, cameras and the memory plan, and print them.
    Check(CheckArgs),
    /// List the packs that can be found.
    Packs(PacksArgs),
    /// Measure what a picture costs on this machine, by pictures that are the same everywhere, and compare machines.
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(BenchArgs),
    /// Play clips for hours of simulated time, with a camera's faults and restarts, and tell whether anything grows.
    #[command(after_help = SOAK_NOTES)]
    Soak(SoakArgs),
    /// Teach what happened a moment ago, in words, or what was right or wrong in events, so that the camera does better from now on.
    #[command(after_help = TEACH_EXAMPLES)]
    Teach(TeachArgs),
    /// List what was said, or search in it: by words, by time, by camera, by kind, by what looked alike.
    #[command(after_help = EVENTS_EXAMPLES)]
    Events(EventsArgs),
    /// Answer a question about the past, from the journal: when, how often, how long, what, before and after.
    #[command(after_help = ASK_EXAMPLES)]
    Ask(AskArgs),
    /// Tell a day in chapters, with counts, alerts and the times in which nobody looked.
    #[command(after_help = DIGEST_EXAMPLES)]
    Digest(DigestArgs),
    /// Tell what happened in a while in a few words, which say no more than the events.
    #[command(after_help = DESCRIBE_EXAMPLES)]
    Describe(DescribeArgs),
    /// An event of the journal was right; the camera learns from it.
    #[command(after_help = YES_EXAMPLES)]
    Yes(YesArgs),
    /// An event of the journal was wrong; the camera learns from it.
    #[command(after_help = NO_EXAMPLES)]
    No(NoArgs),
    /// Say that somebody knows of an alert, so that it is not told again.
    #[command(after_help = ACK_EXAMPLES)]
    Ack(AckArgs),
    /// Where each line of standard input lies in the vocabulary's space: the program starts itself so.
    #[command(hide = true)]
    Embed,
    /// What the model sees in pictures on standard input: the program starts itself so.
    #[command(hide = true)]
    Glance(GlanceArgs),
    /// A picture of the camera that standard input names: the program starts itself so.
    #[command(hide = true)]
    Probe(ProbeArgs),
    /// Add sentences that can be said, in plain words, and take them back.
    #[command(after_help = VOCAB_EXAMPLES)]
    Vocab(VocabArgs),
}

/// What most commands share.
#[derive(Debug, Args)]
pub struct Common {
    /// Config file (TOML); `ocelli check --schema` prints what it may say.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What kind of machine this is, for defaults: host, rpi-zero2w, rpi4, rpi5, jetson-orin-nano, the path of a board file of
    /// one's own, `none`, or `auto`: what its device tree says.
    #[arg(long, value_name = "BOARD")]
    pub board: Option<String>,
    /// Name of a pack, or the path of its folder.
    #[arg(long, value_name = "PACK")]
    pub pack: Option<String>,
    /// What kind of board: its default budget.
    #[arg(long, value_enum, value_name = "PROFILE")]
    pub profile: Option<Profile>,
    /// The most memory to plan for, such as 128MiB.
    #[arg(long, value_name = "BYTES", value_parser = config::parse_bytes)]
    pub memory_budget: Option<u64>,
    /// The file of one's own sentences; see `ocelli vocab`.
    #[arg(long, value_name = "FILE")]
    pub vocabulary: Option<PathBuf>,
    /// The file of cameras and zones in the place of the config's: the program starts itself so to check one.
    #[arg(long, value_name = "FILE", hide = true)]
    pub setup: Option<PathBuf>,
}

/// Where events go.
#[derive(Debug, Args)]
pub struct Output {
    /// One JSON object a line in place of lines for people.
    #[arg(long)]
    pub json: bool,
    /// Append the events to a file in place of standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// With each narration in JSON what `ocelli teach` needs to learn from it: 0.8 KB more a line.
    #[arg(long, requires = "json")]
    pub evidence: bool,
    /// How much is told of what is seen. Alerts always are.
    #[arg(long, value_enum, value_name = "HOW MUCH")]
    pub verbosity: Option<Verbosity>,
}

/// `ocelli run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A clip to play; without one the camera runs.
    #[arg(conflicts_with_all = ["device", "command", "rtsp"])]
    pub clip: Option<PathBuf>,
    /// Camera node, such as /dev/video0.
    #[arg(long, value_name = "NODE", conflicts_with_all = ["command", "rtsp"])]
    pub device: Option<PathBuf>,
    /// A camera of the network, such as `rtsp://camera.lan/stream`. A user and a password may stand in it, where others on this
    /// machine can read them; `rtsp_password_file` in the config keeps them apart.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "command")]
    pub rtsp: Option<String>,
    /// A command whose standard output is the video. Started again when it fails; when it ends with 0, so does the run,
    /// therefore `; exit 1` after a command that should never end.
    #[arg(long, value_name = "SHELL COMMAND")]
    pub command: Option<String>,
    /// What the command writes.
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "rtsp")]
    pub command_format: Option<CommandFormat>,
    /// Wanted picture size, such as 640x480; the size of a command's raw pictures.
    #[arg(long, value_name = "WxH", value_parser = config::parse_size, conflicts_with = "rtsp")]
    pub size: Option<SizePx>,
    /// A folder in which the memory of a camera or command is kept, so that it outlives a restart.
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// The file of what this camera was taught; see `ocelli teach`.
    #[arg(long, value_name = "FILE")]
    pub lessons: Option<PathBuf>,
    /// A file in which events are kept, for `ocelli events`; their ids go on from run to run.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Let the system hold the memory budget: a cgroup where one is ours, else a limit of this process. Commands are not
    /// held.
    #[arg(long)]
    pub enforce: bool,
    /// End after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<f64>,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli replay`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The clip: MP4, MOV, MKV (H.264), Y4M, MJPEG; other formats through an installed ffmpeg.
    pub clip: PathBuf,
    /// The file of what the camera of this clip was taught; see `ocelli teach`.
    #[arg(long, value_name = "FILE")]
    pub lessons: Option<PathBuf>,
    /// A file in which events are kept, for `ocelli events`; their ids go on from those in it.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// When the clip began, such as 2026-11-26T18:30:00Z: the date of its events in the journal, and what the
    /// `times` of alerts go by. Without it they have none.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub at: Option<u64>,
    /// Print what a frame costs, stage by stage, to standard error.
    #[arg(long)]
    pub stages: bool,
    /// Write for each picture that the model saw how probable each kind of happening was, smoothed as for speaking, into
    /// this file: one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// One JSON object: the memory plan.
    #[arg(long, conflicts_with = "schema")]
    pub json: bool,
    /// Print the JSON schema of the config file and end.
    #[arg(long)]
    pub schema: bool,
    /// The file of the journal, as for `ocelli run`.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// The camera that was set up and must not be left out: the program starts itself so before it keeps one.
    #[arg(long, value_name = "NAME", hide = true)]
    pub camera: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli packs`
#[derive(Debug, Args)]
pub struct PacksArgs {
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// `ocelli bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Pictures of each case.
    #[arg(long, default_value_t = 100, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub pictures: u64,
    /// Write the report into this file too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Measure nothing; put the reports of several machines side by side.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["json", "pictures"])]
    pub compare: Vec<PathBuf>,
    /// With --compare: write a page, too.
    #[arg(long, value_name = "FILE", requires = "compare")]
    pub page: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli soak`
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// The clips, played in turn until the time is over.
    #[arg(required = true)]
    pub clips: Vec<PathBuf>,
    /// Hours of stream time.
    #[arg(long, default_value_t = 24.0)]
    pub hours: f64,
    /// Where the memory is kept meanwhile. Default: a temporary folder.
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// Faults and restarts come so many times more often.
    #[arg(long, default_value_t = 1, value_name = "TIMES")]
    pub hurry: u64,
    /// Other faults with another number.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the report, one JSON object, into this file too.
    #[arg(long = "json", value_name = "FILE")]
    pub json_file: Option<PathBuf>,
    /// Be one uptime of a soak whose memory is kept there: the program starts itself so.
    #[arg(long, value_name = "FOLDER", hide = true)]
    pub uptime: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli teach`
#[derive(Debug, Args)]
pub struct TeachArgs {
    /// With --last or --from: what happened then, in words. Without: the camera's file of lessons; made if it is not there.
    #[arg(value_name = "TEXT|LESSONS", required_unless_present_any = ["list", "export", "delete"])]
    pub what: Option<String>,
    /// It happened so long ago or less, such as 10s.
    #[arg(long, value_name = "TIME", value_parser = parse_last, conflicts_with_all = ["from", "to", "was", "wrong"])]
    pub last: Option<Duration>,
    /// It happened from then on: so long ago (2m), or a time ('2026-11-26 18:30' here, 2026-11-26T18:30:00Z).
    #[arg(long, value_name = "TIME", value_parser = parse_since, conflicts_with_all = ["was", "wrong"])]
    pub from: Option<When>,
    /// It happened before: as for --from. Default: now.
    #[arg(long, value_name = "TIME", value_parser = parse_since, requires = "from")]
    pub to: Option<When>,
    /// The journal, which has what was seen. Default: that of the config.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// The camera that saw it, where the journal has several.
    #[arg(long, value_name = "NAME")]
    pub camera: Option<String>,
    /// Its kind. Default: a kind of its own.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// How much it matters; alarm raises an alert. Default: as others of its kind, else info.
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub severity: Option<SeverityName>,
    /// What really happened in the events on standard input: a kind of the pack, such as sit, or one of its sentences.
    #[arg(long, value_name = "KIND")]
    pub was: Option<String>,
    /// It was not what was said (with --was: not that either).
    #[arg(long)]
    pub wrong: bool,
    /// Show what was taught by examples.
    #[arg(long, conflicts_with_all = ["export", "delete", "what"])]
    pub list: bool,
    /// With --list: one JSON object a line.
    #[arg(long, requires = "list")]
    pub json: bool,
    /// Write what was taught of this text to standard output, for `ocelli vocab import FILE.jsonl` elsewhere with the same pack.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["delete", "what"])]
    pub export: Option<String>,
    /// Forget this text, and the lessons on it in the files that the config names, or in this one.
    #[arg(long, value_name = "TEXT")]
    pub delete: Option<String>,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli events`
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Words of the text, or what they begin with; all of them must be there.
    pub words: Vec<String>,
    /// The journal. Default: that of the config.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Not before: so long ago (90m, 2h, 3d), a local time (2026-11-26, '2026-11-26 18:30'), or one in UTC (2026-11-26T18:30:00Z).
    /// What has no date is left out.
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<When>,
    /// Only before: as for --since.
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub until: Option<When>,
    /// Of the camera of this name.
    #[arg(long, value_name = "NAME")]
    pub camera: Option<String>,
    /// Of this kind: one of the pack (fall, walk), or `narration`, `alert`, `alert_end`, `blind`, `health`, `camera`.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Whom or what it is about, as the pack says of its kinds: person, people, pet, door, light, television, object.
    #[arg(long, value_name = "WHAT")]
    pub about: Option<String>,
    /// As severe as this, or more.
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub severity: Option<SeverityArg>,
    /// Narrations that looked like the event with this id, the most alike first.
    #[arg(long, value_name = "ID")]
    pub like: Option<u64>,
    /// How many at most, up to 1000.
    #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// One JSON object a line; its times are in UTC.
    #[arg(long)]
    pub json: bool,
    /// Times in UTC, in place of local time; also those of --since and --until.
    #[arg(long)]
    pub utc: bool,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli ack`
#[derive(Debug, Args)]
pub struct AckArgs {
    /// The id of the alert: `ocelli events --kind alert` shows it.
    pub id: u64,
    /// The journal. Default: that of the config.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli ask`
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The question, in English; `-` for one a line on standard input.
    #[arg(required = true)]
    pub question: Vec<String>,
    /// Tell an answer that rests on events in the words of the small language model of `ocelli describe`, as far as the answer bears them
    /// out; else, or without the model, as ever.
    #[arg(long, conflicts_with = "json")]
    pub word: bool,
    /// A JSON schema that the answer follows, a line of JSON: its numbers, choices, yes and no are those of the answer, or the line is
    /// `null` and it is said why. With --word its texts are worded within that form.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub schema: Option<PathBuf>,
    /// The folder of the memory, as for `ocelli run`; what it holds is named beside an answer that something never was.
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    #[command(flatten)]
    pub of: OfJournal,
}

/// `ocelli digest`
#[derive(Debug, Args)]
pub struct DigestArgs {
    /// The day: today, yesterday, or a date such as 2026-11-26.
    #[arg(long, default_value = "yesterday")]
    pub day: String,
    #[command(flatten)]
    pub of: OfJournal,
}

/// What is asked, and when.
#[derive(Debug, Args)]
pub struct OfJournal {
    /// The journal. Default: that of the config.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Of the camera of this name.
    #[arg(long, value_name = "NAME")]
    pub camera: Option<String>,
    /// As if it were this time, in UTC (2026-11-26T18:30:00Z). Default: what the clock says.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub now: Option<u64>,
    /// JSON, one object a line.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli describe`
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// The journal. Default: that of the config.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Not before: so long ago (90m, 2h, 3d), or a time (2026-11-26 or '2026-11-26 18:30' here, 2026-11-26T18:30:00Z).
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<When>,
    /// Only before: as for --since.
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub until: Option<When>,
    /// Of the camera of this name.
    #[arg(long, value_name = "NAME")]
    pub camera: Option<String>,
    /// Tokens (pieces of words) that are said, at most.
    #[arg(long, default_value_t = 600, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub tokens: u16,
    /// How long wording may take; then the events themselves are told.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS", value_parser = parse_seconds)]
    pub seconds: f64,
    /// A JSON schema (a small part of it: object, array, string, integer, number, boolean, null, enum) that the answer follows, a line of
    /// JSON. Where no event bears a text out the events stand in its place, as far as there is room; a number that none
    /// has makes it `null`. What an enum names, yes and no are the model's own opinion.
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

/// Which event a lesson is about, and where it goes.
#[derive(Debug, Args)]
pub struct AboutArgs {
    /// The id of the event: `ocelli events` shows it.
    pub id: u64,
    /// The journal. Default: that of the config.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// The camera's file of lessons. Default: that of the config for the event's camera.
    #[arg(long, value_name = "FILE")]
    pub lessons: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli yes`
#[derive(Debug, Args)]
pub struct YesArgs {
    #[command(flatten)]
    pub about: AboutArgs,
}

/// `ocelli no`
#[derive(Debug, Args)]
pub struct NoArgs {
    #[command(flatten)]
    pub about: AboutArgs,
    /// What really happened: a kind of the pack, such as sit, or one of its sentences.
    #[arg(long, value_name = "KIND")]
    pub was: Option<String>,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum SeverityArg {
    /// Good to know.
    Info,
    /// Wants a look.
    Notice,
    /// Wants help.
    Alarm,
}

impl From<SeverityArg> for Severity {
    fn from(severity: SeverityArg) -> Self {
        match severity {
            SeverityArg::Info => Self::Info,
            SeverityArg::Notice => Self::Notice,
            SeverityArg::Alarm => Self::Alarm,
        }
    }
}

/// Up to an hour.
fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.ok_or_else(|| format!("`{text}` is no number of seconds from 0 to 3600"))
}

/// `ocelli glance`
#[derive(Debug, Args)]
pub struct GlanceArgs {
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli probe`
#[derive(Debug, Args)]
pub struct ProbeArgs {
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli vocab`
#[derive(Debug, Args)]
pub struct VocabArgs {
    /// What to do.
    #[command(subcommand)]
    pub what: Vocab,
}

/// What can be done with sentences.
#[derive(Debug, Subcommand)]
pub enum Vocab {
    /// Add a sentence, or change one of yours.
    Add(AddArgs),
    /// Take one of yours back.
    Remove(RemoveArgs),
    /// Show what can be said.
    List(ListArgs),
    /// Add all sentences of a file: one a line, TOML (.toml) with text, kind, severity, floor and texts in `[[entry]]` tables, or
    /// lines of another such file (.jsonl), which may have their embeddings.
    Import(ImportArgs),
    /// Show what went on and had no name, in groups of what looked alike, and how to name it.
    Suggest(SuggestArgs),
}

/// `ocelli vocab add`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The sentence, in English, which is what the text encoder knows.
    pub text: String,
    /// Its kind: one of the pack's, whose thresholds it has then, or a name for a new one. Default: a kind of its own.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// How much it matters; alarm raises an alert. Default: as others of its kind, else info.
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub severity: Option<SeverityName>,
    /// The cosine from which it is meant, -1 to 1. Default: the pack's, 0.15 where it names none.
    #[arg(long, value_name = "COSINE", allow_negative_numbers = true)]
    pub floor: Option<f32>,
    /// Take the kind of the sentence whose words are nearest.
    #[arg(long, conflicts_with = "kind")]
    pub like_words: bool,
    /// It is what was seen in these events of the journal, such as 17 or u3,u5 (of `ocelli vocab suggest`); without ID in one on
    /// standard input, as `ocelli run --json --evidence` wrote it. Said where it looks like that, from a cosine of 0.9 on, whatever
    /// its words.
    #[arg(long, conflicts_with = "like_words", value_name = "ID", num_args = 0..=1)]
    pub seen: Option<Vec<Abouts>>,
    /// The journal of those events. Default: that of the config.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// The same in another language, such as 'de=Die Katze springt.'; may be given several times.
    #[arg(long = "in", value_name = "LANGUAGE=TEXT")]
    pub texts: Vec<String>,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli vocab suggest`
#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// The journal. Default: that of the config.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Of the camera of this name.
    #[arg(long, value_name = "NAME")]
    pub camera: Option<String>,
    /// How many groups at most.
    #[arg(long, default_value_t = 10, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub limit: u16,
    /// One JSON object a line, with all that is in a group.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub common: Common,
}

/// An event of a journal, or what had no name in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// By its id.
    Event(u64),
    /// By its number.
    Unknown(u64),
}

/// Some of those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abouts(pub Vec<About>);

impl FromStr for Abouts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = |text: &str| match text.strip_prefix('u') {
            Some(number) => number.parse().map(About::Unknown),
            None => text.parse().map(About::Event),
        };
        let all = text.split(',').map(|text| one(text.trim())).collect::<Result<_, _>>();
        all.map(Self)
            .map_err(|_| format!("`{text}` is no event; write it like 17, or u3,u5, and the sentence before --seen"))
    }
}

/// `ocelli vocab remove`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The sentence, as it was added.
    pub text: String,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli vocab list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub common: Common,
}

/// `ocelli vocab import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file.
    pub file: PathBuf,
    #[command(flatten)]
    pub common: Common,
}

impl Common {
    /// The config file with what the command line says laid over it.
    ///
    /// # Errors
    /// The config cannot be used.
    pub fn config(&self) -> Result<Config, ConfigError> {
        self.config_of(None)
    }

    /// The same, where `named_by` of the command line names the one camera that is meant.
    fn config_of(&self, named_by: Option<&'static str>) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.config.as_deref(), self.board.as_deref())?;
        if let Some(pack) = &self.pack {
            config.pack.clone_from(pack);
            config.layers.set("pack", format_args!("\"{pack}\""));
        }
        if let Some(profile) = self.profile {
            config.profile = profile;
            config.layers.set("profile", format_args!("\"{}\"", profile.name()));
        }
        if let Some(bytes) = self.memory_budget {
            config.memory_budget = Some(bytes);
            config.layers.set("memory_budget", bytes);
        }
        if let Some(vocabulary) = &self.vocabulary {
            config.vocabulary = Some(vocabulary.clone());
            config.layers.set("vocabulary", format_args!("\"{}\"", vocabulary.display()));
        }
        if let Some(setup) = &self.setup {
            config.gateway.setup = Some(setup.clone());
        }
        config.left_out = setup::lay_over(&mut config, named_by);
        Ok(config)
    }
}

impl Output {
    fn lay_over(&self, config: &mut Config) {
        config.output.json |= self.json;
        config.output.evidence |= self.evidence;
        config.speak.verbosity = self.verbosity.unwrap_or(config.speak.verbosity);
        if self.out.is_some() {
            config.output.file.clone_from(&self.out);
        }
    }
}

impl RunArgs {
    /// The config file with what the command line says laid over it.
    ///
    /// # Errors
    /// The config cannot be used.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let of_one = [
            ("a clip", self.clip.is_some()),
            ("--device", self.device.is_some()),
            ("--command", self.command.is_some()),
            ("--rtsp", self.rtsp.is_some()),
            ("--command-format", self.command_format.is_some()),
            ("--size", self.size.is_some()),
            ("--lessons", self.lessons.is_some()),
        ];
        let named_by = of_one.iter().find(|(_, given)| *given).map(|(what, _)| *what);
        let mut config = self.common.config_of(named_by)?;
        self.output.lay_over(&mut config);
        config.enforce |= self.enforce;
        match (&mut config.cameras[..], named_by) {
            ([camera], _) => self.lay_over(camera),
            (_, None) => {}
            (cameras, Some(what)) => {
                let names: Vec<String> = cameras.iter().map(|camera| format!("`{}`", camera.name)).collect();
                let (count, names) = (names.len(), names.join(", "));
                return Err(ConfigError::Usage(format!(
                    "{what} is for one camera, and the config has {count} ({names}); write it into the [[camera]] that \
                     is meant"
                )));
            }
        }
        if self.state.is_some() {
            config.memory.state.clone_from(&self.state);
        }
        if self.journal.is_some() {
            config.journal.file.clone_from(&self.journal);
        }
        if self.seconds.is_some_and(|seconds| !(seconds > 0.0)) {
            return Err(ConfigError::Usage("--seconds wants a number above zero".into()));
        }
        Ok(config)
    }
}

impl RunArgs {
    fn lay_over(&self, camera: &mut CameraTable) {
        if self.device.is_some() || self.command.is_some() || self.rtsp.is_some() {
            (camera.device, camera.command, camera.rtsp) =
                (self.device.clone(), self.command.clone(), self.rtsp.clone());
            // They are for the address in the config.
            (camera.rtsp_username, camera.rtsp_password_file) = (None, None);
        }
        if let Some(format) = self.command_format {
            camera.command_format = format;
        }
        if let Some(size_px) = self.size {
            camera.size_px = size_px;
        }
        if self.lessons.is_some() {
            camera.lessons.clone_from(&self.lessons);
        }
    }
}

impl ReplayArgs {
    /// The config file with what the command line says laid over it.
    ///
    /// # Errors
    /// The config cannot be used.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut config = self.common.config()?;
        self.output.lay_over(&mut config);
        if self.lessons.is_some() {
            config.cameras[0].lessons.clone_from(&self.lessons);
        }
        if self.journal.is_some() {
            config.journal.file.clone_from(&self.journal);
        }
        if let Some(trace) = &self.trace {
            // It is written anew, so it must be none of those that are read or kept.
            let same = |path: &Path| {
                path == trace
                    || fs::canonicalize(path).ok().is_some_and(|path| fs::canonicalize(trace).ok() == Some(path))
            };
            let used = [&config.output.file, &config.journal.file, &config.vocabulary, &config.cameras[0].lessons];
            if same(&self.clip) || used.into_iter().flatten().any(|path| same(path)) {
                let why = format!("--trace {} is a file that this command uses; name another", trace.display());
                return Err(ConfigError::Usage(why));
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_command_line_wins_over_the_config() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("ocelli.toml");
        fs::write(&path, "pack = \"a\"\n[camera]\ndevice = \"/dev/video7\"\n").expect("it is writable");
        let path = path.to_str().expect("a plain path");
        let line = ["ocelli", "run", "--config", path, "--pack", "b", "--command", "cat x.y4m", "--json"];
        let Command::Run(args) = Cli::parse_from(line).command else { panic!("run was asked for") };
        let config = args.config().expect("the config is right");
        let camera = &config.cameras[0];
        assert_eq!((config.pack.as_str(), camera.command.as_deref()), ("b", Some("cat x.y4m")));
        assert!(camera.device.is_none() && config.output.json);
    }

    #[test]
    fn what_is_taught_is_a_text_or_a_file_and_events_are_named_by_their_numbers() {
        let parse =
            |line: &[&str]| Cli::try_parse_from([&["ocelli"], line].concat()).map_err(|error| error.to_string());
        let Ok(Cli { command: Command::Teach(args) }) = parse(&["teach", "倒垃圾", "--last", "10s"]) else {
            panic!("right")
        };
        assert_eq!((args.what.as_deref(), args.last), (Some("倒垃圾"), Some(Duration::from_secs(10))));
        let Ok(Cli { command: Command::Teach(args) }) = parse(&["teach", "hall.lessons", "--wrong"]) else {
            panic!("right")
        };
        assert!(args.wrong && args.last.is_none());
        for wrong in [
            &["teach"][..],
            &["teach", "x", "--last", "10s", "--from", "2h"],
            &["teach", "x", "--last", "10s", "--wrong"],
            &["teach", "x", "--to", "2h"],
            &["teach", "x", "--last", "0s"],
            &["teach", "x", "--list"],
            &["teach", "--json"],
            &["vocab", "add", "--seen", "the cat"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!("u3, 17".parse(), Ok(Abouts(vec![About::Unknown(3), About::Event(17)])));
        let Ok(Cli { command: Command::Vocab(args) }) = parse(&["vocab", "add", "the cat", "--seen"]) else {
            panic!("right")
        };
        let Vocab::Add(args) = args.what else { panic!("add") };
        assert_eq!(args.seen, Some(vec![]), "one event on standard input");
    }

    #[test]
    fn what_is_for_one_camera_is_refused_where_there_are_several() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("ocelli.toml");
        let text = "[[camera]]\ndevice = \"/dev/video0\"\n[[camera]]\nname = \"hall\"\ndevice = \"/dev/video1\"\n";
        fs::write(&path, text).expect("it is writable");
        let path = path.to_str().expect("a plain path");
        let config = |more: &[&str]| {
            let line = [&["ocelli", "run", "--config", path][..], more].concat();
            let Command::Run(args) = Cli::parse_from(line).command else { panic!("run was asked for") };
            args.config().map_err(|error| error.to_string())
        };
        assert_eq!(config(&["--json", "--state", "x"]).expect("these are for all").cameras.len(), 2);
        for more in [
            &["--device", "/dev/video7"][..],
            &["--command", "cat"],
            &["--command-format", "rgb"],
            &["--size", "64x48"],
            &["--lessons", "x.lessons"],
            &["clip.mp4"],
        ] {
            let error = config(more).expect_err("it is for one");
            assert!(error.contains(more[0]) || error.starts_with("a clip"), "{error}");
            assert!(error.contains("the config has 2 (`camera`, `hall`)") && !error.contains('\n'), "{error}");
        }
    }
}
