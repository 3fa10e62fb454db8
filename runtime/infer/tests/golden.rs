//! tract against PyTorch: tensors recorded at export, for every pack of the project.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, ArrayViewD};
use ndarray_npy::read_npy;
use ocelli_infer::{Backend, Form, InferError, Narrator, NewsPart, Pack, ReferenceStab, Stab, StabShape, read_graph};
use ocelli_types::{
    Content, Encoder, EntryId, FrameSeq, FrameTokens, Head, MemoryView, Micros, PatchBatch, PatchMask, TokenRef, Worth,
};
use tract_onnx::prelude::{Framework, InferenceModelExt, TypedModel, *};
use tract_onnx::tract_core::runtime::Runnable;
use tract_onnx::tract_hir::infer::Factoid as _;
use tract_onnx::tract_hir::internal::OutletId;

/// Largest relative error, L2, of f32 graphs.
const TOLERANCE: f64 = 1e-4;

/// Of int8 graphs: where a sum in another order tips a value over the middle between two bytes, it moves by one of 127,
/// and one such value moved a frame's tokens by 0.0017.
const INT8_TOLERANCE: f64 = 3e-3;

/// Of int8 narrators, whose layers stand on one another: of eight there is always a value that tips somewhere, and its answer moves
/// by up to 0.008 (`nodes.py`).
const INT8_NARRATOR_TOLERANCE: f64 = 2e-2;

const STATES: [&str; 5] = ["lste_state", "dpe_state", "gstra_m", "gstra_s", "gstra_v"];

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")
}

/// Those of the project, or the one that `tools/train/export.py` has just built.
fn packs() -> Vec<Pack> {
    let folders = env::var_os("OCELLI_NEW_PACK")
        .map_or_else(|| ["tiny-test", "home"].map(|name| models().join(name)).to_vec(), |new| vec![new.into()]);
    let packs: Vec<Pack> = folders.iter().map(|folder| Pack::open(folder).expect("a pack should open")).collect();
    assert!(packs.iter().all(|pack| !pack.manifest.golden.files.is_empty()));
    packs
}

fn array<T: ndarray_npy::ReadableElement>(path: &Path) -> ArrayD<T> {
    read_npy(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn tensor<T: Datum + Copy + ndarray_npy::ReadableElement>(path: &Path) -> TValue {
    let array: ArrayD<T> = array(path);
    let values: Vec<T> = array.iter().copied().collect();
    Tensor::from_shape(array.shape(), &values).expect("shape and values go together").into_tvalue()
}

fn values(tensor: &TValue) -> Vec<f32> {
    let plain = tensor.try_as_plain_ram().expect("a plain tensor");
    plain.as_slice::<f32>().expect("floats").to_vec()
}

fn relative_error(found: &[f32], wanted: &ArrayViewD<'_, f32>) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let (mut difference, mut size) = (0.0, 0.0);
    for (a, b) in found.iter().zip(wanted) {
        difference += (f64::from(*a) - f64::from(*b)).powi(2);
        size += f64::from(*b).powi(2);
    }
    difference.sqrt() / size.sqrt().max(1e-9)
}

fn check(what: &str, found: &[f32], wanted: &Path) {
    check_values(what, found, &array::<f32>(wanted).view(), TOLERANCE);
}

fn check_values(what: &str, found: &[f32], wanted: &ArrayViewD<'_, f32>, tolerance: f64) {
    let error = relative_error(found, wanted);
    assert!(error <= tolerance, "{what}: relative error {error:e}");
    eprintln!("{what}: relative error {error:.1e}");
}

/// On the CPU and on whatever else this build and machine have.
fn on_each(mut check: impl FnMut(Backend)) {
    for backend in Backend::available() {
        eprintln!("on {backend:?}:");
        check(backend);
    }
}

fn plan(backend: Backend, path: &Path) -> Box<dyn Runnable> {
    let model = onnx().model_for_path(path).expect("an ONNX file");
    let model = model.into_typed().and_then(TypedModel::into_decluttered).expect("tract knows all of it");
    backend.runtime().expect("it is there").prepare(model).expect("it can be planned")
}

#[test]
fn the_f32_graphs_give_the_recorded_tensors() {
    on_each(f32_graphs);
}

fn f32_graphs(backend: Backend) {
    for pack in packs() {
        let (name, golden) = (&pack.manifest.name, pack.folder.join("reference/golden"));
        let stab = plan(backend, &pack.folder.join(&pack.manifest.reference.stab));
        for frame in 0..3 {
            let file = |side: &str, what: &str| golden.join(format!("stab_{side}_{frame}_{what}.npy"));
            let mut inputs = tvec![tensor::<u8>(&file("in", "patches"))];
            inputs.extend(STATES.iter().map(|state| tensor::<f32>(&file("in", state))));
            let outputs = stab.run(inputs).expect("it runs");
            check(&format!("{name} STAB {frame} tokens"), &values(&outputs[0]), &file("out", "tokens"));
            for (state, output) in STATES.iter().zip(&outputs[1..]) {
                let wanted = file("out", &format!("{state}_next"));
                check(&format!("{name} STAB {frame} {state}"), &values(output), &wanted);
            }
        }
        let narrator = plan(backend, &pack.folder.join(&pack.manifest.reference.narrator));
        let outputs = narrator.run(narrator_inputs(&golden)).expect("it runs");
        check(&format!("{name} narrator"), &values(&outputs[0]), &golden.join("narrator_out.npy"));
    }
}

fn narrator_inputs(golden: &Path) -> TVec<TValue> {
    tvec![
        tensor::<f32>(&golden.join("narrator_in_tokens.npy")),
        tensor::<i64>(&golden.join("narrator_in_index.npy")),
        tensor::<f32>(&golden.join("narrator_in_valid.npy")),
    ]
}

/// Frames recorded from the emulation of the int8 graph, and the one whose values between the ops were recorded too.
const INT8_FRAMES: usize = 10;
const INT8_FRAME: usize = 5;

/// What each op of the int8 STAB gives, as the emulation in PyTorch has it: a graph that tract has rearranged wrongly would
/// show at the first op concerned.
#[test]
fn every_op_of_the_int8_graphs_gives_the_recorded_tensor() {
    let parts = ["x2", "x3", "g", "y", "f", "tokens"];
    for pack in packs() {
        let (name, golden) = (&pack.manifest.name, pack.folder.join("golden"));
        let mut model = read_graph(&pack.folder.join(&pack.manifest.stab.file)).expect("an ONNX file");
        let outlets: Vec<OutletId> = parts.iter().map(|part| model.find_outlet_label(part).expect(part)).collect();
        model.select_output_outlets(&outlets).expect("they are there");
        let plan = model.into_optimized().expect("tract knows all of it").into_runnable().expect("it can be planned");
        let mut state = plan.spawn().expect("it can be started");
        let tokens: ArrayD<f32> = array(&golden.join("int8_tokens.npy"));
        let (mut canvas, mut batch) = (Vec::new(), Recorded::new(&pack));
        for frame in 0..INT8_FRAMES {
            let changed = batch.paint(frame, &mut canvas);
            let patches = [pack.grid.patches(), pack.grid.patch_bytes()];
            let inputs = tvec![
                Tensor::from_shape(&patches, &canvas).expect("a canvas").into_tvalue(),
                Tensor::from_shape(&patches[..1], &changed).expect("marks").into_tvalue(),
            ];
            let outputs = state.run(inputs).expect("it runs");
            if frame == INT8_FRAME {
                for (part, output) in parts.iter().zip(&outputs).filter(|(part, _)| **part != "tokens") {
                    let wanted: ArrayD<f32> = array(&golden.join(format!("int8_{part}.npy")));
                    check_values(&format!("{name} int8 {part}"), &values(output), &wanted.view(), INT8_TOLERANCE);
                }
            }
            let wanted = tokens.index_axis(ndarray::Axis(0), frame);
            let what = format!("{name} int8 tokens, frame {frame}");
            check_values(&what, &values(&outputs[5]), &wanted, INT8_TOLERANCE);
        }
        let path = pack.folder.join(&pack.manifest.narrator.file);
        let narrator = read_graph(&path).expect("an ONNX file").into_optimized().expect("tract knows it");
        let narrator = narrator.into_runnable().expect("it can be planned");
        let outputs = narrator.run(narrator_inputs(&golden)).expect("it runs");
        let wanted: ArrayD<f32> = array(&golden.join("narrator_out.npy"));
        check_values(&format!("{name} int8 narrator"), &values(&outputs[0]), &wanted.view(), INT8_NARRATOR_TOLERANCE);
    }
}

/// `nodes.toml` of `tools/train/nodes.py`.
#[derive(serde::Deserialize)]
struct Nodes {
    graphs: Vec<Graph>,
}

/// One graph: `<folder>/in_<k>.npy` are its inputs, `<folder>/<k>.npy` the value of `nodes[k]`.
#[derive(serde::Deserialize)]
struct Graph {
    file: PathBuf,
    folder: PathBuf,
    inputs: usize,
    tolerance: f64,
    nodes: Vec<String>,
}

/// Each value by a plan that ends at it: with all of them in one, tract could join no two nodes.
#[test]
#[ignore = "a step of tools/train/export.py, which records the values when it builds a pack"]
fn every_node_of_a_new_pack_gives_what_another_engine_does() {
    let [recorded, pack] = ["OCELLI_NODES", "OCELLI_NEW_PACK"]
        .map(|name| PathBuf::from(env::var_os(name).unwrap_or_else(|| panic!("{name} should name a folder"))));
    let list = fs::read_to_string(recorded.join("nodes.toml")).expect("nodes.toml should be there");
    let list: Nodes = toml::from_str(&list).expect("nodes.toml should be as nodes.py writes it");
    for Graph { file, folder, inputs, tolerance, nodes } in list.graphs {
        let folder = recorded.join(folder);
        let model = read_graph(&pack.join(&file)).expect("an ONNX file");
        let inputs: TVec<TValue> =
            (0..inputs).map(|k| any_tensor(&folder.join(format!("in_{k}.npy")), &model, k)).collect();
        let mut worst = (0.0, "");
        for (k, node) in nodes.iter().enumerate() {
            let wanted: ArrayD<f32> = array(&folder.join(format!("{k}.npy")));
            let mut to = model.clone();
            let outlet = to.find_outlet_label(node).unwrap_or_else(|| panic!("{}: no {node}", file.display()));
            to.select_output_outlets(&[outlet]).expect("it is there");
            let plan = to.into_optimized().and_then(TypedModel::into_runnable).expect("tract knows all of it");
            let found = plan.run(inputs.clone()).unwrap_or_else(|error| panic!("{} {node}: {error}", file.display()));
            let error = relative_error(&values(&found[0]), &wanted.view());
            assert!(error <= tolerance, "{} {node}: relative error {error:e}", file.display());
            worst = if error > worst.0 { (error, node) } else { worst };
        }
        eprintln!("{}: {} nodes, largest relative error {:.1e} at {}", file.display(), nodes.len(), worst.0, worst.1);
    }
}

/// The recorded input `k`, of the type that the graph says.
fn any_tensor(path: &Path, model: &InferenceModel, k: usize) -> TValue {
    match model.input_fact(k).expect("as many inputs as were recorded").datum_type.concretize() {
        Some(DatumType::U8) => tensor::<u8>(path),
        Some(DatumType::I64) => tensor::<i64>(path),
        _ => tensor::<f32>(path),
    }
}

/// The recorded clip, and which patches the gate sent of it.
struct Recorded {
    pictures: ArrayD<u8>,
    changed: ArrayD<u8>,
}

impl Recorded {
    fn new(pack: &Pack) -> Self {
        let golden = pack.folder.join("golden");
        Self { pictures: array(&golden.join("gate_patches.npy")), changed: array(&golden.join("gate_changed.npy")) }
    }

    fn sent(&self, frame: usize) -> PatchMask {
        let mut mask = PatchMask::empty();
        let kept = self.changed.index_axis(ndarray::Axis(0), frame);
        kept.iter().enumerate().filter(|(_, kept)| **kept == 1).for_each(|(index, _)| mask.insert(index));
        mask
    }

    /// The canvas with the sent patches of `frame`, and which they are.
    fn paint(&mut self, frame: usize, canvas: &mut Vec<u8>) -> Vec<u8> {
        let picture = self.pictures.index_axis(ndarray::Axis(0), frame);
        let bytes = picture.shape()[1];
        canvas.resize(picture.len(), 0);
        let sent = self.sent(frame);
        for index in sent.iter() {
            let patch = picture.index_axis(ndarray::Axis(0), index);
            canvas[index * bytes..][..bytes].iter_mut().zip(&patch).for_each(|(to, from)| *to = *from);
        }
        (0..picture.shape()[0]).map(|index| u8::from(sent.contains(index))).collect()
    }
}

#[test]
fn the_published_chunked_form_gives_the_recorded_tokens() {
    on_each(|backend| {
        let folder = models().join("tiny-test/published");
        let chunk = plan(backend, &folder.join("stab_chunk.onnx"));
        let outputs = chunk.run(tvec![tensor::<u8>(&folder.join("input.npy"))]).expect("it runs");
        check("published form", &values(&outputs[0]), &folder.join("output.npy"));
    });
}

/// The gate's recorded choice as a batch.
fn batch<'a>(
    pack: &Pack,
    keep: &'a PatchMask,
    picture: &ArrayViewD<'_, u8>,
    seq: u64,
    patches: &'a mut Vec<u8>,
) -> PatchBatch<'a> {
    patches.clear();
    for index in keep.iter() {
        patches.extend(picture.index_axis(ndarray::Axis(0), index));
    }
    PatchBatch {
        grid: pack.grid,
        sent: keep,
        kept: keep,
        content: Content::whole(pack.grid),
        patches,
        seq: FrameSeq(seq),
        captured_us: Micros(seq * 200_000),
    }
}

/// Plays the recorded clip twice, with a reset between.
fn play<E: Encoder<Error = InferError>>(
    pack: &Pack,
    stab: &mut E,
    reset: impl Fn(&mut E),
    mut frame_done: impl FnMut(usize, &[f32]),
) {
    let recorded = Recorded::new(pack);
    let width = pack.manifest.stab.token_width;
    let mut tokens = vec![0.0; pack.manifest.stab.tokens * width];
    for _ in 0..2 {
        for frame in 0..INT8_FRAMES {
            let (mut bytes, keep) = (Vec::new(), recorded.sent(frame));
            let picture = recorded.pictures.index_axis(ndarray::Axis(0), frame);
            let batch = batch(pack, &keep, &picture, frame as u64, &mut bytes);
            // A batch that is cut short is refused, and leaves no trace in what follows.
            let short = PatchBatch { patches: &batch.patches[..batch.patches.len().saturating_sub(1)], ..batch };
            let mut room = FrameTokens { width, values: &mut tokens };
            assert!(batch.patches.is_empty() || stab.encode(&short, &mut room).is_err());
            stab.encode(&batch, &mut room).expect("it runs");
            frame_done(frame, &tokens);
        }
        reset(stab);
    }
}

#[test]
fn the_encoder_carries_canvas_and_states_from_frame_to_frame() {
    for pack in packs() {
        let (name, golden) = (&pack.manifest.name, pack.folder.join("golden"));
        let tokens: ArrayD<f32> = array(&golden.join("int8_tokens.npy"));
        let mut stab = Stab::load(&pack).expect("the pack is whole");
        let reset = |stab: &mut Stab| stab.reset().expect("it can be started anew");
        play(&pack, &mut stab, reset, |frame, found| {
            let wanted = tokens.index_axis(ndarray::Axis(0), frame);
            check_values(&format!("{name} stream, frame {frame}"), found, &wanted, INT8_TOLERANCE);
        });
        on_each(|backend| {
            let mut stab = ReferenceStab::load(&pack, backend).expect("the pack is whole");
            play(&pack, &mut stab, ReferenceStab::reset, |frame, found| {
                if (1..4).contains(&frame) {
                    let wanted = pack.folder.join(format!("reference/golden/stab_out_{}_tokens.npy", frame - 1));
                    check(&format!("{name} f32 stream, frame {frame}"), found, &wanted);
                }
            });
        });
    }
}

#[test]
fn the_heads_gather_the_recorded_tokens_and_look_them_up() {
    for pack in packs() {
        let narrator = Narrator::load(&pack).expect("the pack is whole");
        assert_eq!(look_up(&pack, &pack.folder.join("golden"), narrator), None, "no heads of what is worth telling");
        on_each(|backend| {
            let narrator = Narrator::load_reference(&pack, backend).expect("the pack is whole");
            look_up(&pack, &pack.folder.join("reference/golden"), narrator);
        });
    }
}

fn look_up(pack: &Pack, golden: &Path, mut narrator: Narrator) -> Option<Worth> {
    let tokens: ArrayD<f32> = array(&golden.join("narrator_in_tokens.npy"));
    let index: ArrayD<i64> = array(&golden.join("narrator_in_index.npy"));
    let valid: ArrayD<f32> = array(&golden.join("narrator_in_valid.npy"));
    let slots: Vec<Option<TokenRef>> = (0..pack.manifest.narrator.slots)
        .map(|slot| {
            (valid[[slot]] > 0.0).then(|| TokenRef {
                token: slot as u32,
                age_frames: index[[slot, 0]] as u32,
                position: index[[slot, 1]] as u32,
            })
        })
        .collect();
    assert!(slots.iter().any(Option::is_some));
    // As the memory keeps them.
    let rows = tokens.as_slice().expect("in standard order").chunks_exact(pack.manifest.stab.token_width);
    let (mut storage, mut scales) = (Vec::new(), Vec::new());
    for row in rows {
        let scale = row.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs())) / 127.0;
        storage.extend(row.iter().map(|value| (value / scale).round_ties_even() as i8));
        scales.push(scale);
    }
    let view = MemoryView {
        width: pack.manifest.stab.token_width,
        storage: &storage,
        scales: &scales,
        slots: &slots,
        from: EntryId(1),
        to: EntryId(10),
        captured_us: Micros(0),
    };
    let mut found = vec![0.0; pack.vocabulary.len()];
    narrator.describe(&view, &mut found).expect("it runs");
    let z: ArrayD<f32> = array(&golden.join("narrator_out.npy"));
    let mut wanted = vec![0.0; found.len()];
    let temperature = pack.manifest.vocabulary.temperature;
    pack.vocabulary.look_up(z.as_slice().expect("in standard order"), temperature, &mut wanted);
    // The golden has tokens in f32.
    let off = found.iter().zip(&wanted).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    println!("{}: probabilities differ by {off} at most", pack.manifest.name);
    assert!(off < 0.02, "{found:?} {wanted:?}");
    narrator.worth()
}

#[test]
fn heads_of_what_is_worth_telling_say_what_was_recorded_and_must_be_there_where_they_are_promised() {
    let tiny = models().join("tiny-test");
    let pack = Pack::open(&tiny.join("heads")).expect("a pack beside its like");
    let worth = look_up(&pack, &tiny.join("golden"), Narrator::load(&pack).expect("the pack is whole"));
    let worth = worth.expect("it has heads");
    let logits: ArrayD<f32> = array(&tiny.join("heads/speak_out.npy"));
    for (found, logit) in [worth.informative, worth.relevant].into_iter().zip(&logits) {
        assert!((found - 1.0 / (1.0 + (-logit).exp())).abs() < 0.02, "{worth:?} {logits:?}");
    }
    let mut without = Pack::open(&tiny).expect("the pack is whole");
    without.manifest.speak.news = Some(NewsPart { threshold: 0.5, cumulative: 2.0 });
    let refused = Narrator::load(&without).expect_err("its graph has no heads").to_string();
    assert!(refused.contains("output"), "{refused}");
}

/// What our ops state is what the formula counts, to the last one: norms and activations are in neither.
#[test]
fn the_count_of_multiply_adds_is_that_of_the_formula() {
    for (pack, width, heads, hidden) in [("tiny-test", 24, 2, 32), ("home", 192, 6, 512)] {
        let pack = Pack::open(&models().join(pack)).expect("the pack is whole");
        assert_eq!((pack.manifest.stab.width, pack.manifest.stab.heads), (width, heads));
        let shape = StabShape {
            frames: 1,
            input_px: pack.manifest.input.size_px as u64,
            patch_px: pack.manifest.input.patch_px as u64,
            width: width as u64,
            heads: heads as u64,
            hidden,
            token_width: pack.manifest.stab.token_width as u64,
        };
        let own = shape.macs(Form::Folded);
        assert_eq!(Stab::load(&pack).expect("the pack is whole").macs(), own.total(), "{own:?}");
    }
}
