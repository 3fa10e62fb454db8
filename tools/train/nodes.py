"""What lies between the nodes of a pack's graphs, by another engine than the one that will run them.

`write` records it: of the f32 graphs by ONNX Runtime with its own optimisation off, of the int8 narrator by `ops.py` in f64. (The int8
STAB has five nodes; `export.py` records them from PyTorch.) `compare` has tract compute every one of these values, each by a plan of
its own that ends there, so that tract rearranges what leads to it as it would if it ran on: what it gets wrong shows at the node where
it does.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import ops

ROOT = Path(__file__).resolve().parents[2]
TEST = "every_node_of_a_new_pack_gives_what_another_engine_does"
F32_TOLERANCE = 1e-4  # relative, L2
# Engines that are right round to two sides where a value lies between two bytes, and all layers behind it answer another question:
# by up to 0.017 within the last of eight layers and 0.008 in the answer (12 draws, `home` 0.4.0, f64 against itself with its
# input changed by 2e-7).
INT8_TOLERANCE = 3e-2


def by_onnxruntime(path, feed):
    """{name: value} of every node's outputs."""
    model = onnx.load(path)
    shown = {output.name for output in model.graph.output}
    names = [name for node in model.graph.node if node.op_type != "Constant" for name in node.output if name]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in shown)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, feed)))


def by_reference(path, feed):
    names = {name for node in onnx.load(path).graph.node for name in node.output}
    found = ops.graph(path).run(None, feed, intermediate=True)
    return {name: value for name, value in found.items() if name in names and value is not None}


def write(pack, to, stab_in, narrator_in):
    """nodes.toml and, for each graph, <graph>/in_<k>.npy and <graph>/<k>.npy. Of the STAB a frame whose states are not all zero."""
    load = lambda where, name: np.load(pack / where / f"{name}.npy")  # noqa: E731
    graphs = [
        ("reference/stab.onnx", by_onnxruntime, {n: load("reference/golden", f"stab_in_2_{n}") for n in stab_in}, F32_TOLERANCE),
        ("reference/narrator.onnx", by_onnxruntime, {n: load("reference/golden", f"narrator_in_{n}") for n in narrator_in},
         F32_TOLERANCE),
        ("narrator.onnx", by_reference, {n: load("golden", f"narrator_in_{n}") for n in narrator_in}, INT8_TOLERANCE),
    ]  # fmt: skip
    lines, count = [], 0
    for file, engine, feed, tolerance in graphs:
        folder = to / file.removesuffix(".onnx").replace("/", "-")
        folder.mkdir(parents=True)
        for k, value in enumerate(feed.values()):
            np.save(folder / f"in_{k}.npy", value)
        lines += ["[[graphs]]", f'file = "{file}"', f'folder = "{folder.name}"', f"inputs = {len(feed)}", f"tolerance = {tolerance}"]
        lines.append("nodes = [")
        values = {name: value for name, value in engine(pack / file, feed).items() if value.dtype in (np.float32, np.float64)}
        for k, (name, value) in enumerate(values.items()):
            np.save(folder / f"{k}.npy", np.ascontiguousarray(value, dtype=np.float32))
            lines.append(f'  "{name}",')
        lines += ["]", ""]
        count += len(values)
    (to / "nodes.toml").write_text("\n".join(lines))
    return count


def compare(pack, nodes):
    """Has tract compute all of it, and the pack's recorded tensors. Raises RuntimeError where it differs."""
    environment = os.environ | {"OCELLI_NEW_PACK": str(pack.resolve()), "OCELLI_NODES": str(nodes.resolve())}
    cargo = ["cargo", "test", "--quiet", "--workspace", "--test", "golden"]
    names = (TEST, *GOLDEN)
    done = subprocess.run([*cargo, "--", "--exact", "--include-ignored", "--nocapture", *names], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="")
    if done.returncode:
        raise RuntimeError("tract does not compute what other engines do: see above")
    if f" {len(names)} passed;" not in done.stdout:
        raise RuntimeError(f"not all of {', '.join(names)} ran: have they other names now?")


# Of tests/golden.rs, those that hold any pack against what PyTorch recorded.
GOLDEN = ("the_f32_graphs_give_the_recorded_tensors", "every_op_of_the_int8_graphs_gives_the_recorded_tensor")
