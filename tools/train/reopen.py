"""A pack's f32 graphs as checkpoints again: to go on training from it, or to measure it, where its checkpoint is gone.

    python reopen.py models/home data/checkpoints      # home.pt, base-a.pt, base-b.pt: one for each of its thresholds

Tokens and narrations are those of `reference/` to rounding. What was folded away cannot come back: GSTRA's and FSRA's constant
queries return as some weights with the same product, LSTE's batch norm as one that does nothing, and nothing that only
training uses returns (`train.py --start` begins those parts anew). What the pack has seen is in `held-out.toml`.
"""

import argparse
import tomllib
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

import narrator as nar
import stab as st
import train

# Weights that the export turned and left without a name, in the order in which the graphs use them.
STAB_TURNED = (
    "lste.taps", "lste.tap_bias", "dpe.0", "dpe.1", "dpe.2", "gstra.v", "gstra.out", "gstra.up", "gstra.down",
    "lsd.q", "lsd.k", "lsd.v", "lsd.out", "fsra.v",
)  # fmt: skip
BLOCK_TURNED = ("qkv", "out", "up", "down")


def initializers(path, turned):
    """{name: tensor} of a graph; `turned` names those that have none, in the order of their use."""
    graph = onnx.load(path).graph
    values = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    nameless = list(dict.fromkeys(i for node in graph.node for i in node.input if i in values and i.startswith("onnx::")))
    if len(nameless) != len(turned):
        raise SystemExit(f"{path} has {len(nameless)} weights without a name, not the {len(turned)} that are known")
    return {k: v for k, v in values.items() if k not in nameless} | dict(zip(turned, (values[n] for n in nameless)))


def query_of(keys, query, scale):
    """Weights (q, k) [d, d] with which a query, when normed, comes to these `keys` [heads, d]; queries have no bias here."""
    heads, d = keys.shape
    normed = torch.nn.functional.layer_norm(query, (d,))
    q, k = torch.zeros(d, d), torch.zeros(d, d)
    first = torch.arange(heads) * (d // heads)
    q[first] = normed / (normed @ normed) / scale
    k[first] = keys
    return q, k


def stab_of(path, width):
    w = initializers(path, STAB_TURNED)
    d, reduced = w["reduce_w"].shape
    hidden, grid = w["stab.project.0.weight"].shape[0], 16
    stab = st.Stab(st.StabConfig(d=d, heads=len(w["gstra_keys"]), width=width, hidden=hidden, grid=grid))
    state = stab.state_dict()
    state |= {name.removeprefix("stab."): value for name, value in w.items() if name.startswith("stab.")}
    scale, _ = st.pixel_scale()
    state["patch.weight"] = w["patch_w"].t() / scale
    # A batch norm with mean 0 and variance 1 - eps divides by 1.
    state["lste.norm.running_var"] = torch.full_like(state["lste.norm.running_var"], 1 - stab.lste.norm.eps)
    state |= {"lste.reduce.weight": w["reduce_w"].t(), "lste.reduce.bias": w["reduce_b"]}
    state |= {"lste.taps": w["lste.taps"].reshape(3, reduced), "lste.tap_bias": w["lste.tap_bias"].reshape(reduced)}
    state["dpe.weight"] = torch.stack([w[f"dpe.{tap}"] for tap in range(3)], 2)
    for name in ("gstra.out", "gstra.up", "gstra.down", "lsd.q", "lsd.out"):
        state[f"{name}.weight"] = w[name].t()
    state |= {"gstra.v.weight": w["gstra.v"].reshape(d, d), "fsra.v.weight": w["fsra.v"].reshape(d, d)}
    state["lsd.k.weight"] = w["lsd.k"].reshape(d, d)
    state["lsd.v.weight"] = w["lsd.v"].transpose(-1, -2).reshape(d, d)
    for part in (stab.gstra, stab.fsra):
        name = "gstra" if part is stab.gstra else "fsra"
        q, k = query_of(w[f"{name}_keys"], w[f"stab.{name}.query"], part.scale)
        state |= {f"{name}.q.weight": q, f"{name}.k.weight": k}
    state["gstra.q.bias"] = torch.zeros(d)
    stab.load_state_dict(state)
    return stab.eval()


def heads_of(path):
    """Heads of a narrator: the graph cuts q, k and v into [1, slots, 3, heads, width of a head]."""
    constants = (a.t for n in onnx.load(path).graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value")
    shapes = (numpy_helper.to_array(t) for t in constants)
    return next(int(s[3]) for s in shapes if s.shape == (5,) and s[2] == 3)


def narrator_of(path):
    layers = len({i.name.split(".")[2] for i in onnx.load(path).graph.initializer if i.name.startswith("narrator.blocks.")})
    turned = ["embed"] + [f"blocks.{i}.{part}" for i in range(layers) for part in BLOCK_TURNED]
    w = initializers(path, turned)
    token_width, width = w["embed"].shape
    config = nar.NarratorConfig(token_width, width, layers, heads_of(path), w["blocks.0.up"].shape[1] // width)
    narrator = nar.Narrator(config)
    state = narrator.state_dict() | {k.removeprefix("narrator."): v for k, v in w.items() if k.startswith("narrator.")}
    state |= {f"{name}.weight": w[name].t() for name in turned}
    narrator.load_state_dict(state)
    return narrator.eval()


def thresholds(folder, manifest):
    """(name, clips trained on, clips calibrated on, temperature, speak policy) of the pack, and of what it is tested with."""
    path = folder / "held-out.toml"
    held_out = tomllib.loads(path.read_text()) if path.is_file() else {"thresholds": []}
    for part in ("stab", "narrator") if path.is_file() else ():
        if held_out[f"{part}_sha256"] != manifest[part]["sha256"]:
            raise SystemExit(f"{path} is of another network than {folder / 'pack.toml'}: write it anew (export.py held-out), or take it away")
    if held_out["thresholds"] and "trained" not in held_out:
        raise SystemExit(f"{path} is of an older export.py and does not say what was trained on: write it anew (export.py held-out), or take it away")
    for part in held_out["thresholds"]:
        speak = part["speak"]
        kinds = {kind: (of["threshold"], of["hold_off_s"]) for kind, of in speak["kinds"].items()}
        calibrated = [clip for clip in part["seen"] if clip not in held_out["trained"]]
        yield part["name"], held_out["trained"], calibrated, part["temperature"], speak | {"kinds": kinds}
    if not held_out["thresholds"]:
        yield folder.name, [], [], manifest["vocabulary"]["temperature"], None


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("pack", type=Path)
    p.add_argument("out", type=Path, help="folder of checkpoints; what is there is not written over")
    args = p.parse_args()
    manifest = tomllib.loads((args.pack / "pack.toml").read_text())
    stab = stab_of(args.pack / manifest["reference"]["stab"], manifest["stab"]["token_width"])
    narrator = narrator_of(args.pack / manifest["reference"]["narrator"])
    args.out.mkdir(parents=True, exist_ok=True)
    for name, trained, calibrated, tau, speak in thresholds(args.pack, manifest):
        path = args.out / f"{name}.pt"
        if path.exists():
            print(f"{path} is there: left")
            continue
        content = {
            "stab": stab.state_dict(), "narrator": narrator.state_dict(), "stab_config": stab.config.as_dict(),
            "narrator_config": narrator.config.as_dict(), "tau": tau, "speak": speak, "state": {"seen": trained}, "calibration": {"seen": calibrated}, "optimizer": None,
        }  # fmt: skip
        if "lessons" in manifest:
            content["lessons"] = manifest["lessons"]
        train.write(path, content)
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
