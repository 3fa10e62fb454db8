"""Our int8 STAB in turn with ONNX Runtime on the same canvases, and our products beside what the CPU can do.

Started by `cargo xtask bench stab`. ONNX Runtime gets the f32 graph of the pack, and every int8 form that its own
tools make of it: of those that stay near the f32 tokens the fastest counts, for each number of threads. All engines
run in turn, play by play, so that other load on the machine hits them alike. Times are wall clock and of one frame:
ours from sent patches to tokens (`Stab::encode`), theirs of `run_with_iobinding` alone, with canvas, states and tokens
bound beforehand and nothing copied, which is the fastest way from Python.
"""

import argparse
import hashlib
import json
import logging
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

# Names of the five states, and what the score of a frame before the start is (models/home/reference/stab.onnx).
STATES = ["lste_state", "dpe_state", "gstra_m", "gstra_s", "gstra_v"]
NO_FRAME = -1e4

# An int8 form whose tokens are further than this from the f32 ones, relative and in L2, is no STAB any more.
VALID_ERROR = 0.25

# What is compared, as the keys of the figures begin.
SIDES = ["ours", "ort_int8", "ort_f32"]

# Between two engines: by then the threads of the one have stopped to spin for work.
PAUSE_S = 0.02

FLAGS = (
    "avx2 fma avx_vnni avx512f avx512bw avx512vl avx512_vnni amx_int8 amx_tile "
    "asimd asimddp asimdhp i8mm sve sve2 bf16"
).split()


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Ours:
    """The program `ocelli-bench`, which answers each line with a line."""

    def __init__(self, arguments, data):
        command = [arguments.program, "stab", "--pack", arguments.pack, "--demo", arguments.demo]
        command += ["--out", str(arguments.work / "canvases")]
        command += ["--data", str(data)] if data else []
        command += ["--quick"] if arguments.quick else []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self.hear()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"ocelli-bench ended with code {self.process.wait()}; the lines above say why")
        said = json.loads(line)
        if "error" in said:
            sys.exit(f"ocelli-bench: {said['error']}")
        return said

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.hear()


class Team:
    """Ours with so many threads."""

    def __init__(self, ours, threads):
        self.name, self.ours, self.threads = f"ours t{threads}", ours, threads

    def play(self, case, index, canvases):
        """Microseconds of each frame."""
        return np.array(self.ours.ask("play", case, index, self.threads)["us"])

    def tokens(self, case, index, path):
        return np.load(self.ours.ask("tokens", case, index, self.threads, path)["tokens"])


class Ort:
    """A graph with its states fed back, without a copy: two sets of states that change places on each frame."""

    def __init__(self, name, path, threads):
        self.name, self.threads = f"{name} t{threads}", threads
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = {i.name: i.shape for i in self.session.get_inputs()}
        self.states = [{name: np.zeros(inputs[name], np.float32) for name in STATES} for _ in range(2)]
        self.tokens = np.zeros(self.session.get_outputs()[0].shape, np.float32)
        values = [{name: ort.OrtValue.ortvalue_from_numpy(a) for name, a in states.items()} for states in self.states]
        self.bindings = []
        for now, after in [(0, 1), (1, 0)]:
            binding = self.session.io_binding()
            for name in STATES:
                binding.bind_ortvalue_input(name, values[now][name])
                binding.bind_ortvalue_output(f"{name}_next", values[after][name])
            binding.bind_ortvalue_output("tokens", ort.OrtValue.ortvalue_from_numpy(self.tokens))
            self.bindings.append(binding)

    def frames(self, canvases):
        """Plays a stream from its start: microseconds of each frame, and its tokens until the next."""
        for name, state in self.states[0].items():
            state.fill(NO_FRAME if name == "gstra_m" else 0)
        for frame, canvas in enumerate(canvases):
            binding = self.bindings[frame % 2]
            binding.bind_ortvalue_input("patches", ort.OrtValue.ortvalue_from_numpy(canvas))
            start = time.perf_counter()
            self.session.run_with_iobinding(binding)
            yield (time.perf_counter() - start) * 1e6, self.tokens

    def play(self, case, index, canvases):
        return np.array([us for us, _ in self.frames(canvases)])

    def inputs(self, canvases, first, every):
        """Canvas and states of every so-many-th frame from `first` on, to calibrate by."""
        for frame, _ in enumerate(self.frames(canvases), 1):
            if frame >= first and (frame - first) % every == 0 and frame < len(canvases):
                # The states that this frame will find: those that the one before left.
                states = {name: state.copy() for name, state in self.states[frame % 2].items()}
                yield {"patches": canvases[frame], **states}


def errors(found, wanted):
    """Relative L2 error of each frame's tokens."""
    axes = tuple(range(1, wanted.ndim))
    return np.sqrt(((found - wanted).astype(np.float64) ** 2).sum(axes) / (wanted.astype(np.float64) ** 2).sum(axes))


class Reader(CalibrationDataReader):
    def __init__(self, frames):
        self.frames = iter(frames)

    def get_next(self):
        return next(self.frames, None)


def quantized(reference, frames, folder):
    """Every int8 form of the graph that ONNX Runtime's tools make, by name; what fails is left out, and said."""
    folder.mkdir(parents=True, exist_ok=True)
    prepared = folder / "prepared.onnx"
    quant_pre_process(str(reference), str(prepared), skip_symbolic_shape=True)
    graph = onnx.load(prepared).graph
    weights = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    matmuls = [node for node in graph.node if node.op_type == "MatMul"]
    axes = {node.name: max((weights.get(name, 0) for name in node.input), default=0) for node in matmuls}
    # Products of two activations: their quantization costs more than it saves.
    both = [name for name, count in axes.items() if count == 0]
    # ONNX Runtime refuses scales by column for weights of three axes when the activation is quantized on the way.
    grouped = [name for name, count in axes.items() if count == 3]
    linear = ["MatMul", "Gemm"]

    def static(activation, per_channel, types):
        symmetric = activation == QuantType.QInt8
        return lambda path: quantize_static(
            str(prepared), str(path), Reader(frames), quant_format=QuantFormat.QDQ, per_channel=per_channel,
            activation_type=activation, weight_type=QuantType.QInt8, op_types_to_quantize=types,
            nodes_to_exclude=both if types else [],
            extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True},
        )  # fmt: skip

    def dynamic(per_channel):
        return lambda path: quantize_dynamic(
            str(prepared), str(path), per_channel=per_channel, weight_type=QuantType.QInt8, op_types_to_quantize=linear,
            nodes_to_exclude=grouped if per_channel else [], extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip

    u8, s8 = QuantType.QUInt8, QuantType.QInt8
    makers = {
        "static u8s8 per tensor": static(u8, False, linear),
        "static u8s8 per channel": static(u8, True, linear),
        "static u8s8 per tensor, every op": static(u8, False, None),
        "static s8s8 per tensor": static(s8, False, linear),
        "static s8s8 per channel": static(s8, True, linear),
        "dynamic u8s8 per tensor": dynamic(False),
        "dynamic u8s8 per channel": dynamic(True),
    }
    forms = {}
    for name, make in makers.items():
        path = folder / (name.replace(",", "").replace(" ", "-") + ".onnx")
        if not path.exists():
            say(f"quantizing: {name}")
            try:
                part = path.with_suffix(".part")
                make(part)
                part.rename(path)
            except Exception as error:  # whatever its tools raise, the other forms go on
                say(f"{name}: ONNX Runtime does not make it: {str(error)[:120]}")
                continue
        forms[name] = path
    return forms


def calibration(reference, plays, warm_up, most):
    """Inputs of frames spread over the plays, each with the states that the stream had then. Not of the first ones:
    their score of frames that were not yet would stretch the range of all scores."""
    engine, frames = Ort("calibration", reference, 1), []
    for canvases in plays:
        every = max(1, (len(canvases) - warm_up) * len(plays) // most)
        frames += engine.inputs(canvases, warm_up, every)
    return frames


def choose(forms, canvases, wanted, warm_up, rounds):
    """The fastest valid form for each number of threads, and a line on every form."""
    engines, rows = [], []
    for name, path in forms.items():
        for threads in (1, 2):
            row = {"form": name, "threads": threads}
            rows.append(row)
            try:
                engine = Ort(name, path, threads)
                found = np.stack([tokens.copy() for _, tokens in engine.frames(canvases)])
                row["max_relative_error"] = float(errors(found, wanted).max())
                row["valid"] = bool(np.isfinite(found).all() and row["max_relative_error"] <= VALID_ERROR)
                engines.append((engine, path, row, []))
            except Exception as error:  # a form that does not run is no form
                row.update(valid=False, why=str(error)[:200])
    for _ in range(rounds):
        for engine, _, _, times in engines:
            times.extend(engine.play(None, None, canvases)[warm_up:])
            time.sleep(PAUSE_S)
    best = {}
    for engine, path, row, times in engines:
        row["ms"] = float(np.median(times)) / 1e3
        if row["valid"] and (engine.threads not in best or row["ms"] < best[engine.threads][0]["ms"]):
            best[engine.threads] = (row, path)
    for threads in (1, 2):
        if threads not in best:
            sys.exit(f"no int8 form of ONNX Runtime is valid with {threads} threads")
    return best, rows


def compare(engines, case, warm_up, frames, work):
    """All engines in turn over the plays of a case, until so many frames of each were timed; then the errors."""
    times = {engine.name: [] for engine in engines}
    worst = {engine.name: 0.0 for engine in engines if not engine.name.startswith("f32")}
    plays = [(play["name"], np.load(play["canvases"])) for play in case["plays"]]
    turn, done = 0, 0
    while done < frames:
        for index, (_, canvases) in enumerate(plays):
            turn += 1
            for engine in engines[turn % len(engines):] + engines[: turn % len(engines)]:
                times[engine.name].extend(engine.play(case["case"], index, canvases)[warm_up:])
                time.sleep(PAUSE_S)
            done += len(canvases) - warm_up
            if done >= frames and turn >= len(plays):
                break
    by_name = {engine.name: engine for engine in engines}
    for index, (_, canvases) in enumerate(plays):
        wanted = np.stack([tokens.copy() for _, tokens in by_name["f32 t1"].frames(canvases)])
        for name in worst:
            if name.startswith("ours"):
                found = by_name[name].tokens(case["case"], index, work / "tokens.npy")
            else:
                found = np.stack([tokens.copy() for _, tokens in by_name[name].frames(canvases)])
            worst[name] = max(worst[name], float(errors(found, wanted).max()))
    summary = {}
    for name, us in times.items():
        ms = np.array(us) / 1e3
        summary[name] = {
            "ms": float(np.median(ms)), "mean_ms": float(ms.mean()), "min_ms": float(ms.min()),
            "p90_ms": float(np.percentile(ms, 90)), "frames": len(us),
        }  # fmt: skip
    return summary, worst


def machine(about):
    """What the figures depend on."""

    def first(path, key):
        try:
            lines = Path(path).read_text().splitlines()
        except OSError:
            return ""
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")

    def output(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True).stdout.strip()
        except OSError:
            return ""

    caches = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        read = lambda name: (folder / name).read_text().strip()  # noqa: E731
        caches[f"L{read('level')} {read('type').lower()}"] = read("size")
    board = Path("/proc/device-tree/model")
    found = set((first("/proc/cpuinfo", "flags") or first("/proc/cpuinfo", "Features")).split())
    model = [line for line in output("lscpu").splitlines() if line.startswith("Model name")]
    cpu = first("/proc/cpuinfo", "model name") or (model[0].split(":", 1)[1].strip() if model else platform.machine())
    return {
        "cpu": cpu,
        "board": board.read_text().rstrip("\0") if board.exists() else None,
        "flags": [flag for flag in FLAGS if flag in found],
        "isa": about["isa"],
        "cores": os.cpu_count(),
        "caches": caches,
        "kernel": platform.release(),
        "rustc": output("rustc", "--version"),
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
        "load_average_before": os.getloadavg(),
    }


def table(rows):
    """Rows of text, columns aligned; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in [rows[0], ["-" * width for width in widths]] + rows[1:]:
        first, *others = zip(row, widths)
        cells = [first[0].ljust(first[1])] + [text.rjust(width) for text, width in others]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value, digits=3):
    return "-" if value is None else f"{value:.{digits}f}"


def report(result):
    print("\nSTAB, ms a frame, wall clock: median / mean / least.")
    print("ORT/ours: ratio of medians / of means. error: largest of a frame's tokens against ORT f32, relative, L2.")
    print("sent, changed: share of patches that reach our encoder, and that differ from what was there; ORT gets all.")
    rows = [["case", "threads", "ours", "ORT int8", "ORT f32", "int8/ours", "f32/ours", "error", "error int8"]]
    rows[0] += ["sent", "changed"]
    for row in result["cases"]:
        time = {side: [row[f"{side}_{what}"] for what in ("ms", "mean_ms", "min_ms")] for side in SIDES}
        ratio = {side: [time[side][i] / time["ours"][i] for i in (0, 1)] for side in SIDES}
        cells = [" / ".join(f"{ms:.3f}" for ms in time[side]) for side in SIDES]
        cells += [" / ".join(f"{value:.2f}" for value in ratio[side]) for side in SIDES[1:]]
        cells += [number(row[name], 4) for name in ("max_relative_error", "ort_int8_max_relative_error")]
        cells += [number(row[name], 2) for name in ("sent_share", "changed_share")]
        rows.append([row["case"], str(row["threads"])] + cells)
    print(table(rows))
    for row in result["cases"][::2]:
        print(f"  {row['case']}: {row['source']}, {row['timed_frames']} frames timed")
    print("\nint8 forms of ONNX Runtime, on the canvases of `dense`")
    rows = [["form", "threads", "ms", "error", ""]]
    for row in result["ort_int8_forms"]:
        why = "" if row["valid"] else "not valid: " + row.get("why", "too far from f32")[:60]
        note = "counts" if row.get("best") else why
        rows.append([row["form"], str(row["threads"]), number(row.get("ms"))])
        rows[-1] += [number(row.get("max_relative_error"), 4), note]
    print(table(rows))
    print("\nAllocations of a frame after warm-up, the worst frame of each case's first play")
    rows = [["case", "STAB", "bytes", "narrator", "bytes"]]
    for row in result["allocations"]:
        counts = [row[part][what] for part in ("stab", "narrator") for what in ("allocations", "bytes")]
        rows.append([row["case"]] + [str(count) for count in counts])
    print(table(rows))
    print("\nW8A8 products [m, k] x [k, n], rows quantized on the way; percent of the instruction's peak on registers, and of")
    print("a loop that only reads, at least as many bytes as the weights have (level: the smallest cache that they fit into);")
    print("efficiency: of the slower of the two, and beside it that of the product alone, where the rows are bytes already")
    head = "set m k n us GOP/s peak % GB/s peak % level efficiency alone"
    rows = [head.split() + ["instruction"]]
    percent = lambda value: "-" if value is None else f"{value:.0f}%"  # noqa: E731
    for row in result["kernels"]:
        peak, read = row["peak_gops"], row["peak_gb_per_s"]
        cells = [row["isa"]] + [str(row[name]) for name in "mkn"] + [number(row["us"], 2), number(row["gops"], 1)]
        cells += [number(peak, 0), number(100 * row["gops"] / peak if peak else None, 0)]
        cells += [number(row["gb_per_s"], 1), number(read, 0), number(100 * row["gb_per_s"] / read, 0), row["level"]]
        cells += [percent(row[name]) for name in ("efficiency_percent", "efficiency_of_bytes_percent")]
        rows.append(cells + [row["instruction"] or "-"])
    print(table(rows))
    print("\nProducts by one thread and by a team of two, which spins in between")
    rows = ["m k n us us_of_two speedup".split()]
    for row in result["shared"]:
        rows.append([str(row[name]) for name in "mkn"] + [number(row[name], 2) for name in ("us", "us_of_two", "speedup")])
    print(table(rows))
    print("\nMachine")
    for key, value in result["machine"].items():
        print(f"  {key}: {value}")
    for note in result["notes"]:
        print(f"\nNOTE: {note}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="ocelli-bench")
    parser.add_argument("--pack", required=True, help="folder of the pack")
    parser.add_argument("--demo", required=True, help="clip that stands for the real ones where these are absent")
    parser.add_argument("--data", type=Path, help="folder of real clips")
    parser.add_argument("--work", type=Path, required=True, help="folder for canvases and quantized graphs")
    parser.add_argument("--json", type=Path, help="write the figures into this file")
    parser.add_argument("--quick", action="store_true", help="fewer clips and rounds")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    notes = []
    data = arguments.data if arguments.data and arguments.data.is_dir() else None
    if not data:
        notes.append("THE REAL CLIPS ARE NOT HERE: fixed_camera and busy are the rendered clip of the demonstration")
        say(notes[-1])
    start = time.monotonic()
    say("preparing canvases")
    ours = Ours(arguments, data)
    facts = machine(ours.about)
    cases = {case["case"]: case for case in ours.about["cases"]}
    warm_up = ours.about["warm_up"]
    reference = Path(arguments.pack) / "reference" / "stab.onnx"

    indoor = cases["fixed_camera"]["plays"]
    chosen = indoor[:: max(1, len(indoor) // 6)] + cases["busy"]["plays"] + cases["worst"]["plays"]
    frames = calibration(
        reference, [np.load(play["canvases"]) for play in chosen], warm_up, 24 if arguments.quick else 96
    )
    key = hashlib.sha256(reference.read_bytes() + ort.__version__.encode())
    for frame in frames:
        key.update(frame["patches"].tobytes())
    say(f"int8 forms, calibrated on {len(frames)} frames of {len(chosen)} streams")
    forms = quantized(reference, frames, arguments.work / f"int8-{key.hexdigest()[:12]}")
    dense = np.load(cases["dense"]["plays"][0]["canvases"])
    wanted = np.stack([tokens.copy() for _, tokens in Ort("f32", reference, 1).frames(dense)])
    say("which int8 form is the fastest")
    best, rows = choose(forms, dense, wanted, warm_up, 2 if arguments.quick else 8)
    for threads, (row, _) in best.items():
        row["best"] = True
        say(f"{threads} threads: {row['form']}, {row['ms']:.3f} ms")

    engines = [Team(ours, threads) for threads in (1, 2)]
    engines += [Ort("int8", best[threads][1], threads) for threads in (1, 2)]
    engines += [Ort("f32", reference, threads) for threads in (1, 2)]
    result = {"machine": facts, "cases": [], "kernels": [], "ort_int8_forms": rows, "notes": notes}
    result["quick"] = arguments.quick
    for case in cases.values():
        say(f"{case['case']}: {case['source']}")
        least = 100 if arguments.quick else 1000
        summary, worst = compare(engines, case, warm_up, least, arguments.work)
        for threads in (1, 2):
            line = {"case": case["case"], "threads": threads, "source": case["source"]}
            sides = {"ours": f"ours t{threads}", "ort_int8": f"int8 t{threads}", "ort_f32": f"f32 t{threads}"}
            for side, name in sides.items():
                line[f"{side}_ms"] = summary[name]["ms"]
                line.update({f"{side}_{what}": summary[name][what] for what in ("mean_ms", "min_ms", "p90_ms")})
            line.update(
                max_relative_error=worst[f"ours t{threads}"], ort_int8_max_relative_error=worst[f"int8 t{threads}"],
                ort_int8_form=best[threads][0]["form"], timed_frames=summary["ours t1"]["frames"],
                sent_share=case["sent_share"], changed_share=case["changed_share"],
            )  # fmt: skip
            result["cases"].append(line)
    say("allocations")
    result.update(ours.ask("allocations"))
    say("products")
    result.update(ours.ask("kernels"))
    facts.update(load_average_after=os.getloadavg(), seconds=round(time.monotonic() - start))
    result["stab"] = {key: ours.about[key] for key in ("pack", "macs", "weight_bytes", "state_bytes")}
    report(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
        say(f"wrote {arguments.json}")


if __name__ == "__main__":
    main()
