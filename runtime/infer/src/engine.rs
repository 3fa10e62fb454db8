//! The one place that knows how tract loads and runs a graph.
//!
//! Graphs have fixed shapes: with symbolic ones tract's element-wise kernels are 1.3 to 1.7 times slower, and the ops that
//! matter bound their rows by themselves. The plan is kept with its state from run to run.
//!
//! What computes is behind tract's own trait `Runtime`, which a [`Backend`] names: tract's CPU runtime is the default, its
//! CUDA runtime is the feature `cuda` of this crate. The int8 ops are for the CPU; another back end runs the f32 graphs of
//! the pack, and is held against the CPU by the same golden tests. One for an NPU would be a sibling of these two.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tract_onnx::prelude::InferenceModelExt;
#[allow(clippy::wildcard_imports, reason = "made for it: some thirty names of tract's own prelude")]
use tract_onnx::tract_core::internal::*;
#[cfg(feature = "cuda")]
use tract_onnx::tract_core::runtime::runtime_for_name;
use tract_onnx::tract_core::runtime::{DefaultRuntime, Runnable, Runtime, State};
use tract_onnx::tract_hir::internal::InferenceModel;

use crate::ops::Rhythm;
use crate::{InferError, ops};

/// What a graph's input or output should be: name, type and shape.
pub(crate) struct Port<'a> {
    pub name: &'a str,
    pub datum: DatumType,
    pub shape: &'a [usize],
}

/// The graph of an ONNX file that may have ops of the domain `ai.ocelli` (`models/OPS.md`).
///
/// # Errors
/// The file cannot be read, or tract does not take it.
pub fn read_graph(path: &Path) -> TractResult<InferenceModel> {
    graph(path, Rhythm::Stream)
}

fn graph(path: &Path, rhythm: Rhythm) -> TractResult<InferenceModel> {
    let mut onnx = tract_onnx::onnx();
    ops::register(&mut onnx);
    ops::read(&onnx, path, rhythm)
}

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The CPU, by tract and `ocelli-kernels`.
    #[default]
    Cpu,
    /// An NVIDIA GPU, by tract.
    #[cfg(feature = "cuda")]
    Cuda,
}

impl Backend {
    /// Those that this build has and this machine can run.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "one is all there is in most builds")]
        let mut all = vec![Self::Cpu];
        #[cfg(feature = "cuda")]
        if Self::Cuda.runtime().and_then(Runtime::check).is_ok() {
            all.push(Self::Cuda);
        }
        all
    }

    /// tract's runtime of this name.
    ///
    /// # Errors
    /// tract knows none: a fault of the build.
    pub fn runtime(self) -> TractResult<&'static dyn Runtime> {
        match self {
            Self::Cpu => Ok(&DefaultRuntime),
            #[cfg(feature = "cuda")]
            Self::Cuda => {
                use tract_cuda as _;
                runtime_for_name("cuda")?.context("tract-cuda should have named its runtime")
            }
        }
    }
}

/// What is said of a graph on which tract panics.
const PANICKED: &str = "tract gave up on it";

/// `None` if `work` panics; nothing is printed then.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    std::panic::set_hook(hook);
    done.ok()
}

/// A loaded graph, ready to run.
pub(crate) struct Engine {
    /// The graph and its weights, which siblings share.
    plan: Arc<dyn Runnable>,
    state: Box<dyn State>,
    model_name: &'static str,
    macs: u64,
    weight_bytes: u64,
    state_bytes: u64,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("model", &self.model_name).field("macs", &self.macs).finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads and optimises the ONNX file, and holds its inputs and outputs against what the caller will feed and read.
    pub fn load(
        backend: Backend,
        path: &Path,
        rhythm: Rhythm,
        model_name: &'static str,
        inputs: &[Port<'_>],
        outputs: &[Port<'_>],
    ) -> Result<Self, InferError> {
        // tract panics on some graphs that no exporter writes; a damaged pack should be told like any other.
        guarded(|| Self::plan(backend, path, rhythm, model_name, inputs, outputs))
            .unwrap_or_else(|| Err(InferError::Load { path: path.to_path_buf(), why: PANICKED.into() }))
    }

    fn plan(
        backend: Backend,
        path: &Path,
        rhythm: Rhythm,
        model_name: &'static str,
        inputs: &[Port<'_>],
        outputs: &[Port<'_>],
    ) -> Result<Self, InferError> {
        let failed = |error: TractError| InferError::Load { path: path.to_path_buf(), why: one_line(&error) };
        let model = graph(path, rhythm).map_err(failed)?.into_typed().map_err(failed)?;
        let model = model.into_decluttered().map_err(failed)?;
        check_ports(path, "input", &model, &model.inputs, inputs)?;
        check_ports(path, "output", &model, &model.outputs, outputs)?;
        let macs = count_macs(&model).map_err(failed)?;
        let plan: Arc<dyn Runnable> =
            backend.runtime().and_then(|runtime| runtime.prepare(model)).map_err(failed)?.into();
        let model = plan.typed_model().context("a plan should know its graph").map_err(failed)?;
        let weight_bytes = count_weights(model).map_err(failed)?;
        let state_bytes = count(model, |cost| *cost == Cost::Buffer(ops::OURS)).map_err(failed)?;
        let state = plan.spawn().map_err(failed)?;
        Ok(Self { plan, state, model_name, macs, weight_bytes, state_bytes })
    }

    /// Runs the graph once, after loading, so that what does not fit together shows then and not on the first picture. What
    /// its ops remember of that is left.
    pub fn rehearse(&mut self, path: &Path, inputs: TVec<TValue>) -> Result<(), InferError> {
        let why = match guarded(|| self.run(inputs)) {
            None => PANICKED.into(),
            Some(Ok(_)) => return Ok(()),
            Some(Err(InferError::Run { why, .. })) => why,
            Some(Err(other)) => other.to_string(),
        };
        Err(InferError::Load { path: path.to_path_buf(), why })
    }

    /// Another one on the same plan, which has run nothing.
    pub fn sibling(&self) -> Result<Self, InferError> {
        let model = self.model_name;
        let state = self.plan.spawn().map_err(|error| InferError::Run { model, why: one_line(&error) })?;
        Ok(Self { plan: Arc::clone(&self.plan), state, ..*self })
    }

    /// Forgets everything that the graph's ops remember, where it lies: given back and taken anew with each loss of a camera,
    /// 2 MiB of `home`'s would leave the heap in pieces, and the resident set some 200 KiB larger each of the first times.
    pub fn reset(&mut self) -> Result<(), InferError> {
        let model = self.model_name;
        self.state.reset_lanes(&[LaneId(0)]).map_err(|error| InferError::Run { model, why: one_line(&error) })
    }

    /// Runs the graph once.
    pub fn run(&mut self, inputs: TVec<TValue>) -> Result<TVec<TValue>, InferError> {
        let model = self.model_name;
        self.state.run(inputs).map_err(|error| InferError::Run { model, why: one_line(&error) })
    }

    /// Multiply-adds of one run in which everything is fresh, as tract and our ops state them.
    pub fn macs(&self) -> u64 {
        self.macs
    }

    /// Bytes of what our ops remember, work in and give out, for as long as the graph is loaded.
    pub fn state_bytes(&self) -> u64 {
        self.state_bytes
    }

    /// Bytes of the weights: constants of the optimised plan and what our ops hold.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }
}

fn count_weights(model: &TypedModel) -> TractResult<u64> {
    let constants = model.nodes().iter().flat_map(|node| &node.outputs).filter_map(|output| output.fact.konst.as_ref());
    let constants: usize = constants.map(|constant| constant.len() * constant.datum_type().size_of()).sum();
    Ok(constants as u64 + count(model, |cost| *cost == Cost::Params(ops::OURS))?)
}

/// Multiply-adds of each node, as tract and our ops state them.
fn count_macs(model: &TypedModel) -> TractResult<u64> {
    count(model, |cost| matches!(cost, Cost::FMA(_)))
}

fn count(model: &TypedModel, which: impl Fn(&Cost) -> bool) -> TractResult<u64> {
    let mut total = 0;
    for id in model.eval_order()? {
        let facts: TVec<&TypedFact> = model.node_input_facts(id)?;
        for (_, count) in model.node(id).op.cost(&facts)?.iter().filter(|(cost, _)| which(cost)) {
            total += count.to_i64()?.max(0).cast_unsigned();
        }
    }
    Ok(total)
}

fn check_ports(
    path: &Path,
    side: &str,
    model: &TypedModel,
    outlets: &[OutletId],
    ports: &[Port<'_>],
) -> Result<(), InferError> {
    let path: PathBuf = path.into();
    let wrong = |what: String, expected: String, found: String| {
        Err(InferError::WrongShape { path: path.clone(), what, expected, found })
    };
    if outlets.len() != ports.len() {
        return wrong(format!("the number of {side}s"), ports.len().to_string(), outlets.len().to_string());
    }
    for (outlet, port) in outlets.iter().zip(ports) {
        let what = format!("{side} `{}`", port.name);
        let expected = format!("{:?} {:?}", port.datum, port.shape);
        let named = side == "output" || model.node(outlet.node).name == port.name;
        let found = match model.outlet_fact(*outlet) {
            Ok(fact) if fact.datum_type == port.datum && fact.shape.as_concrete() == Some(port.shape) && named => {
                continue;
            }
            Ok(fact) => format!("`{}` {fact:?}", model.node(outlet.node).name),
            Err(error) => one_line(&error),
        };
        return wrong(what, expected, found);
    }
    Ok(())
}

/// tract's chain of reasons without line breaks.
pub(crate) fn one_line(error: &TractError) -> String {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    chain.join(": ").replace('\n', " ")
}
