//! The ONNX domain `ai.ocelli` (`models/OPS.md`) for tract: each op is a part of `ocelli-kernels` with its weights, its
//! memory and its outputs.
//!
//! The weights go from the file to the ops and past tract, which would keep copies of all of them until the graph is
//! complete. An op of a stream keeps the tensors that it gave out and writes only the rows that changed; by the next run nobody else
//! holds them, so nothing is copied and nothing allocated. One of a graph that runs now and then gives them away ([`Rhythm`]).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ocelli_kernels::{
    Act, AttentionScratch, DecoderLayer, DecoderScratch, Fsra, Gstra, Input, Isa, KvBits, KvConfig, Linear, Lsd, Lste,
    Positions, Project, Rows, Scratch, attend_one, attention, linear,
};
use ocelli_types::MAX_PATCHES;
use prost::Message as _;
use prost::bytes::Buf;
use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto};
use tract_onnx::tract_core::internal::not_out_of_plan;
#[allow(clippy::wildcard_imports, reason = "made for it: some thirty names of tract's own prelude")]
use tract_onnx::tract_hir::internal::*;

/// The domain's name in ONNX files.
const DOMAIN: &str = "ai.ocelli";

thread_local! {
    /// Weights between the file and the ops: of each node, by its name, the tensors at its inputs. tract builds ops by plain
    /// functions, which can be handed nothing else.
    static SHELF: RefCell<HashMap<String, Vec<Option<TensorProto>>>> = RefCell::default();
    /// Of the graph that is being read.
    static ROOMS: RefCell<Rooms> = RefCell::default();
    /// Of the graph that is being read.
    static RHYTHM: Cell<Rhythm> = const { Cell::new(Rhythm::Stream) };
}

/// What an op does with the tensors that it gave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// It keeps them, and writes what changed.
    Stream,
    /// They go as soon as nobody needs them, and each run begins with new ones, of zeros: all of a narrator's together are twice its
    /// weights, and layers that work in the same few pages find them in the cache.
    Anew,
}

/// What ops of a graph work in, all in the same, for they run one after the other.
#[derive(Default)]
struct Rooms {
    layers: Option<Room>,
    linears: Arc<Mutex<Scratch>>,
    /// What the largest of the products so far takes there.
    linears_bytes: usize,
}

type Room = Arc<Mutex<Option<DecoderScratch>>>;

/// The graph in this file. Each op's weights are freed from the file's content when the op is made, so that reading takes
/// no more memory than what is made.
pub(crate) fn read(onnx: &Onnx, path: &Path, rhythm: Rhythm) -> TractResult<InferenceModel> {
    let mut file = Piecewise::open(path)?;
    let decoded = ModelProto::decode(&mut file);
    if let Some(error) = file.failed {
        return Err(error.into());
    }
    let mut proto = decoded?;
    check_axes(&proto)?;
    let shelf = take_weights(&mut proto);
    SHELF.set(shelf);
    RHYTHM.set(rhythm);
    // The folder, for tensors that lie in files beside the graph: they are read one at a time.
    let parsed = onnx.parse(&proto, path.parent().and_then(Path::to_str));
    SHELF.take();
    ROOMS.take();
    let parsed = parsed?;
    ensure!(parsed.unresolved_inputs.is_empty(), "inputs of nobody: {:?}", parsed.unresolved_inputs);
    Ok(parsed.model)
}

/// tract counts through axes one by one: to one that no tensor has it would count for years.
fn check_axes(model: &ModelProto) -> TractResult<()> {
    for node in model.graph.iter().flat_map(|graph| &graph.node) {
        let axis = node.attribute.iter().find(|attribute| attribute.name == "axis").map_or(0, |axis| axis.i);
        ensure!(axis.unsigned_abs() <= MOST_AXES, "axis of `{}` is {axis}, and no tensor has so many", node.name);
    }
    Ok(())
}

/// A file as it is decoded: a piece of it at a time, for what is mapped counts as held, and what is read whole is.
struct Piecewise {
    file: File,
    piece: Vec<u8>,
    at: usize,
    /// What follows the piece.
    rest_bytes: usize,
    /// Why it could not be read on. To the decoder it goes on with zeros, which are nothing's beginning: it counts on as much as there was.
    failed: Option<io::Error>,
}

impl Piecewise {
    const BYTES: usize = 64 << 10;

    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let rest_bytes = file.metadata()?.len() as usize;
        let mut pieces = Self { file, piece: Vec::new(), at: 0, rest_bytes, failed: None };
        pieces.read();
        Ok(pieces)
    }

    /// The next piece.
    fn read(&mut self) {
        self.piece.resize(self.rest_bytes.min(Self::BYTES), 0);
        self.at = 0;
        self.rest_bytes -= self.piece.len();
        if self.failed.is_none() {
            self.failed = self.file.read_exact(&mut self.piece).err();
        }
        if self.failed.is_some() {
            self.piece.fill(0);
        }
    }
}

impl Buf for Piecewise {
    fn remaining(&self) -> usize {
        self.piece.len() - self.at + self.rest_bytes
    }

    fn chunk(&self) -> &[u8] {
        &self.piece[self.at..]
    }

    fn advance(&mut self, mut bytes: usize) {
        assert!(bytes <= self.remaining(), "there is no more");
        loop {
            let here = bytes.min(self.piece.len() - self.at);
            self.at += here;
            bytes -= here;
            if self.at < self.piece.len() || self.rest_bytes == 0 {
                return;
            }
            self.read();
        }
    }
}

/// Takes the initializers of our nodes out of the graph; their inputs become empty names.
fn take_weights(model: &mut ModelProto) -> HashMap<String, Vec<Option<TensorProto>>> {
    let Some(graph) = model.graph.as_mut() else { return HashMap::new() };
    let mut uses: HashMap<String, usize> = HashMap::new();
    for name in graph.node.iter().flat_map(|node| &node.input) {
        *uses.entry(name.clone()).or_default() += 1;
    }
    let named = std::mem::take(&mut graph.initializer).into_iter().map(|tensor| (tensor.name.clone(), tensor));
    let mut tensors: HashMap<String, TensorProto> = named.collect();
    let mut shelf = HashMap::new();
    for node in graph.node.iter_mut().filter(|node| node.domain == DOMAIN) {
        let mut take = |name: &mut String| {
            let shared = uses.get(name).is_some_and(|uses| *uses > 1);
            let tensor = if shared { tensors.get(name).cloned() } else { tensors.remove(name) };
            if tensor.is_some() {
                name.clear();
            }
            tensor
        };
        shelf.insert(node.name.clone(), node.input.iter_mut().map(&mut take).collect());
    }
    graph.initializer = tensors.into_values().collect();
    shelf
}

/// Teaches tract the domain.
pub(crate) fn register(onnx: &mut Onnx) {
    add::<Lste>(onnx);
    add::<Gstra>(onnx);
    add::<Lsd>(onnx);
    add::<Fsra>(onnx);
    add::<Project>(onnx);
    add::<QLinear>(onnx);
    add::<Attention>(onnx);
    add::<Layer>(onnx);
    add::<Logits>(onnx);
}

fn add<P: Part>(onnx: &mut Onnx) {
    onnx.op_register.insert(P::NAME, |context, node| {
        let version =
            context.model.opset_import.iter().find(|import| import.domain == DOMAIN).map(|import| import.version);
        ensure!(node.domain == DOMAIN && version == Some(1), "`{}` should be of {DOMAIN}, version 1", node.name);
        let weights = SHELF.with_borrow_mut(|shelf| shelf.remove(&node.name)).unwrap_or_default();
        let reader = Reader { context, node, weights, read: RefCell::default() };
        let part = P::read(&reader).with_context(|| format!("the weights of `{}`", node.name))?;
        // One that the op does not take, or that should come anew with each run.
        let left =
            (0..reader.weights.len()).find(|at| reader.weights[*at].is_some() && !reader.read.borrow().contains(at));
        ensure!(left.is_none(), "input {} of `{}` should not be an initializer", left.unwrap_or(0), node.name);
        Ok((expand(PartOp { part: Arc::new(part), isa: Isa::detect(), rhythm: RHYTHM.get() }), vec![]))
    });
}

/// What an op is made of.
trait Part: Clone + fmt::Debug + Send + Sync + 'static {
    /// The op's name in the domain.
    const NAME: &'static str;
    /// How many outputs it has.
    const OUTPUTS: usize;

    /// Makes it from the node's weights and attributes.
    fn read(reader: &Reader<'_>) -> TractResult<Self>;

    /// Types and shapes of what it gives, from the shapes of what it gets.
    fn outputs(&self, inputs: &[Shape]) -> TractResult<Vec<(DatumType, Shape)>>;

    /// Multiply-adds of a run in which everything is fresh.
    fn macs(&self, inputs: &[Shape]) -> u64;

    /// Bytes of weights.
    fn weight_bytes(&self) -> usize;

    /// Bytes of what it remembers and works in, its outputs apart.
    fn state_bytes(&self, inputs: &[Shape]) -> usize;

    /// Forgets what it remembers, where it lies. Most remember only what the first run, in which all is fresh, makes anew.
    fn forget(&mut self) {}

    /// One run; `outputs` are those of the run before.
    fn run(&mut self, isa: Isa, inputs: &[TValue], outputs: &mut [Tensor]) -> TractResult<()>;
}

type Shape = TVec<usize>;

/// A node of the file, and its weights by input.
struct Reader<'a> {
    context: &'a ParsingContext<'a>,
    node: &'a NodeProto,
    weights: Vec<Option<TensorProto>>,
    /// Which of them were read.
    read: RefCell<Vec<usize>>,
}

impl Reader<'_> {
    /// Whether a tensor comes at this input with each run.
    fn has(&self, input: usize) -> bool {
        self.node.input.get(input).is_some_and(|name| !name.is_empty())
    }

    fn tensor(&self, input: usize) -> TractResult<Tensor> {
        self.read.borrow_mut().push(input);
        let proto = self.weights.get(input).and_then(Option::as_ref);
        self.context.load_tensor(proto.with_context(|| format!("input {input} should be an initializer"))?)
    }

    fn floats(&self, input: usize) -> TractResult<Vec<f32>> {
        let values = self.tensor(input)?.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
        ensure!(values.iter().all(|value| value.is_finite()), "input {input} holds what is not a number");
        Ok(values)
    }

    /// `[rows, columns]` and the values.
    fn table(&self, input: usize) -> TractResult<(usize, usize, Vec<f32>)> {
        let &[rows, columns] = self.tensor(input)?.shape() else { bail!("input {input} should have two axes") };
        Ok((rows, columns, self.floats(input)?))
    }

    /// A table of so many rows and columns.
    fn table_of(&self, input: usize, rows: usize, columns: usize) -> TractResult<Vec<f32>> {
        let (found_rows, found_columns, values) = self.table(input)?;
        ensure!((found_rows, found_columns) == (rows, columns), "input {input} should be [{rows}, {columns}]");
        Ok(values)
    }

    /// Matrix, scales and biases at three inputs; `n` is what the scales say.
    fn linear(&self, input: usize, groups: usize, k: usize) -> TractResult<Linear> {
        let (w, s, b) = (self.tensor(input)?, self.floats(input + 1)?, self.floats(input + 2)?);
        let n = s.len() / groups.max(1);
        let blocked = [n.div_ceil(16), k.div_ceil(4), 16, 4];
        ensure!(w.shape().ends_with(&blocked), "input {input} is {:?}, and should be blocks {blocked:?}", w.shape());
        let w = w.try_as_plain_ram()?.as_slice::<i8>()?;
        let made = Linear::new(groups, k, n, w, &s, &b);
        made.with_context(|| format!("inputs {input} to {}: the sizes do not go together", input + 2))
    }

    /// The side of a square of patches, or of windows.
    fn side(&self, name: &str) -> TractResult<usize> {
        let value = self.attribute(name)?;
        ensure!(value * value <= MAX_PATCHES, "{name} is {value}, and a frame has at most {MAX_PATCHES} patches");
        Ok(value)
    }

    /// A size. Beyond the largest that makes sense it is a slip, and products of it would not fit.
    fn attribute(&self, name: &str) -> TractResult<usize> {
        let value = self.node.get_attr::<usize>(name)?;
        ensure!((1..=MOST).contains(&value), "{name} is {value}, and may be 1 to {MOST}");
        Ok(value)
    }
}

/// An attribute that is 0 or 1, and 0 where there is none.
fn flag(node: &NodeProto, name: &str) -> TractResult<bool> {
    match node.get_attr_opt::<i64>(name)? {
        None | Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(other) => bail!("{name} is {other}, and may be 0 or 1"),
    }
}

/// tract's op around a part that has seen nothing.
#[derive(Clone, Debug)]
struct PartOp<P> {
    part: Arc<P>,
    isa: Isa,
    rhythm: Rhythm,
}

impl<P> PartialEq for PartOp<P> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.part, &other.part)
    }
}

impl<P> Eq for PartOp<P> {}

impl<P: Part> Expansion for PartOp<P> {
    fn name(&self) -> StaticName {
        P::NAME.into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(P::OUTPUTS)
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let shapes = inputs.iter().map(|input| &input.shape);
        solver.given_all(shapes, move |solver, shapes: Vec<TVec<TDim>>| {
            let shapes = shapes.iter().map(|shape| fixed(shape)).collect::<TractResult<Vec<Shape>>>()?;
            for (output, (datum, shape)) in outputs.iter().zip(self.part.outputs(&shapes)?) {
                solver.equals(&output.datum_type, datum)?;
                solver.equals(&output.shape, shape.iter().map(ToDim::to_dim).collect::<TVec<TDim>>())?;
            }
            Ok(())
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

fn fixed(shape: &[TDim]) -> TractResult<Shape> {
    shape.iter().map(|dim| Ok(dim.to_usize()?)).collect()
}

fn shapes_of(facts: &[&TypedFact]) -> TractResult<Vec<Shape>> {
    let shape = |fact: &&TypedFact| fact.shape.as_concrete().map(Into::into).context("shapes should be fixed");
    facts.iter().map(shape).collect()
}

impl<P: Part> Op for PartOp<P> {
    fn name(&self) -> StaticName {
        P::NAME.into()
    }

    op_as_typed_op!();
}

impl<P: Part> EvalOp for PartOp<P> {
    not_out_of_plan!();

    fn state(&self, _: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        let (part, isa, keeps) = (P::clone(&self.part), self.isa, self.rhythm == Rhythm::Stream);
        Ok(Some(Box::new(State { part, isa, keeps, outputs: Vec::new() })))
    }
}

impl<P: Part> TypedOp for PartOp<P> {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let outputs = self.part.outputs(&shapes_of(inputs)?)?;
        Ok(outputs.into_iter().map(|(datum, shape)| datum.fact(&*shape)).collect())
    }

    fn cost(&self, inputs: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let shapes = shapes_of(inputs)?;
        let size = |(datum, shape): (DatumType, Shape)| datum.size_of() * shape.iter().product::<usize>();
        let outputs: usize = self.part.outputs(&shapes)?.into_iter().map(size).sum();
        let kept = if self.rhythm == Rhythm::Stream { outputs } else { 0 };
        Ok(tvec![
            (Cost::FMA(F32), self.part.macs(&shapes).to_dim()),
            (Cost::Params(OURS), self.part.weight_bytes().to_dim()),
            (Cost::Buffer(OURS), (self.part.state_bytes(&shapes) + kept).to_dim()),
        ])
    }

    as_op!();
}

/// The part of one stream, and what it gave out last.
#[derive(Clone, Debug)]
struct State<P> {
    part: P,
    isa: Isa,
    keeps: bool,
    /// Nothing before the first run, and where they are not kept.
    outputs: Vec<TValue>,
}

impl<P: Part> OpState for State<P> {
    fn eval(&mut self, _: &EvalContext, _: &dyn Op, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut outputs: Vec<Tensor> = if self.outputs.is_empty() {
            let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape().into()).collect();
            let blank = |(datum, shape): (DatumType, Shape)| Tensor::zero_aligned_dt(datum, &shape, 64);
            self.part.outputs(&shapes)?.into_iter().map(blank).collect::<TractResult<_>>()?
        } else {
            // Nobody else holds them any more, so this takes them without a copy.
            self.outputs.drain(..).map(IntoTensor::into_tensor).collect()
        };
        self.part.run(self.isa, &inputs, &mut outputs)?;
        if !self.keeps {
            return Ok(outputs.into_iter().map(IntoTValue::into_tvalue).collect());
        }
        self.outputs.extend(outputs.into_iter().map(IntoTValue::into_tvalue));
        Ok(self.outputs.iter().cloned().collect())
    }

    /// Of whichever lane: a camera has a state of its own, which is its only one.
    fn reset_lanes(&mut self, _: &[LaneId]) -> TractResult<()> {
        self.part.forget();
        Ok(())
    }
}

fn floats(value: &TValue) -> TractResult<&[f32]> {
    value.try_as_plain_ram()?.as_slice::<f32>()
}

fn bytes(value: &TValue) -> TractResult<&[u8]> {
    value.try_as_plain_ram()?.as_slice::<u8>()
}

/// The most axes of a tensor.
const MOST_AXES: u64 = 16;

/// The largest size that an attribute may state.
const MOST: usize = 1 << 16;

/// Type under which our ops state the bytes that they hold; no op of tract's does so under this one.
pub(crate) const OURS: DatumType = DatumType::I8;

const F32: DatumType = DatumType::F32;
const U8: DatumType = DatumType::U8;

/// What a part of STAB says of itself.
macro_rules! costs_of_the_part {
    () => {
        fn macs(&self, _: &[Shape]) -> u64 {
            self.macs()
        }

        fn weight_bytes(&self) -> usize {
            self.weight_bytes()
        }

        fn state_bytes(&self, _: &[Shape]) -> usize {
            self.state_bytes()
        }
    };
}

impl Part for Lste {
    const NAME: &'static str = "Lste";
    const OUTPUTS: usize = 3;

    fn read(reader: &Reader<'_>) -> TractResult<Self> {
        // Pixels come four at a time, so what the blocks hold is what there is.
        let &[_, depth, ..] = reader.tensor(2)?.shape() else { bail!("blocked weights have four axes") };
        let patch = reader.linear(2, 1, 4 * depth)?;
        let reduce = reader.linear(5, 1, patch.n())?;
        let expand = reader.linear(9, 1, reduce.n())?;
        let side = reader.side("side")?;
        let (taps, dpe_w) = (reader.table_of(8, 3, reduce.n())?, reader.table_of(12, 27, patch.n())?);
        let dpe_b = reader.floats(13)?;
        Self::new(side, patch, reduce, &taps, expand, &dpe_w, &dpe_b).context("the sizes do not go together")
    }

    fn outputs(&self, inputs: &[Shape]) -> TractResult<Vec<(DatumType, Shape)>> {
        let (patches, bytes) = (self.patches(), self.patch_bytes());
        ensure!(inputs.len() == 2 && *inputs[0] == [patches, bytes] && *inputs[1] == [patches], "{inputs:?}");
        let rows: Shape = tvec![patches, self.width()];
        Ok(vec![(F32, rows.clone()), (F32, rows), (U8, tvec![patches])])
    }

    costs_of_the_part!();

    fn forget(&mut self) {
        self.reset();
    }

    fn run(&mut self, isa: Isa, inputs: &[TValue], outputs: &mut [Tensor]) -> TractResult<()> {
        let [x2, x3, fresh] = outputs else { bail!("three outputs") };
        let (mut x2, mut x3) = (x2.try_as_plain_ram_mut()?, x3.try_as_plain_ram_mut()?);
        let mut fresh = fresh.try_as_plain_ram_mut()?;
        let (x2, x3, fresh) = (x2.as_slice_mut()?, x3.as_slice_mut()?, fresh.as_slice_mut()?);
        self.step(isa, bytes(&inputs[0])?, bytes(&inputs[1])?, x2, x3, fresh);
        Ok(())
    }
}

/// `f32 [rows, d]` and `u8 [rows]`: what aggregators take.
fn check_rows(inputs: &[Shape], rows: usize, d: usize) -> TractResult<()> {
    ensure!(inputs.len() == 2 && *inputs[0] == [rows, d] && *inputs[1] == [rows], "{inputs:?}");
    Ok(())
}

/// Writes one vector and whether it is new.
fn give_vector(outputs: &mut [Tensor], step: impl FnOnce(&mut [f32]) -> bool) -> TractResult<()> {
    let [vector, fresh] = outputs else { bail!("two outputs") };
    let new = step(vector.try_as_plain_ram_mut()?.as_slice_mut()?);
    fresh.try_as_plain_ram_mut()?.as_slice_mut::<u8>()?[0] = u8::from(new);
    Ok(())
}

impl Part for Gstra {
    const NAME: &'static str = "Gstra";
    const OUTPUTS: usize = 2;

    fn read(reader: &Reader<'_>) -> TractResult<Self> {
        let (block, (heads, d, keys)) = (reader.side("block")?, reader.table(2)?);
        let (v, out, up) = (reader.linear(3, heads, d)?, reader.linear(6, 1, d)?, reader.linear(9, 1, d)?);
        let down = reader.linear(12, 1, up.n())?;
        Self::new(block * block, block, heads, &keys, v, out, up, down).context("the sizes do not go together")
    }

    fn outputs(&self, inputs: &[Shape]) -> TractResult<Vec<(DatumType, Shape)>> {
        check_rows(inputs, self.rows(), self.width())?;
        Ok(vec![(F32, tvec![1, self.width()]), (U8, tvec![1])])
    }

    costs_of_the_part!();

    fn forget(&mut self) {
        self.reset();
    }

    fn run(&mut self, isa: Isa, inputs: &[TValue], outputs: &mut [Tensor]) -> TractResult<()> {
        let (x, fresh) = (floats(&inputs[0])?, bytes(&inputs[1])?);
        give_vector(outputs, |g| self.step(isa, x, fresh, g))
    }
}

impl Part for Lsd {
    const NAME: &'static str = "Lsd";
    const OUTPUTS: usize = 2;

    fn read(reader: &Reader<'_>) -> TractResult<Self> {
        let (side, heads) = (reader.side("side")?, reader.attribute("heads")?);
        let d = reader.floats(3)?.len();
        let (q, k) = (reader.linear(2, 1, d)?, reader.linear(5, heads, d / heads.max(1))?);
        let (v, out) = (reader.linear(8, heads, d)?, reader.linear(11, 1, d)?);
        Self::new(side, heads, q, k, v, out).context("the sizes do not go together")
    }

    fn outputs(&self, inputs: &[Shape]) -> TractResult<Vec<(DatumType, Shape)>> {
        check_rows(inputs, 4 * self.windows(), self.width())?;
        Ok(vec![(F32, tvec![self.windows(), self.width()]), (U8, tvec![self.windows()])])
    }

    costs_of_the_part!();

    fn run(&mut self, isa: Isa, inputs: &[TValue], outputs: &mut [Tensor]) -> TractResult<()> {
        let [y, touched] = outputs else { bail!("two outputs") };
        let (mut y, mut touched) = (y.try_as_plain_ram_mut()?, touched.try_as_plain_ram_mut()?);
        self.step(isa, floats(&inputs[0])?, bytes(&inputs[1])?, y.as_slice_mut()?, touched.as_slice_mut()?);
        Ok(())
    }
}

impl Part for Fsra {
    const NAME: &'static str = "Fsra";
    const OUTPUTS: usize = 2;

    fn read(reader: &Reader<'_>) -> TractResult<Self> {
        let (block, (heads, d, keys)) = (reader.side("block")?, reader.table(2)?);
        let (v, out) = (reader.linear(3, heads, d)?, reader.linear(6, 1, d)?);
        Self::new(block * block, block, heads, &keys, v, out).context("the sizes do not go together")
    }

    fn outputs(&self, inputs: &[Shape]) -> TractResult<Vec<(DatumType, Shape)>> {
        check_rows(inputs, self.rows(), self.width())?;
        Ok(vec![(F32, tvec![1, self.width()]), (U8, tvec![1])])
    }

    costs_of_the_part!();

    fn run(&mut self, isa: Isa, inputs: &[TValue], outputs: &mut [Tensor]) -> TractResult<()> {
        let (y, fresh) = (floats(&inputs[0])?, bytes(&inputs[1])?);
        give_vector(outputs, |f| self.step(isa, y, fresh, f))
    }
}

impl Part for Project {
    const NAME: &'static str = "Project";
    const OUTPUTS: usize = 2;

    fn read(reader: &Reader<'_>) -> TractResult<Self> {
        let share = reader.floats(6)?;
        let (frame, up) = (reader.linear(7, 1, share.len())?, reader.linear(10, 1, share.len())?);
        let down = reader.linear(13, 1, up.n())?;
        Self::new(&share, frame, up, down).context("the sizes do not go together")
    }

    fn outputs(&self, inputs: &[Shape]) -> TractResult<Vec<(DatumType, Shape)>> {
        let (one, vector): (Shape, Shape) = (tvec![1], tvec![1, self.width()]);
        let vectors = inputs.len() == 6 && inputs[0] == vector && inputs[2] == vector;
        ensure!(vectors && inputs[1] == one && inputs[3] == one && inputs[4].len() == 2, "{inputs:?}");
        let windows = inputs[4][0];
        check_rows(&inputs[4..], windows, self.width())?;
        Ok(vec![(F32, tvec![windows + 1, self.token_width()]), (U8, tvec![windows + 1])])
    }

    fn macs(&self, inputs: &[Shape]) -> u64 {
        self.macs(inputs[4][0])
    }

    fn weight_bytes(&self) -> usize {
        self.weight_bytes()
    }

    fn state_bytes(&self, _: &[Shape]) -> usize {
        self.state_bytes()
    }

    fn run(&mut self, isa: Isa, inputs: &[TValue], outputs: &mut [Tensor]) -> TractResult<()> {
        let [tokens, changed] = outputs else { bail!("two outputs") };
        let (mut tokens, mut changed) = (tokens.try_as_plain_ram_mut()?, changed.try_as_plain_ram_mut()?);
        let frame_fresh = bytes(&inputs[1])?[0] != 0 || bytes(&inputs[3])?[0] != 0;
        let frame = (floats(&inputs[0])?, floats(&inputs[2])?, frame_fresh);
        let windows = (floats(&inputs[4])?, bytes(&inputs[5])?);
        self.step(isa, frame, windows, tokens.as_slice_mut()?, changed.as_slice_mut()?);
        Ok(())
    }
}

/// `act(lin(norm(x)))` + residual, of the rows that are live.
#[derive(Clone, Debug)]
struct QLinear {
    linear: Arc<Linear>,
    act: Act,
    norm: bool,
    has_rows: bool,
    has_residual: bool,
    chosen: Vec<u32>,
    /// One for all of a graph.
    room: Arc<Mutex<Scratch>>,
    /// By how much it is larger for this product than for those before.
    room_bytes: usize,
}

impl Part for QLinear {
    const NAME: &'static str = "QLinear";
    const OUTPUTS: usize = 1;

    fn read(reader: &Reader<'_>) -> TractResult<Self> {
        let linear = reader.linear(1, 1, reader.attribute("k")?)?;
        ensure!(linear.n() == reader.attribute("n")?, "n is not that of the scales");
        let act = match reader.node.get_attr_opt::<&str>("act")?.unwrap_or("none") {
            "none" => Act::None,
            "gelu" => Act::Gelu,
            "quick_gelu" => Act::QuickGelu,
            other => bail!("an activation called {other}"),
        };
        let (room, room_bytes) = ROOMS.with_borrow_mut(|rooms| {
            let bytes = rooms.linears_bytes.max(Scratch::for_any([&linear]).bytes());
            let before = std::mem::replace(&mut rooms.linears_bytes, bytes);
            (Arc::clone(&rooms.linears), bytes - before)
        });
        Ok(Self {
            act,
            norm: flag(reader.node, "norm")?,
            has_rows: reader.has(4),
            has_residual: reader.has(5),
            chosen: Vec::new(),
            room,
            room_bytes,
            linear: Arc::new(linear),
        })
    }

    fn outputs(&self, inputs: &[Shape]) -> TractResult<Vec<(DatumType, Shape)>> {
        let count = 1 + usize::from(self.has_rows) + usize::from(self.has_residual);
        ensure!(inputs.len() == count && inputs[0].len() == 2 && inputs[0][1] == self.linear.k(), "{inputs:?}");
        let out: Shape = tvec![inputs[0][0], self.linear.n()];
        ensure!(!self.has_rows || *inputs[1] == [out[0]], "{inputs:?}");
        ensure!(!self.has_residual || inputs[count - 1] == out, "{inputs:?}");
        Ok(vec![(F32, out)])
    }

    fn macs(&self, inputs: &[Shape]) -> u64 {
        inputs[0][0] as u64 * self.linear.macs()
    }

    fn weight_bytes(&self) -> usize {
        self.linear.bytes()
    }

    fn state_bytes(&self, inputs: &[Shape]) -> usize {
        self.room_bytes + 4 * inputs[0][0]
    }

    fn run(&mut self, isa: Isa, inputs: &[TValue], outputs: &mut [Tensor]) -> TractResult<()> {
        let mut out = outputs[0].try_as_plain_ram_mut()?;
        let out = out.as_slice_mut::<f32>()?;
        let x = floats(&inputs[0])?;
        let height = inputs[0].shape()[0] as u32;
        self.chosen.clear();
        if self.has_rows {
            let rows = bytes(&inputs[1])?;
            for (row, out) in out.chunks_exact_mut(self.linear.n()).enumerate() {
                if rows[row] == 0 {
                    out.fill(0.0);
                } else {
                    self.chosen.push(row as u32);
                }
            }
        } else {
            self.chosen.extend(0..height);
        }
        let residual = if self.has_residual { Some(floats(&inputs[inputs.len() - 1])?) } else { None };
        let input = if self.norm { Input::Normed(x) } else { Input::Rows(x) };
        let rows = &self.chosen[..];
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        linear(isa, &self.linear, input, rows, rows, self.act, residual, &mut room, out);
        Ok(())
    }
}

/// Softmax attention among the rows that are live.
#[derive(Clone, Debug)]
struct Attention {
    heads: usize,
    /// Only the last row asks.
    last: bool,
    scratch: AttentionScratch,
}

impl Part for Attention {
    const NAME: &'static str = "Attention";
    const OUTPUTS: usize = 1;

    fn read(reader: &Reader<'_>) -> TractResult<Self> {
        let last = match reader.node.get_attr::<&str>("queries")? {
            "all" => false,
            "last" => true,
            other => bail!("queries called {other}"),
        };
        Ok(Self { heads: reader.attribute("heads")?, last, scratch: AttentionScratch::new(0, 0) })
    }

    fn outputs(&self, inputs: &[Shape]) -> TractResult<Vec<(DatumType, Shape)>> {
        let fits = inputs.len() == 2 && inputs[0].len() == 2 && *inputs[1] == [inputs[0][0]];
        ensure!(
            fits && self.heads > 0 && inputs[0][1].is_multiple_of(3 * self.heads) && inputs[0][0] > 0,
            "{inputs:?}"
        );
        let rows = if self.last { 1 } else { inputs[0][0] };
        Ok(vec![(F32, tvec![rows, inputs[0][1] / 3])])
    }

    fn macs(&self, inputs: &[Shape]) -> u64 {
        let (s, d) = (inputs[0][0] as u64, inputs[0][1] as u64 / 3);
        2 * s * d * if self.last { 1 } else { s }
    }

    fn weight_bytes(&self) -> usize {
        0
    }

    fn state_bytes(&self, inputs: &[Shape]) -> usize {
        AttentionScratch::bytes_for(inputs[0][0], inputs[0][1] / 3 / self.heads)
    }

    fn run(&mut self, isa: Isa, inputs: &[TValue], outputs: &mut [Tensor]) -> TractResult<()> {
        let live = bytes(&inputs[1])?;
        let dh = inputs[0].shape()[1] / 3 / self.heads;
        // Its size is known from the first run on.
        if self.scratch.bytes() == 0 {
            self.scratch = AttentionScratch::new(live.len(), dh);
        }
        let mut out = outputs[0].try_as_plain_ram_mut()?;
        let (out, qkv) = (out.as_slice_mut()?, floats(&inputs[0])?);
        if self.last {
            let (row, d) = (3 * self.heads * dh, self.heads * dh);
            let query = &qkv[(live.len() - 1) * row..][..d];
            let rows = |from: usize| Rows { values: &qkv[from..], stride: row };
            attend_one(isa, query, rows(d), rows(2 * d), live, self.heads, &mut self.scratch, out);
        } else {
            attention(isa, qkv, live, self.heads, &mut self.scratch, out);
            for (out, _) in out.chunks_exact_mut(self.heads * dh).zip(live).filter(|(_, live)| **live == 0) {
                out.fill(0.0);
            }
        }
        Ok(())
    }
}

/// Pages of a generative head's cache, in tokens; what it keeps besides, and how. Int8 throughout: at some hundred tokens the
/// cache is a twentieth of the weights, and a page in int8 is the window's to the bit.
const CACHE: KvConfig = KvConfig {
    query_heads: 1,
    kv_heads: 1,
    width: 16,
    rope_base: 1e4,
    positions: Positions::Consecutive,
    bits: KvBits::Eight,
    page: 64,
    window: 128,
    sinks: 4,
    buckets: 4,
    top: 2,
    memory: 0.05,
    bytes: 0,
};

/// How many rows there are: those with a mark come first.
fn marked(rows: &[u8]) -> usize {
    rows.iter().position(|mark| *mark == 0).unwrap_or(rows.len())
}

/// The mark of a token whose successor is asked for.
pub(crate) const ASKS: u8 = 2;

/// A layer of a generative head, with its KV cache.
#[derive(Clone, Debug)]
struct Layer {
    part: DecoderLayer,
    /// One for all layers of a graph, which run one after the other.
    room: Room,
    /// It is the first of them: the room is counted as its own.
    counts_room: bool,
}

impl Part for Layer {
    const NAME: &'static str = "DecoderLayer";
    const OUTPUTS: usize = 1;

    fn read(reader: &Reader<'_>) -> TractResult<Self> {
        let (query_heads, kv_heads) = (reader.attribute("heads")?, reader.attribute("kv_heads")?);
        let rope_base = f64::from(reader.node.get_attr::<f32>("rope_base")?);
        let kv_bytes = 1024 * reader.attribute("kv_kib")?;
        let qkv = reader.linear(2, 1, reader.attribute("k")?)?;
        let (out, up) = (reader.linear(5, 1, qkv.k())?, reader.linear(8, 1, qkv.k())?);
        let down = reader.linear(11, 1, up.n() / 2)?;
        let width = qkv.n() / (query_heads + 2 * kv_heads);
        let config = KvConfig { query_heads, kv_heads, width, rope_base, bytes: kv_bytes, ..CACHE };
        let made = DecoderLayer::new(&config, qkv, out, up, down)?;
        let part = made.context("the sizes do not go together")?;
        let (room, counts_room) = ROOMS.with_borrow_mut(|rooms| {
            let is_first = rooms.layers.is_none();
            (Room::clone(rooms.layers.get_or_insert_default()), is_first)
        });
        Ok(Self { part, room, counts_room })
    }

    fn outputs(&self, inputs: &[Shape]) -> TractResult<Vec<(DatumType, Shape)>> {
        ensure!(inputs.len() == 2 && inputs[0].len() == 2, "{inputs:?}");
        ensure!((1..=CACHE.window).contains(&inputs[0][0]), "{inputs:?}: a run has at most {} rows", CACHE.window);
        check_rows(inputs, inputs[0][0], self.part.width())?;
        Ok(vec![(F32, inputs[0].clone())])
    }

    fn macs(&self, inputs: &[Shape]) -> u64 {
        inputs[0][0] as u64 * self.part.macs()
    }

    fn weight_bytes(&self) -> usize {
        self.part.weight_bytes()
    }

    fn state_bytes(&self, inputs: &[Shape]) -> usize {
        let room = DecoderScratch::new(&self.part, inputs[0][0]).ok().filter(|_| self.counts_room);
        self.part.cache_bytes() + room.map_or(0, |room| room.bytes())
    }

    fn forget(&mut self) {
        self.part.forget();
    }

    fn run(&mut self, isa: Isa, inputs: &[TValue], outputs: &mut [Tensor]) -> TractResult<()> {
        let mut out = outputs[0].try_as_plain_ram_mut()?;
        let (x, rows) = (floats(&inputs[0])?, bytes(&inputs[1])?);
        let size = marked(rows) * self.part.width();
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if room.is_none() {
            *room = Some(DecoderScratch::new(&self.part, rows.len())?);
        }
        let room = room.as_mut().context("it was just made")?;
        if size > 0 {
            self.part.step(isa, &x[..size], room, &mut out.as_slice_mut()?[..size])?;
        }
        Ok(())
    }
}

/// `lin(x / rms(x))` of the last marked row, if it asks.
#[derive(Clone, Debug)]
struct Logits {
    linear: Arc<Linear>,
    scratch: Scratch,
}

impl Part for Logits {
    const NAME: &'static str = "Logits";
    const OUTPUTS: usize = 1;

    fn read(reader: &Reader<'_>) -> TractResult<Self> {
        let linear = reader.linear(2, 1, reader.attribute("k")?)?;
        Ok(Self { scratch: Scratch::for_any([&linear]), linear: Arc::new(linear) })
    }

    fn outputs(&self, inputs: &[Shape]) -> TractResult<Vec<(DatumType, Shape)>> {
        ensure!(inputs.len() == 2 && inputs[0].len() == 2, "{inputs:?}");
        check_rows(inputs, inputs[0][0], self.linear.k())?;
        Ok(vec![(F32, tvec![1, self.linear.n()])])
    }

    fn macs(&self, _: &[Shape]) -> u64 {
        self.linear.macs()
    }

    fn weight_bytes(&self) -> usize {
        self.linear.bytes()
    }

    fn state_bytes(&self, _: &[Shape]) -> usize {
        self.scratch.bytes()
    }

    fn run(&mut self, isa: Isa, inputs: &[TValue], outputs: &mut [Tensor]) -> TractResult<()> {
        let mut out = outputs[0].try_as_plain_ram_mut()?;
        let (x, rows) = (floats(&inputs[0])?, bytes(&inputs[1])?);
        let count = marked(rows);
        if count > 0 && rows[count - 1] == ASKS {
            let row = Input::RootMeanSquared(&x[(count - 1) * self.linear.k()..]);
            linear(isa, &self.linear, row, &[0], &[0], Act::None, None, &mut self.scratch, out.as_slice_mut()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tract_onnx::pb::attribute_proto::AttributeType;
    use tract_onnx::pb::{AttributeProto, GraphProto};

    use super::*;

    #[test]
    fn an_axis_that_no_tensor_has_is_refused() {
        for (axis, is_right) in [(-1, true), (16, true), (17, false), (i64::MIN, false), (i64::MAX, false)] {
            let attribute = AttributeProto { name: "axis".into(), i: axis, ..AttributeProto::default() };
            let node = NodeProto { name: "n".into(), attribute: vec![attribute], ..NodeProto::default() };
            let graph = GraphProto { node: vec![node], ..GraphProto::default() };
            let checked = check_axes(&ModelProto { graph: Some(graph), ..ModelProto::default() });
            assert_eq!(checked.is_ok(), is_right, "{axis}");
        }
    }

    #[test]
    fn a_flag_is_0_or_1() {
        let node = |i| {
            let attribute =
                AttributeProto { name: "norm".into(), i, r#type: AttributeType::Int.into(), ..Default::default() };
            NodeProto { attribute: vec![attribute], ..NodeProto::default() }
        };
        for (value, read) in [(0, Some(false)), (1, Some(true)), (2, None), (-1, None), (1 << 62, None)] {
            assert_eq!(flag(&node(value), "norm").ok(), read, "{value}");
        }
        assert!(!flag(&NodeProto::default(), "norm").expect("none is 0"));
    }

    /// A card that fails while it is read, as a file that is cut after it was opened; numbers lie across the ends of its pieces.
    #[test]
    fn a_file_that_cannot_be_read_on_ends_the_decoding_with_the_reason() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("graph.onnx");
        for producer_name in ["", "a", "ab", "abc"].map(str::to_owned) {
            let tensor = TensorProto { float_data: vec![1.5; 50_000], ..TensorProto::default() };
            let graph = GraphProto { initializer: vec![tensor], ..GraphProto::default() };
            let whole = ModelProto { producer_name, graph: Some(graph), ..ModelProto::default() };
            let bytes = whole.encode_to_vec();
            for kept in [0, 1, Piecewise::BYTES, Piecewise::BYTES + 1, 100_000, bytes.len() - 1] {
                fs::write(&path, &bytes).expect("it is writable");
                let mut file = Piecewise::open(&path).expect("it is there");
                assert_eq!(ModelProto::decode(&mut file).ok().as_ref(), Some(&whole));
                assert!(file.failed.is_none());
                let mut file = Piecewise::open(&path).expect("it is there");
                File::options().write(true).open(&path).and_then(|file| file.set_len(kept as u64)).expect("it is cut");
                // The first piece was read.
                let _ = ModelProto::decode(&mut file);
                assert_eq!(file.failed.map(|error| error.kind()), Some(io::ErrorKind::UnexpectedEof), "{kept}");
            }
        }
    }
}
