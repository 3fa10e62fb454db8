//! The one place that knows how tract loads and runs a graph.
//!
//! Graphs have fixed shapes: with symbolic ones tract's element-wise kernels are 1.3 to 1.7 times slower. The plan is
//! kept with its state from run to run. tract allocates every intermediate anew on each run (about 550 allocations
//! and some 2.5 MB at a time for a STAB of this size) and frees all of it; nothing grows. That is counted in the
//! memory plan as the activations.

use std::path::{Path, PathBuf};

use tract_onnx::prelude::{Framework, InferenceModelExt, TypedSimplePlan, TypedSimpleState};
#[allow(clippy::wildcard_imports, reason = "made for it: some thirty names of tract's own prelude")]
use tract_onnx::tract_core::internal::*;

use crate::InferError;

/// What a graph's input or output should be: name, type and shape.
pub(crate) struct Port<'a> {
    pub name: &'a str,
    pub datum: DatumType,
    pub shape: &'a [usize],
}

/// A loaded graph, ready to run.
pub(crate) struct Engine {
    state: TypedSimpleState,
    model_name: &'static str,
    macs: u64,
    weight_bytes: u64,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("model", &self.model_name).field("macs", &self.macs).finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads and optimises the ONNX file, and holds its inputs and outputs against what the caller will feed and read.
    pub fn load(
        path: &Path,
        model_name: &'static str,
        inputs: &[Port<'_>],
        outputs: &[Port<'_>],
    ) -> Result<Self, InferError> {
        let failed = |error: TractError| InferError::Load { path: path.to_path_buf(), why: one_line(&error) };
        let model = tract_onnx::onnx().model_for_path(path).map_err(failed)?.into_typed().map_err(failed)?;
        let model = model.into_decluttered().map_err(failed)?;
        check_ports(path, "input", &model, &model.inputs, inputs)?;
        check_ports(path, "output", &model, &model.outputs, outputs)?;
        let macs = count_macs(&model).map_err(failed)?;
        let model = model.into_optimized().map_err(failed)?;
        let weight_bytes = model.nodes().iter().map(const_bytes).sum();
        let plan = TypedSimplePlan::new(model).map_err(failed)?;
        let state = plan.spawn().map_err(failed)?;
        Ok(Self { state, model_name, macs, weight_bytes })
    }

    /// Runs the graph once.
    pub fn run(&mut self, inputs: TVec<TValue>) -> Result<TVec<TValue>, InferError> {
        let model = self.model_name;
        self.state.run(inputs).map_err(|error| InferError::Run { model, why: one_line(&error) })
    }

    /// Multiply-adds of one run, as tract counts them in matrix products and convolutions.
    pub fn macs(&self) -> u64 {
        self.macs
    }

    /// Bytes of the constants of the optimised plan, packed weights not counted apart.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }
}

fn const_bytes(node: &TypedNode) -> u64 {
    node.outputs.iter().filter_map(|o| o.fact.konst.as_ref()).map(|k| (k.len() * k.datum_type().size_of()) as u64).sum()
}

/// tract's own cost of each node, multiply-adds only.
fn count_macs(model: &TypedModel) -> TractResult<u64> {
    let mut total = 0;
    for id in model.eval_order()? {
        let node = model.node(id);
        let facts: TVec<&TypedFact> = model.node_input_facts(id)?;
        for (cost, count) in node.op.cost(&facts)? {
            if matches!(cost, Cost::FMA(_)) {
                total += count.to_i64()?.max(0).cast_unsigned();
            }
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
