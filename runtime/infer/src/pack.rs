//! A pack: a folder with `pack.toml`, two graphs, a vocabulary, golden tensors and a card.
//!
//! Everything is checked when the pack is opened, so that what loads afterwards can only fail for a fault of ours: the
//! keys, the hashes of graphs and vocabulary, and that the numbers go together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocelli_types::PatchGrid;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::{EMBEDDING, PackError, Vocabulary};

/// The format of `pack.toml` that this program reads.
const FORMAT: u32 = 2;

/// A pack that was opened and found whole.
#[derive(Clone, Debug)]
pub struct Pack {
    /// Where it lies.
    pub folder: PathBuf,
    /// What it says about itself.
    pub manifest: Manifest,
    /// What it can say.
    pub vocabulary: Arc<Vocabulary>,
    /// How the input is cut.
    pub grid: PatchGrid,
}

/// `pack.toml`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always 2.
    pub format: u32,
    /// Name of the pack.
    pub name: String,
    /// Version of the pack.
    pub version: String,
    /// The picture that the model sees.
    pub input: InputPart,
    /// Token drop by pixels.
    pub gate: GatePart,
    /// Token drop by features; without it what the gate keeps is remembered.
    pub drop: Option<DropPart>,
    /// The visual front end.
    pub stab: StabPart,
    /// The language head.
    pub narrator: NarratorPart,
    /// What can be said.
    pub vocabulary: VocabularyPart,
    /// When it is said.
    pub speak: SpeakPart,
    /// What a user's answers change.
    #[serde(default)]
    pub lessons: LessonsPart,
    /// What it may cost.
    pub budget: BudgetPart,
    /// The f32 graphs, for tests and benchmarks.
    pub reference: ReferencePart,
    /// Recorded tensors, for tests.
    pub golden: GoldenPart,
}

/// `[input]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputPart {
    /// Side of the square input.
    pub size_px: usize,
    /// Side of a patch.
    pub patch_px: usize,
    /// Frames per second that the model was trained at.
    pub fps: f64,
    /// Grey of the bars where the picture is not square.
    pub letterbox: u8,
}

/// `[gate]`, as the pipeline's gate takes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatePart {
    /// Smallest threshold, mean absolute difference per byte.
    pub min_mad: u32,
    /// Threshold above the noise, numerator.
    pub noise_factor_num: u32,
    /// Threshold above the noise, denominator.
    pub noise_factor_den: u32,
    /// Each window is sent anew after so many frames.
    pub refresh_frames: u32,
    /// So many tenths of changed patches make the whole frame change.
    pub whole_frame_tenths: u32,
}

/// `[drop]`, as the pipeline's memory takes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropPart {
    /// What a token is compared with.
    pub reference: DropReference,
    /// A token more alike than this is dropped: a cosine, -1 to 1. `cargo xtask bench memory` finds it for a ratio.
    pub cosine: f32,
}

/// What a token is compared with before it is dropped.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReference {
    /// That of the frame before.
    Previous,
    /// The last that was kept at its place.
    LastKept,
    /// Both: dropped only if it is like either.
    Both,
    /// Each that is held of its place, however old.
    AnyKept,
}

/// `[stab]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StabPart {
    /// The graph.
    pub file: String,
    /// Of the graph.
    pub sha256: String,
    /// Width d inside STAB.
    pub width: usize,
    /// Width inside LSTE, int(d / 1.5).
    pub reduced: usize,
    /// Heads of GSTRA.
    pub heads: usize,
    /// Tokens of a frame: Fr and the windows.
    pub tokens: usize,
    /// Width H of a token.
    pub token_width: usize,
}

/// `[narrator]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NarratorPart {
    /// The graph.
    pub file: String,
    /// Of the graph.
    pub sha256: String,
    /// Tokens that it reads.
    pub slots: usize,
    /// How many of them are frame tokens.
    pub frame_tokens: usize,
    /// Age of the oldest superseded token that it reads.
    pub max_age_frames: usize,
    /// Width of its answer.
    pub embedding: usize,
}

/// `[vocabulary]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VocabularyPart {
    /// The sentences.
    pub file: String,
    /// Of the sentences.
    pub sha256: String,
    /// Their embeddings.
    pub embeddings: String,
    /// Of the embeddings.
    pub embeddings_sha256: String,
    /// Number of sentences.
    pub entries: usize,
    /// Of the softmax over cosines, as calibrated.
    pub temperature: f32,
    /// The cosine from which a sentence that a user adds is meant; without it, [`crate::FLOOR`].
    pub floor: Option<f32>,
}

/// `[speak]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeakPart {
    /// Share of the past in the smoothed probabilities.
    pub smoothing: f32,
    /// Smoothed probability from which a kind may be said.
    pub threshold: f32,
    /// How long a kind must lead before it is said.
    pub hold_off_s: f64,
    /// Other values for some kinds.
    #[serde(default)]
    pub kinds: BTreeMap<String, KindSpeak>,
    /// Kinds that say who is there, which are told however little is.
    #[serde(default)]
    pub who: Vec<String>,
    /// Kinds that say how things are, not people: they can be so beside what people do.
    #[serde(default)]
    pub things: Vec<String>,
    /// How a score follows from a smoothed probability; without it, it is that.
    pub calibration: Option<CalibrationPart>,
    /// Says that the narrator's graph also tells how worth telling a picture is, and from where on it is; without it, it is not asked.
    pub news: Option<NewsPart>,
}

/// `[speak.news]`: with it the int8 graph of the narrator has a second output `speak`, f32 `[2]`: logits of informative (something
/// began within the last second) and relevant (what goes on is worth telling), as in `tools/train/switches.py`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewsPart {
    /// A narration is told when both probabilities together are at least this, 0 to 2;
    pub threshold: f32,
    /// or when those of informative add up to this since something was told.
    pub cumulative: f32,
}

/// `[speak.calibration]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationPart {
    /// Factor of the log odds.
    pub slope: f32,
    /// What is added to them.
    pub offset: f32,
    /// In place of it for some kinds.
    #[serde(default)]
    pub offsets: BTreeMap<String, f32>,
}

/// `[lessons]`: how far an answer of a camera's user reaches (`ocelli teach`), which depends on the models;
/// `tools/train/learn.py --choose` finds it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LessonsPart {
    /// What a lesson adds to the logit of its kind where what is seen is just like it.
    pub weight: f32,
    /// How fast that falls with the cosine: by e for each 1 / `sharpness`.
    pub sharpness: f32,
}

impl Default for LessonsPart {
    fn default() -> Self {
        Self { weight: 2.0, sharpness: 10.0 }
    }
}

/// `[speak.kinds.<kind>]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindSpeak {
    /// In place of the common threshold.
    pub threshold: f32,
    /// In place of the common hold-off.
    pub hold_off_s: f64,
}

/// `[budget]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetPart {
    /// The most memory that a program with this pack may plan for, where its config names no other.
    pub memory_bytes: u64,
    /// The most multiply-adds that the graphs may cost a picture; a pack that costs more is refused.
    pub multiply_adds: u64,
}

/// `[reference]`: the f32 graphs that the int8 ones were made from. The program never loads them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferencePart {
    /// STAB, with its states as inputs and outputs.
    pub stab: String,
    /// Of that graph.
    pub stab_sha256: String,
    /// The language head.
    pub narrator: String,
    /// Of that graph.
    pub narrator_sha256: String,
}

/// `[golden]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenPart {
    /// Recorded tensors.
    pub files: Vec<GoldenFile>,
}

/// One recorded tensor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenFile {
    /// The file.
    pub file: String,
    /// Of the file.
    pub sha256: String,
}

impl Pack {
    /// Opens the pack in `folder`.
    ///
    /// # Errors
    /// A file is missing or damaged, or the manifest is wrong; see [`PackError`].
    pub fn open(folder: &Path) -> Result<Self, PackError> {
        let path = folder.join("pack.toml");
        // The format is looked at first: another one has other keys, and that should not look like a wrong key.
        let Format { format } = parse_toml(&path)?;
        if format != FORMAT {
            return Err(PackError::Format { path, found: format, expected: FORMAT });
        }
        let manifest: Manifest = parse_toml(&path)?;
        let grid = manifest.check().map_err(|why| PackError::Inconsistent { path: path.clone(), why })?;
        for (file, sha256) in manifest.files() {
            check_hash(&folder.join(file), sha256)?;
        }
        let part = &manifest.vocabulary;
        let mut vocabulary = Vocabulary::read(&folder.join(&part.file), &folder.join(&part.embeddings))?;
        vocabulary.floor = part.floor.unwrap_or(vocabulary.floor);
        if vocabulary.len() != part.entries {
            let why = format!("it names {} sentences, and there are {}", part.entries, vocabulary.len());
            return Err(PackError::Inconsistent { path, why });
        }
        if let Some(kind) = manifest.speak.kinds.keys().find(|kind| vocabulary.kind_named(kind).is_none()) {
            let why = format!("[speak.kinds.{kind}] is of a kind that no sentence has");
            return Err(PackError::Inconsistent { path, why });
        }
        Ok(Self { folder: folder.to_path_buf(), manifest, vocabulary: Arc::new(vocabulary), grid })
    }

    /// Bytes of graphs and vocabulary on disk.
    pub fn file_bytes(&self) -> u64 {
        self.manifest.files().into_iter().map(|(file, _)| self.bytes_of(file)).sum()
    }

    /// Bytes of one of the pack's files on disk; zero if it has gone.
    pub fn bytes_of(&self, file: &str) -> u64 {
        fs::metadata(self.folder.join(file)).map_or(0, |metadata| metadata.len())
    }
}

impl Manifest {
    /// The files that a run needs, with their hashes.
    fn files(&self) -> [(&str, &str); 4] {
        [
            (&self.stab.file, &self.stab.sha256),
            (&self.narrator.file, &self.narrator.sha256),
            (&self.vocabulary.file, &self.vocabulary.sha256),
            (&self.vocabulary.embeddings, &self.vocabulary.embeddings_sha256),
        ]
    }

    /// Whether the numbers go together.
    fn check(&self) -> Result<PatchGrid, String> {
        let InputPart { size_px, patch_px, fps, .. } = self.input;
        let grid = PatchGrid::new(size_px, patch_px)
            .ok_or_else(|| format!("an input of {size_px} px does not come out even in patches of {patch_px} px"))?;
        if !(fps > 0.0 && fps <= 120.0) {
            return Err(format!("fps is {fps}"));
        }
        let tokens = grid.windows() + 1;
        if self.stab.tokens != tokens {
            return Err(format!("[stab] has {} tokens, and the input makes {tokens}", self.stab.tokens));
        }
        if let Some(DropPart { cosine, .. }) = self.drop
            && !(-1.0..=1.0).contains(&cosine)
        {
            return Err(format!("[drop] cosine is {cosine}"));
        }
        let NarratorPart { slots, frame_tokens, embedding, max_age_frames, .. } = self.narrator;
        // Memory grows with these; a number beyond is a slip.
        for (name, value, most) in [
            ("[narrator] slots", slots, 4096),
            ("[narrator] max_age_frames", max_age_frames, 4096),
            ("[gate] refresh_frames", self.gate.refresh_frames as usize, 4096),
            ("[gate] noise_factor_den", self.gate.noise_factor_den as usize, 4096),
            ("[stab] token_width", self.stab.token_width, 8192),
        ] {
            if !(1..=most).contains(&value) {
                return Err(format!("{name} is {value}, and may be 1 to {most}"));
            }
        }
        if slots < grid.windows() + frame_tokens {
            return Err(format!(
                "[narrator] has {slots} slots for {} windows and {frame_tokens} frame tokens",
                grid.windows()
            ));
        }
        if embedding != EMBEDDING {
            return Err(format!("[narrator] answers {embedding} wide, and sentences are {EMBEDDING} wide"));
        }
        if !(1e-4..=100.0).contains(&self.vocabulary.temperature) {
            return Err(format!("[vocabulary] temperature is {}", self.vocabulary.temperature));
        }
        if let Some(floor) = self.vocabulary.floor
            && !(-1.0..=1.0).contains(&floor)
        {
            return Err(format!("[vocabulary] floor is {floor}"));
        }
        let common = KindSpeak { threshold: self.speak.threshold, hold_off_s: self.speak.hold_off_s };
        for speak in self.speak.kinds.values().chain([&common]) {
            if !(0.0..=1.0).contains(&speak.threshold) || !(0.0..=3600.0).contains(&speak.hold_off_s) {
                return Err(format!("[speak] threshold {} or hold-off {} s", speak.threshold, speak.hold_off_s));
            }
        }
        if !(0.0..1.0).contains(&self.speak.smoothing) {
            return Err(format!("[speak] smoothing is {}", self.speak.smoothing));
        }
        let LessonsPart { weight, sharpness } = self.lessons;
        // The e-th power of the weight multiplies a probability.
        if !(0.0..=20.0).contains(&weight) || !(0.0..=1000.0).contains(&sharpness) {
            return Err(format!(
                "[lessons] weight is {weight} and sharpness {sharpness}, and may be 0 to 20 and 0 to 1000"
            ));
        }
        Ok(grid)
    }
}

/// One line of `ocelli packs`.
#[derive(Debug)]
pub struct PackInfo {
    /// Where it lies.
    pub folder: PathBuf,
    /// The pack, or what is wrong with it.
    pub pack: Result<Pack, PackError>,
}

/// The packs in the folders below `root`, by name of folder; broken ones with what is wrong.
pub fn list_packs(root: &Path) -> Vec<PackInfo> {
    let folders = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = folders.filter(|folder| folder.join("pack.toml").is_file()).collect();
    folders.sort();
    folders
        .into_iter()
        .map(|folder| {
            let pack = Pack::open(&folder);
            PackInfo { folder, pack }
        })
        .collect()
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, PackError> {
    fs::read(path).map_err(|source| PackError::Unreadable { path: path.to_path_buf(), source })
}

pub(crate) fn parse_toml<T: DeserializeOwned>(path: &Path) -> Result<T, PackError> {
    let bytes = read_file(path)?;
    let text = String::from_utf8_lossy(&bytes);
    toml::from_str(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
        let why = error.message().replace('\n', " ");
        PackError::Invalid { path: path.to_path_buf(), line, why }
    })
}

/// A file that a manifest names, beside it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilePart {
    file: String,
    sha256: String,
}

impl FilePart {
    /// Where it lies.
    pub(crate) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(&self.file)
    }

    /// Whether it is the file that was written.
    pub(crate) fn check(&self, folder: &Path) -> Result<(), PackError> {
        check_hash(&self.path(folder), &self.sha256)
    }
}

/// Reads a file piece by piece: the largest have ten megabytes.
fn check_hash(path: &Path, sha256: &str) -> Result<(), PackError> {
    let unreadable = |source| PackError::Unreadable { path: path.to_path_buf(), source };
    let mut file = fs::File::open(path).map_err(unreadable)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut piece).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
    }
    let digest = hash.finalize();
    let mut found = String::with_capacity(64);
    for byte in digest {
        write!(found, "{byte:02x}").expect("a String takes everything");
    }
    if found.eq_ignore_ascii_case(sha256) { Ok(()) } else { Err(PackError::Hash { path: path.to_path_buf() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-test")
    }

    /// A copy of the tiny pack in which `from` reads `to` in the manifest.
    fn altered(from: &str, to: &str) -> (tempfile::TempDir, PackError) {
        let copy = copied();
        let path = copy.path().join("pack.toml");
        let text = fs::read_to_string(&path).expect("it was copied");
        assert!(text.contains(from), "{from} is in the manifest");
        fs::write(&path, text.replacen(from, to, 1)).expect("it is writable");
        let error = Pack::open(copy.path()).expect_err(to);
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        (copy, error)
    }

    fn copied() -> tempfile::TempDir {
        let copy = tempfile::tempdir().expect("there is a temporary folder");
        for file in ["pack.toml", "stab.onnx", "narrator.onnx", "vocabulary.toml", "vocabulary.bin"] {
            fs::copy(tiny().join(file), copy.path().join(file)).expect("the pack is whole");
        }
        copy
    }

    #[test]
    fn a_whole_pack_opens() {
        let pack = Pack::open(&tiny()).expect("the pack is whole");
        assert_eq!((pack.manifest.name.as_str(), pack.grid.side), ("tiny-test", 16));
        assert!(pack.file_bytes() > 50_000);
    }

    #[test]
    fn missing_files_are_named() {
        let error = Pack::open(Path::new("no/such/pack")).expect_err("there is none");
        assert!(matches!(&error, PackError::Unreadable { path, .. } if path.ends_with("pack.toml")), "{error}");
        let copy = copied();
        fs::remove_file(copy.path().join("narrator.onnx")).expect("it was copied");
        let error = Pack::open(copy.path()).expect_err("a graph is missing");
        assert!(matches!(&error, PackError::Unreadable { path, .. } if path.ends_with("narrator.onnx")), "{error}");
    }

    #[test]
    fn a_damaged_file_is_named() {
        let copy = copied();
        let path = copy.path().join("stab.onnx");
        let mut bytes = fs::read(&path).expect("it was copied");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).expect("it is writable");
        let error = Pack::open(copy.path()).expect_err("one bit differs");
        assert!(matches!(&error, PackError::Hash { path } if path.ends_with("stab.onnx")), "{error}");
    }

    #[test]
    fn a_wrong_manifest_is_refused_with_its_line() {
        let (_copy, error) = altered("fps = 5.0", "fsp = 5.0");
        assert!(matches!(&error, PackError::Invalid { why, line: 9, .. } if why.contains("fsp")), "{error}");
        let (_copy, error) = altered("format = 2", "format = 3\nnew_key = 1");
        assert!(matches!(error, PackError::Format { found: 3, .. }), "{error}");
        let (_copy, error) = altered("[input]", "[input");
        assert!(matches!(error, PackError::Invalid { .. }), "{error}");
    }

    #[test]
    fn numbers_that_do_not_go_together_are_refused() {
        for (from, to) in [
            ("size_px = 224", "size_px = 225"),
            ("fps = 5.0", "fps = 0.0"),
            ("tokens = 65", "tokens = 64"),
            ("slots = 128", "slots = 71"),
            ("embedding = 384", "embedding = 256"),
            ("entries = 20", "entries = 21"),
            ("temperature = 0.05", "temperature = -0.05"),
            ("temperature = 0.05", "floor = -1.05\ntemperature = 0.05"),
            ("smoothing = 0.5", "smoothing = 1.0"),
            ("threshold = 0.5", "threshold = 1.5"),
            ("[budget]", "[lessons]\nweight = -1.0\nsharpness = 10.0\n[budget]"),
            ("[budget]", "[lessons]\nweight = 2.0\nsharpness = nan\n[budget]"),
            ("[speak.kinds.fall]", "[speak.kinds.fly]"),
            ("[stab]", "[drop]\nreference = \"last_kept\"\ncosine = 1.5\n[stab]"),
        ] {
            let (_copy, error) = altered(from, to);
            assert!(matches!(error, PackError::Inconsistent { .. }), "{to}: {error}");
        }
    }

    #[test]
    fn embeddings_of_another_vocabulary_are_refused() {
        let copy = copied();
        let path = copy.path().join("vocabulary.bin");
        let bytes = fs::read(&path).expect("it was copied");
        fs::write(&path, &bytes[..bytes.len() - 1]).expect("it is writable");
        let read = Vocabulary::read(&copy.path().join("vocabulary.toml"), &path);
        assert!(matches!(read, Err(PackError::Inconsistent { .. })));
    }

    #[test]
    fn a_broken_pack_is_listed_with_its_fault() {
        let root = tempfile::tempdir().expect("there is a temporary folder");
        fs::create_dir(root.path().join("broken")).expect("it is writable");
        fs::write(root.path().join("broken/pack.toml"), "format = 2\n").expect("it is writable");
        fs::create_dir(root.path().join("no-pack")).expect("it is writable");
        let packs = list_packs(root.path());
        assert!(packs.len() == 1 && packs[0].pack.is_err());
        assert!(list_packs(Path::new("no/such/folder")).is_empty());
    }
}
