//! Puts the parts together: pack, eye (from pictures to changed patches) and mind (from patches to words).

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use ocelli_drivers::{DriverError, Fitter, Sampler};
use ocelli_heap::CountingAlloc;
use ocelli_infer::{Lessons, Narrator, Pack, PackError, Stab, Taught, Vocabulary};
use ocelli_pipeline::{
    Calibration, CameraMove, ConfigError, DropReference, FeatureDrop, GateConfig, GateReport, Lexicon, MemoryConfig,
    MemoryRing, News, Normal, NormalConfig, PatchSlot, Pipeline, SILENCE, SegmentConfig, Selection, Speak, SpeakConfig,
    TokenGate,
};
use ocelli_types::{Clock, Content, Frame, Micros, SizePx};

use crate::config::{CameraTable, Config, Profile, Verbosity};
use crate::error::{Error, note};
use crate::lessons;
use crate::sentences::{self, Loaded, Room};
use crate::thermal::Pace;

/// Environment variable with a folder of packs that is searched first.
const PACKS_VARIABLE: &str = "OCELLI_PACKS";

/// Where a distribution installs packs.
const SYSTEM_PACKS: &str = "/usr/share/ocelli/models";

/// The kind of an empty room.
const NOBODY: &str = "nobody";

/// The think side with real models.
pub type Thinking = Pipeline<Stab, Narrator>;

/// The folders in which packs are looked for, in this order.
pub fn pack_roots() -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = std::env::var_os(PACKS_VARIABLE).map(PathBuf::from).into_iter().collect();
    roots.push("models".into());
    if let Ok(program) = std::env::current_exe() {
        roots.extend(program.ancestors().skip(1).map(|folder| folder.join("models")));
    }
    roots.push(SYSTEM_PACKS.into());
    roots.retain(|root| root.is_dir());
    roots
}

/// Opens the pack of this name, or in this folder.
pub fn open_pack(name: &str) -> Result<Pack, PackError> {
    let path = Path::new(name);
    if path.join("pack.toml").is_file() {
        return Pack::open(path);
    }
    let named = pack_roots().into_iter().map(|root| root.join(name)).find(|folder| folder.join("pack.toml").is_file());
    Pack::open(&named.ok_or_else(|| PackError::Unknown { name: name.to_owned() })?)
}

/// Opens the pack of a config, with the sentences of its user. What is wrong with those is said; what is right holds.
pub fn open(config: &Config) -> Result<Pack, Error> {
    let pack = open_pack(&config.pack)?;
    let Some(path) = &config.vocabulary else { return Ok(pack) };
    let own = Loaded::read(path, &pack, sentences::MOST)?;
    own.faults.iter().for_each(note);
    Ok(Pack { vocabulary: own.vocabulary, ..pack })
}

/// For how many sentences memory is set aside, with those in this pack there already.
pub fn room(config: &Config, pack: &Pack) -> Room {
    Room::of(config.vocabulary_room).max(Room::held(&pack.vocabulary))
}

/// What kinds there are, for people: by name, of those that are sentences how many.
pub fn kinds_text(vocabulary: &Vocabulary) -> String {
    let (names, own) = (vocabulary.names().join(", "), vocabulary.kinds() - vocabulary.names().len());
    match own {
        0 => names,
        // As many as one would read.
        1..=20 => (0..vocabulary.kinds()).map(|kind| vocabulary.kind(kind)).collect::<Vec<_>>().join(", "),
        _ => format!("{names}, and {own} sentences of yours (`ocelli vocab list`)"),
    }
}

/// Opens the pack and loads both graphs.
pub fn load(name: &str) -> Result<(Pack, Stab, Narrator), Error> {
    load_models(open_pack(name)?)
}

/// Loads both graphs, which must not cost more than the pack says.
pub fn load_models(pack: Pack) -> Result<(Pack, Stab, Narrator), Error> {
    let (stab, narrator) = (Stab::load(&pack)?, Narrator::load(&pack)?);
    let (macs, most) = (stab.macs() + narrator.macs(), pack.manifest.budget.multiply_adds);
    if macs > most {
        let why = format!("the graphs cost {macs} multiply-adds a picture, and [budget] allows {most}");
        return Err(PackError::Inconsistent { path: pack.folder.join("pack.toml"), why }.into());
    }
    Ok((pack, stab, narrator))
}

/// From pictures to changed patches.
#[derive(Debug)]
pub struct Eye {
    sampler: Sampler,
    fitter: Fitter,
    /// `[patches][patch_bytes]`
    picture: Vec<u8>,
    patches: usize,
    gate: TokenGate,
    /// Pictures a second that the pack wants.
    fps: f64,
    pace: Pace,
    /// Whether new scenes are told.
    scene_changes: bool,
}

/// What one look of the [`Eye`] found and cost.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Size of the picture as it came.
    pub picture: SizePx,
    /// What the gate kept.
    pub gate: GateReport,
    /// Time to resize and convert.
    pub fit_us: Micros,
    /// Time to compare.
    pub gate_us: Micros,
    /// Calls of the allocator for the one and the other.
    pub allocations: [u64; 2],
}

impl Eye {
    /// An eye that has seen nothing, of a camera that stands.
    pub fn new(pack: &Pack) -> Result<Self, Error> {
        let part = &pack.manifest.gate;
        let config = GateConfig {
            min_mad: part.min_mad,
            noise_factor_num: part.noise_factor_num,
            noise_factor_den: part.noise_factor_den,
            refresh_frames: part.refresh_frames,
            whole_frame_tenths: part.whole_frame_tenths,
        };
        Ok(Self {
            sampler: Sampler::new(pack.manifest.input.fps),
            fitter: Fitter::new(pack.grid, pack.manifest.input.letterbox),
            picture: vec![0; pack.grid.bytes()],
            patches: pack.grid.patches(),
            fps: pack.manifest.input.fps,
            pace: Pace::Full,
            scene_changes: false,
            gate: TokenGate::new(pack.grid, config).map_err(|error| inconsistent(pack, &error))?,
        })
    }

    /// The same for a camera that may change its view.
    #[must_use]
    pub fn of(mut self, camera: &CameraTable) -> Self {
        self.scene_changes = camera.scene_changes;
        self.gate.compensate(camera.motion_compensation);
        self
    }

    /// Looks as often, and at as much of a picture, as this pace has.
    pub fn keep_pace(&mut self, pace: Pace) {
        if std::mem::replace(&mut self.pace, pace) != pace {
            self.sampler.set_rate(pace.fps(self.fps));
            self.gate.limit(pace.patches(self.patches));
        }
    }

    /// Whether the model wants the picture of this time.
    pub fn wants(&mut self, captured_us: Micros) -> bool {
        self.sampler.take(captured_us)
    }

    /// Fits the frame and leaves its changed patches in `slot`.
    pub fn look(
        &mut self,
        frame: &Frame<'_>,
        captured_us: Micros,
        slot: &mut PatchSlot,
        clock: &impl Clock,
    ) -> Result<Look, DriverError> {
        let start_us = clock.now();
        let fitted = CountingAlloc::count(|| self.fitter.fit(frame, &mut self.picture));
        let content = fitted.value?;
        let fitted_us = clock.now();
        let gate = CountingAlloc::count(|| self.gate.select(&self.picture, content, frame.seq, captured_us, slot));
        let new_scene = gate.value.new_scene && self.scene_changes;
        Ok(Look {
            picture: frame.size_px,
            gate: GateReport { new_scene, ..gate.value },
            fit_us: fitted_us - start_us,
            gate_us: clock.now() - fitted_us,
            allocations: [fitted.allocations, gate.allocations],
        })
    }

    /// Fits the frame into a picture of its own, for later.
    pub fn fit(&mut self, frame: &Frame<'_>) -> Result<(Vec<u8>, Content), DriverError> {
        let content = self.fitter.fit(frame, &mut self.picture)?;
        Ok((self.picture.clone(), content))
    }

    /// Leaves the changed patches of such a picture in `slot`.
    pub fn look_at(
        &mut self,
        (picture, content): &(Vec<u8>, Content),
        number: u64,
        at_us: Micros,
        slot: &mut PatchSlot,
    ) {
        self.gate.select(picture, *content, ocelli_types::FrameSeq(number), at_us, slot);
    }

    /// Goes on from the picture that a snapshot holds.
    pub fn resume(&mut self, picture: &[u8], content: Content) {
        self.gate.resume(picture, content);
    }

    /// Patches of a picture.
    pub const fn patches(&self) -> usize {
        self.patches
    }

    /// What the encoder saw last of each place, and where the picture lies in it.
    pub fn reference(&self) -> Option<(&[u8], Content)> {
        self.gate.reference()
    }

    /// The movement of the camera that goes on, at the end of the stream.
    pub fn finish(&mut self) -> Option<CameraMove> {
        self.gate.finish()
    }

    /// The next picture is sent whole, as the first was.
    pub fn forget(&mut self) {
        self.gate.forget();
    }
}

/// Size of the memory of a pack: what its narrator reads, and scenes behind it.
pub fn memory(pack: &Pack, profile: Profile) -> MemoryConfig {
    let part = &pack.manifest.narrator;
    let selection =
        Selection { slots: part.slots, frame_tokens: part.frame_tokens, max_age_frames: part.max_age_frames };
    let refresh_frames = pack.manifest.gate.refresh_frames;
    let config = MemoryConfig::new(pack.grid, pack.manifest.stab.token_width, selection, refresh_frames);
    let drop = pack.manifest.drop.as_ref().map(|part| FeatureDrop {
        reference: match part.reference {
            ocelli_infer::DropReference::Previous => DropReference::Previous,
            ocelli_infer::DropReference::LastKept => DropReference::LastKept,
            ocelli_infer::DropReference::Both => DropReference::Both,
            ocelli_infer::DropReference::AnyKept => DropReference::AnyKept,
        },
        cosine: part.cosine,
    });
    let segment = SegmentConfig { segments: profile.segments(), ..config.segment };
    let config = MemoryConfig { drop, segment, ..config };
    MemoryConfig { tokens: config.least_tokens(), ..config }
}

/// The think side with nothing in its memory.
pub fn thinking(pack: &Pack, profile: Profile, stab: Stab, narrator: Narrator) -> Result<Thinking, Error> {
    remembering(pack, stab, narrator, blank(pack, profile)?)
}

/// A memory with nothing in it.
pub fn blank(pack: &Pack, profile: Profile) -> Result<MemoryRing, Error> {
    MemoryRing::new(memory(pack, profile)).map_err(|error| inconsistent(pack, &error))
}

/// The think side with a memory.
pub fn remembering(pack: &Pack, stab: Stab, narrator: Narrator, memory: MemoryRing) -> Result<Thinking, Error> {
    Ok(Pipeline::with_memory(stab, narrator, memory, lexicon(pack, &pack.vocabulary, Verbosity::default())?))
}

/// How many of the kinds, the first ones, are the pack's own.
pub fn own_kinds(pack: &Pack) -> usize {
    let own = pack.vocabulary.senses().take(pack.vocabulary.of_pack());
    own.map(|(kind, _)| kind + 1).max().unwrap_or(0)
}

/// What is normal at a camera, as it was kept, where it is to be learnt.
pub fn normal(config: &Config, pack: &Pack, kept: &[u8]) -> Option<Normal> {
    config.alerting.unusual.then(|| {
        let kinds = &pack.vocabulary.names()[..own_kinds(pack)];
        let speak = &pack.manifest.speak;
        let threshold = |kind: &String| speak.kinds.get(kind).map_or(speak.threshold, |own| own.threshold);
        let learning = NormalConfig {
            thresholds: kinds.iter().map(threshold).collect(),
            nothing: kinds.iter().map(|kind| kind == SILENCE || kind == NOBODY).collect(),
            least_days: config.alerting.unusual_after_days,
        };
        Normal::restore(learning.clone(), kept).unwrap_or_else(|| Normal::new(learning))
    })
}

/// The head of a camera: the narrator, and what the camera was taught.
pub fn taught<'a>(pack: &Pack, narrator: &'a RefCell<Narrator>, camera: &CameraTable) -> Result<Taught<'a>, Error> {
    let lessons = camera.lessons.as_deref().map_or_else(|| Ok(Lessons::default()), |path| lessons::read(path, pack))?;
    Ok(Taught::new(pack, narrator, lessons))
}

/// What can be said, and when: kinds that the pack does not have are said by its common threshold, hold-off and calibration.
pub fn lexicon(pack: &Pack, vocabulary: &Vocabulary, verbosity: Verbosity) -> Result<Lexicon, Error> {
    let part = &pack.manifest.speak;
    let speak = |threshold, hold_off_s| Speak { threshold, hold_off_us: Micros::from_seconds(hold_off_s) };
    let kinds: Vec<(&str, Speak)> =
        part.kinds.iter().map(|(kind, own)| (kind.as_str(), speak(own.threshold, own.hold_off_s))).collect();
    let own = part.calibration.iter().flat_map(|calibration| &calibration.offsets);
    let offsets: Vec<(&str, f32)> = own.map(|(kind, offset)| (kind.as_str(), *offset)).collect();
    let calibration = part.calibration.as_ref().map_or_else(Calibration::default, |calibration| Calibration {
        slope: calibration.slope,
        offset: calibration.offset,
        offsets: &offsets,
    });
    let default = speak(part.threshold, part.hold_off_s);
    let [who, things] = [&part.who, &part.things].map(|kinds| kinds.iter().map(String::as_str).collect::<Vec<_>>());
    let news = part.news.map(|news| News { threshold: news.threshold, cumulative: news.cumulative });
    let smoothing = part.smoothing;
    let config = SpeakConfig { smoothing, default, kinds: &kinds, calibration, who: &who, things: &things, news };
    let names = (0..vocabulary.kinds()).map(|kind| vocabulary.kind(kind));
    let config_error = |error: ConfigError| inconsistent(pack, &error);
    let lexicon = Lexicon::new(&config, names, vocabulary.senses()).map_err(config_error)?;
    Ok(lexicon.lasting(vocabulary.of_pack()).telling(verbosity.into()))
}

fn inconsistent(pack: &Pack, error: &ConfigError) -> Error {
    PackError::Inconsistent { path: pack.folder.join("pack.toml"), why: error.to_string() }.into()
}
