"""Writes a model pack: two int8 ONNX graphs, the same in f32 for reference, pack.toml and golden tensors.

    python export.py tiny ../../models/tiny-test
    python export.py pack ../../models/home --checkpoint data/checkpoints/home.pt
    python export.py pack ../../models/home --checkpoint data/checkpoints/home.pt --news 0.5 2
    python export.py held-out ../../models/home --checkpoint data/checkpoints/base-a.pt data/checkpoints/base-b.pt

With --news the int8 narrator has a second output `speak` f32 [2], the heads of the switch of that name (switches.py), and pack.toml a
table `[speak.news]` with the thresholds from which what they find is told.

The graphs have fixed shapes and no control flow, because that is what runtimes plan best. `int8.py` makes the int8 ones.

A pack is built in data/new-packs, and takes its folder's place when tract was seen to compute every node of its graphs as other engines
do (`nodes.py`; needs cargo). One that fails stays there, to be looked at.
"""

import argparse
import contextlib
import hashlib
import json
import re
import shutil
import sys
import tempfile
import tomllib
import warnings
from pathlib import Path

import numpy as np
import torch

import gate
import int8
import narrator as nar
import nodes
import ops
import stab as st
import tokens as tok
import words

STAB_IN = ["patches", "lste_state", "dpe_state", "gstra_m", "gstra_s", "gstra_v"]
STAB_OUT = ["tokens"] + [n + "_next" for n in STAB_IN[1:]]
NARRATOR_IN = ["tokens", "index", "valid"]
MEMORY_BYTES = 128 << 20  # what a program with such a pack may plan for
SPEAK = {"smoothing": 0.5, "threshold": 0.5, "hold_off_s": 0.6, "kinds": {"fall": (0.4, 0.2)}}


def golden_clip(frames=10, seed=7):
    """u8 [T, 168, 224, 3]: noise, a moving box, then a light switch; exercises the gate."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:168, :224]
    room = np.stack([90 + x // 4, 100 + y // 3, 140 - x // 5], -1).astype(np.int16)
    out = []
    for t in range(frames):
        picture = room + (45 if t >= frames - 2 else 0)  # light switched on
        picture = picture + rng.integers(-3 - t // 3, 4 + t // 3, picture.shape)
        x0 = 12 + 16 * t
        picture[40:130, x0 : x0 + 30] = (200, 60, 40)
        out.append(np.clip(picture, 0, 255).astype(np.uint8))
    return np.stack(out)


def _export(module, inputs, names_in, names_out, path):
    module.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, inputs, str(path), input_names=names_in, output_names=names_out,
            opset_version=17, dynamo=False, do_constant_folding=True,
        )  # fmt: skip


def _sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def golden_canvas():
    """The golden clip behind the gate: patches u8, canvas u8 [T, 256, 588], keep bool [T, 256]."""
    frames = golden_clip()
    patches = gate.patchify(gate.letterbox(frames))
    return patches, *gate.run_gate(patches, gate.content_patches(*frames.shape[1:3]))


def _empty(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.npy"):
        old.unlink()


def _last_narration(tokens, keep):
    """tokens f32 [T, 65, H], keep bool [T, 256] -> the narrator's inputs at the last frame."""
    frame, index, valid = tok.select(tok.of_kept(gate.window_kept(keep)), len(tokens) - 1)
    return tok.gather(tokens, frame, index, valid), torch.from_numpy(index), torch.from_numpy(valid)


@torch.no_grad()
def write_reference_goldens(folder, step, narrator, canvas, keep):
    """stab_in_<frame>_<name>, stab_out_<frame>_<name>, narrator_in_<name>, narrator_out.
    Returns (arguments of one stab call, of one narrator call)."""
    _empty(folder)
    state, all_tokens, first = st.initial_states(step.stab.config), [], None
    for t in range(len(canvas)):
        args = (torch.from_numpy(canvas[t]), *state)
        outputs = step(*args)
        if 1 <= t <= 3:  # three successive frames, states not all zero
            first = first or args
            for name, value in zip(STAB_IN, args):
                np.save(folder / f"stab_in_{t - 1}_{name}.npy", value.contiguous().numpy())
            for name, value in zip(STAB_OUT, outputs):
                np.save(folder / f"stab_out_{t - 1}_{name}.npy", value.contiguous().numpy())
        all_tokens.append(outputs[0])
        state = outputs[1:]

    args = _last_narration(torch.stack(all_tokens), keep)
    for name, value in zip(NARRATOR_IN, args):
        np.save(folder / f"narrator_in_{name}.npy", value.contiguous().numpy())
    np.save(folder / "narrator_out.npy", narrator(*args).numpy())
    return first, args


def write_int8_goldens(folder, stab, narrator, patches, canvas, keep):
    """gate_*; int8_tokens of every frame; int8_<output> of the ops at frame 5; narrator_in_<name>, narrator_out."""
    _empty(folder)
    np.save(folder / "gate_patches.npy", patches)
    np.save(folder / "gate_keep.npy", keep.astype(np.uint8))
    changed = np.ones(keep.shape, np.uint8)  # against the frame before
    changed[1:] = (canvas[1:] != canvas[:-1]).any(-1)
    np.save(folder / "gate_changed.npy", changed)
    outputs = {name: value[0] for name, value in stab.run(torch.from_numpy(canvas).unsqueeze(0)).items()}
    tokens = outputs.pop("tokens")
    np.save(folder / "int8_tokens.npy", tokens.numpy())
    for name, value in outputs.items():
        np.save(folder / f"int8_{name}.npy", value[5].numpy())
    args, z = _narration_without_ties(tokens, keep, narrator, ops.graph(folder.parent / "narrator.onnx"))
    for name, value in zip(NARRATOR_IN, args):
        np.save(folder / f"narrator_in_{name}.npy", value.numpy())
    np.save(folder / "narrator_out.npy", z.numpy())


def _narration_without_ties(tokens, keep, narrator, graph):
    """Inputs and answer at the last frame at which f32 and f64 agree: where a value lies between two bytes they may round it to two
    sides, and all layers behind it answer another question. Engines that add in another order may disagree even there."""
    for count in range(len(tokens), 0, -1):
        args = _last_narration(tokens[:count], keep[:count])
        z = narrator(*(a.unsqueeze(0) for a in args))[0]
        exact = graph.run(None, {name: value.numpy() for name, value in zip(NARRATOR_IN, args)})[0]
        if np.linalg.norm(z.numpy() - exact) < 1e-4 * np.linalg.norm(exact):
            return args, z
    raise RuntimeError("at no frame of the golden clip f32 and f64 round alike")


def check(folder, rtol=1e-4):
    """Run both f32 graphs in onnxruntime (and tract where installed) on their goldens."""
    import onnxruntime

    golden = folder / "golden"
    load = lambda name: np.load(golden / f"{name}.npy")  # noqa: E731
    calls = [
        ("stab.onnx", {n: load(f"stab_in_{k}_{n}") for n in STAB_IN},
         [load(f"stab_out_{k}_{n}") for n in STAB_OUT]) for k in range(3)
    ]  # fmt: skip
    calls.append(("narrator.onnx", {n: load(f"narrator_in_{n}") for n in NARRATOR_IN}, [load("narrator_out")]))
    try:
        import tract
    except ImportError:
        tract = None
    worst = {"onnxruntime": 0.0, "tract": 0.0}
    plans = {}
    for name, feed, wanted in calls:
        if name not in plans:
            model = tract.onnx().load(str(folder / name)).into_model().into_runnable() if tract else None
            plans[name] = (onnxruntime.InferenceSession(str(folder / name)), model)
        session, plan = plans[name]
        got = {"onnxruntime": session.run(None, feed)}
        if plan:
            got["tract"] = [o.to_numpy() for o in plan.run([np.ascontiguousarray(v) for v in feed.values()])]
        for engine, outputs in got.items():
            for a, b in zip(outputs, wanted):
                error = np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-9)
                worst[engine] = max(worst[engine], float(error))
    if not tract:
        del worst["tract"]
    if max(worst.values()) > rtol:
        raise RuntimeError(f"graphs differ from PyTorch: {worst}")
    return worst


def check_int8(folder, rtol=3e-3):
    """Run both int8 graphs by ops.py, in f64, on their goldens. Not to the digit: what f64 and f32 round to two sides of a
    half differs by a whole step: one value so tipped moved a frame's tokens by 0.0017."""
    load = lambda name: np.load(folder / "golden" / f"{name}.npy")  # noqa: E731
    patches, canvas, _ = golden_canvas()
    if not np.array_equal(patches, load("gate_patches")):
        raise RuntimeError("the golden clip is another one")
    changed, stab = np.ones(len(canvas[0]), np.uint8), ops.graph(folder / "stab.onnx")
    tokens = np.stack([stab.run(None, {"patches": frame, "changed": changed})[0] for frame in canvas])
    z = ops.graph(folder / "narrator.onnx").run(None, {n: load(f"narrator_in_{n}") for n in NARRATOR_IN})[0]
    error = lambda a, b: float(np.linalg.norm(a - b) / np.linalg.norm(b))  # noqa: E731
    worst = max(error(z, load("narrator_out")), *map(error, tokens, load("int8_tokens")))
    if worst > rtol:
        raise RuntimeError(f"int8 graphs differ from their emulation: {worst}")
    return {"int8 graphs in f64": worst}


# The cosine from which a sentence that a user adds is meant. Of `home` 0.3.0, on 60 real and rendered clips, the best sentence of the
# pack lies at 0.20 to 0.41 from what is seen (5% to 95%, half above 0.29), and thirteen sentences on other things at 0.21 at most.
FLOOR = 0.2


def write_pack(folder, name, stab, narrator, tau=0.05, speak=SPEAK, version="0.4.0", note="", heads=None, lessons=None):
    """Write everything except the vocabulary, which must already lie in `folder`. `heads` is a linear layer W -> 2, informative and
    relevant, and goes with `speak["news"]`; `lessons` is how far one reaches (learn.py)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "vocabulary.toml").exists():
        words.placeholder(folder)
    vocabulary = words.load(folder)
    entries, kinds = len(vocabulary), {words.KINDS[k] for k in vocabulary.kind}
    speak = speak | {"who": [k for k in words.WHO if k in kinds], "things": [k for k in words.THINGS if k in kinds]}
    step, narrate = st.StabStep(stab.eval()).eval(), nar.NarratorStep(narrator.eval()).eval()
    patches, canvas, keep = golden_canvas()
    reference = folder / "reference"
    stab_args, narrator_args = write_reference_goldens(reference / "golden", step, narrate, canvas, keep)
    _export(step, stab_args, STAB_IN, STAB_OUT, reference / "stab.onnx")
    _export(narrate, narrator_args, NARRATOR_IN, ["z"], reference / "narrator.onnx")
    stab8, narrator8 = int8.Int8Stab(stab), int8.Int8Narrator(narrator, heads)
    int8.write_stab(stab8, folder / "stab.onnx")
    int8.write_narrator(narrator8, folder / "narrator.onnx")
    write_int8_goldens(folder / "golden", stab8, narrator8, patches, canvas, keep)
    macs = sum(st.step_macs(stab.config).values()) + nar.macs(narrator.config)
    (folder / "pack.toml").write_text(_manifest(folder, name, version, stab.config, entries, tau, speak, macs, note, lessons))
    return check(reference) | check_int8(folder)


def _manifest(folder, name, version, sizes, entries, tau, speak, macs, note, lessons=None):
    g = gate.GateConfig()
    graphs = ("stab.onnx", "narrator.onnx", "reference/stab.onnx", "reference/narrator.onnx")
    digest = {f: _sha256(folder / f) for f in (*graphs, "vocabulary.toml", "vocabulary.bin")}
    lines = [f"# Written by tools/train/export.py. {note}".rstrip()]
    lines += ["format = 2", f'name = "{name}"', f'version = "{version}"', "", "[input]"]
    lines += [f"size_px = {gate.SIDE_PX}", f"patch_px = {gate.PATCH_PX}", "fps = 5.0", f"letterbox = {gate.GREY}"]
    lines += ["", "[gate]", f"min_mad = {g.min_mad}", f"noise_factor_num = {g.noise_factor_num}"]
    lines += [f"noise_factor_den = {g.noise_factor_den}", f"refresh_frames = {g.refresh_frames}"]
    lines += [f"whole_frame_tenths = {g.whole_frame_tenths}", "", "[stab]"]
    lines += ['file = "stab.onnx"', f'sha256 = "{digest["stab.onnx"]}"', f"width = {sizes.d}", f"reduced = {sizes.reduced}"]
    lines += [f"heads = {sizes.heads}", "tokens = 65", f"token_width = {sizes.width}", "", "[narrator]"]
    lines += ['file = "narrator.onnx"', f'sha256 = "{digest["narrator.onnx"]}"', f"slots = {tok.SLOTS}"]
    lines += [f"frame_tokens = {tok.FRAME_TOKENS}", f"max_age_frames = {tok.MAX_AGE}", f"embedding = {nar.EMBEDDING}"]
    lines += ["", "# For tests, benchmarks and back ends without the int8 ops; the program never loads it.", "[reference]"]
    for name in ("stab", "narrator"):
        file = f"reference/{name}.onnx"
        lines += [f'{name} = "{file}"', f'{name}_sha256 = "{digest[file]}"']
    lines += ["", "[vocabulary]", 'file = "vocabulary.toml"', f'sha256 = "{digest["vocabulary.toml"]}"']
    lines += ['embeddings = "vocabulary.bin"', f'embeddings_sha256 = "{digest["vocabulary.bin"]}"']
    lines += [f"entries = {entries}", f"temperature = {tau:.4f}", f"floor = {FLOOR}", "", *speak_lines(speak)]
    if lessons:
        lines += ["", "# How far an answer of a camera's user reaches.", "[lessons]"]
        lines += [f"weight = {lessons['weight']}", f"sharpness = {lessons['sharpness']}"]
    # Of both graphs together; what rounding and norms add to the formula is below a tenth.
    lines += ["", "[budget]", f"memory_bytes = {MEMORY_BYTES}", f"multiply_adds = {macs * 11 // 10}"]
    lines += ["", "[golden]", "files = ["]
    for where in ("golden", "reference/golden"):
        for path in sorted((folder / where).glob("*.npy")):
            lines.append(f'  {{ file = "{where}/{path.name}", sha256 = "{_sha256(path)}" }},')
    return "\n".join(lines + ["]", ""])


def speak_lines(speak, table="speak"):
    """The `[speak]` table of a pack."""
    lines = [f"[{table}]", f"smoothing = {speak['smoothing']}", f"threshold = {speak['threshold']}"]
    lines += [f"hold_off_s = {speak['hold_off_s']}"]
    # A list of names in JSON is one in TOML.
    lines += [f"{key} = {json.dumps(list(speak[key]))}" for key in ("who", "things") if key in speak]
    if news := speak.get("news"):
        lines += ["", "# From where on what the narrator's output `speak` finds is told.", f"[{table}.news]"]
        lines += [f"threshold = {news['threshold']}", f"cumulative = {news['cumulative']}"]
    for kind, (threshold, hold_off_s) in speak["kinds"].items():
        lines += ["", f"[{table}.kinds.{kind}]", f"threshold = {threshold}", f"hold_off_s = {hold_off_s}"]
    if c := speak.get("calibration"):
        lines += ["", "# From the smoothed probability of what is said to that of being right.", f"[{table}.calibration]"]
        lines += [f"slope = {c['slope']:.4f}", f"offset = {c['offset']:.4f}"]
        if c["offsets"]:
            offsets = ", ".join(f"{kind} = {offset:.4f}" for kind, offset in c["offsets"].items())
            lines += [f"offsets = {{ {offsets} }}"]
    return lines


def seen_by(saved):
    """Names of the real clips that a checkpoint was trained or calibrated on."""
    return sorted({s for part in ("state", "calibration") for s in (saved.get(part) or {}).get("seen", [])})


def write_held_out(folder, checkpoints):
    """held-out.toml: which real clips the pack (the first checkpoint) has seen, and for each further checkpoint, of the same
    network, the temperature and `[speak]` table that were chosen without some of them."""
    manifest = tomllib.loads((folder / "pack.toml").read_text())
    saved = {path.stem: torch.load(path, map_location="cpu", weights_only=True) for path in checkpoints}
    network = saved[checkpoints[0].stem]
    lines = ["# Written by tools/train/export.py. For tests alone (tools/eval): what the pack has seen, and thresholds that were"]
    lines += ["# chosen without the people on whom they are tested.", f'stab_sha256 = "{manifest["stab"]["sha256"]}"']
    lines += [f'narrator_sha256 = "{manifest["narrator"]["sha256"]}"']
    listed = lambda clips: "[\n" + "".join(f'  "{clip}",\n' for clip in clips) + "]"  # noqa: E731
    lines += [f"trained = {listed(network['state']['seen'])}"]
    for name, own in saved.items():
        for part in ("stab", "narrator"):
            if not all(torch.equal(value, own[part][key]) for key, value in network[part].items()):
                raise ValueError(f"{name} is another network than {checkpoints[0].stem}")
        lines += ["", "[[thresholds]]", f'name = "{name}"', f"seen = {listed(seen_by(own))}", f"temperature = {own['tau']:.4f}"]
        lines += ["", *speak_lines(own["speak"], "thresholds.speak")]
    (folder / "held-out.toml").write_text("\n".join([*lines, ""]))


@torch.no_grad()
def write_published(folder, seed=3):
    """The published chunked form at 56x56: stab_chunk.onnx, input u8 [4, 16, 588], output
    f32 [4, 1 + 2*(2+1), 16], with BN statistics that are not trivial."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    c = st.StabConfig(d=24, heads=2, width=16, hidden=16, grid=4, causal=False)
    model = randomise(st.Stab(c)).eval()
    patches = torch.randint(0, 256, (4, 16, 588), dtype=torch.uint8)

    class Chunk(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.stab = model

        def forward(self, patches):
            return self.stab(patches.unsqueeze(0))[0]

    np.save(folder / "input.npy", patches.numpy())
    np.save(folder / "output.npy", Chunk()(patches).numpy())
    _export(Chunk(), (patches,), ["patches"], ["tokens"], folder / "stab_chunk.onnx")


@torch.no_grad()
def randomise(stab):
    """Give the zero-initialised parts and BN something to do, so that tests see them."""
    for p in (stab.lste.expand.weight, stab.gstra.query, stab.balance):
        p.normal_(0, 0.2)
    stab.lste.norm.running_mean.normal_(0, 0.5)
    stab.lste.norm.running_var.uniform_(0.5, 2)
    return stab


def tiny(folder):
    """Random weights, small sizes: what the Rust tests load."""
    torch.manual_seed(1)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    words.placeholder(folder)
    c = st.StabConfig(d=24, heads=2, width=32, hidden=32)
    n = nar.NarratorConfig(token_width=32, width=32, layers=1, heads=2, mlp=2)
    worst = write_pack(folder, "tiny-test", randomise(st.Stab(c)), nar.Narrator(n), note="Random weights, for tests.")
    write_published(folder / "published")
    write_heads(folder, nar_config=n)
    return worst


@torch.no_grad()
def write_heads(folder, nar_config, seed=2):
    """heads/: a pack that shares all but its narrator with the one in `folder`: that has random heads of what is worth telling; and what
    they say of the golden narration."""
    torch.manual_seed(1)
    c = st.StabConfig(d=24, heads=2, width=32, hidden=32)
    randomise(st.Stab(c))
    narrator = nar.Narrator(nar_config).eval()
    torch.manual_seed(seed)
    told = int8.Int8Narrator(narrator, torch.nn.Linear(nar_config.width, 2))
    heads = Path(folder) / "heads"
    heads.mkdir(exist_ok=True)
    int8.write_narrator(told, heads / "narrator.onnx")
    args = [torch.from_numpy(np.load(Path(folder) / f"golden/narrator_in_{name}.npy")).unsqueeze(0) for name in NARRATOR_IN]
    np.save(heads / "speak_out.npy", told.speak(*args)[0].numpy())
    manifest = (Path(folder) / "pack.toml").read_text().replace('"tiny-test"', '"tiny-heads"').split("[golden]")[0] + "[golden]\nfiles = []\n"
    manifest = re.sub(r'"((reference/)?(stab|narrator)\.onnx|vocabulary\.(toml|bin))"', r'"../\1"', manifest)
    manifest = manifest.replace('"../narrator.onnx"', '"narrator.onnx"')
    manifest = manifest.replace(_sha256(Path(folder) / "narrator.onnx"), _sha256(heads / "narrator.onnx"))
    news = "\n".join(speak_lines(SPEAK | {"kinds": {}, "news": {"threshold": 0.5, "cumulative": 2.0}})[4:])
    (heads / "pack.toml").write_text(manifest.replace("\n[budget]", f"\n{news}\n\n[budget]"))


def heads_of(saved):
    """The trained heads of a checkpoint."""
    weight, bias = (saved["switches"][f"speak.{name}"] for name in ("weight", "bias"))
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
    linear.load_state_dict({"weight": weight, "bias": bias})
    return linear


def load_models(checkpoint):
    """(stab, narrator, whole checkpoint) in eval mode on the CPU."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    stab = st.Stab(st.StabConfig(**saved["stab_config"]))
    narrator = nar.Narrator(nar.NarratorConfig(**saved["narrator_config"]))
    stab.load_state_dict(saved["stab"])
    narrator.load_state_dict(saved["narrator"])
    return stab.eval(), narrator.eval(), saved


@contextlib.contextmanager
def replaced(folder):
    """A copy of the folder, that takes its place if all goes well. It lies where no program looks for packs."""
    new = nodes.ROOT / "data/new-packs" / folder.name
    shutil.rmtree(new, ignore_errors=True)
    new.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        shutil.copytree(folder, new)
    try:
        yield new
    except BaseException:
        print(f"{folder} is as it was; what was built is in {new}", file=sys.stderr)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    shutil.move(new, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["tiny", "pack", "held-out"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkpoint", type=Path, nargs="+", help="held-out: that of the pack first")
    parser.add_argument("--name", default=None)
    parser.add_argument("--news", type=float, nargs=2, metavar=("THRESHOLD", "CUMULATIVE"),
                        help="with the heads of a checkpoint that was trained with train.py --speak; MMDuet's are 0.5 and 2")  # fmt: skip
    args = parser.parse_args()
    name = args.name or args.folder.resolve().name
    if args.what == "held-out":
        write_held_out(args.folder, args.checkpoint)
        return
    with replaced(args.folder) as folder:
        if args.what == "tiny":
            worst = tiny(folder)
        else:
            stab, narrator, saved = load_models(args.checkpoint[0])
            speak = saved.get("speak") or SPEAK
            heads = None
            if args.news:
                heads, speak = heads_of(saved), speak | {"news": dict(zip(("threshold", "cumulative"), args.news))}
            worst = write_pack(folder, name, stab, narrator, saved.get("tau", 0.05), speak, heads=heads, lessons=saved.get("lessons"))
        with tempfile.TemporaryDirectory() as between:
            count = nodes.write(folder, Path(between), STAB_IN, NARRATOR_IN)
            print(f"{count} values between nodes; tract is held against each", flush=True)
            nodes.compare(folder, Path(between))
    print("largest relative error against PyTorch:", worst)


if __name__ == "__main__":
    main()
