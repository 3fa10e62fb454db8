"""llama.cpp on request, a line of JSON each, as `ocelli-bench generate` does it; `tools/eval/language/generate.py` asks both.

    data/llama-venv/bin/python tools/bench/llama.py model.gguf --threads 1

Runs in an environment of its own, with llama-cpp-python alone (`tools/bench/llama.sh` makes it). Weights stay as the file has them:
llama.cpp's other buffers are AMX, which ends with a segmentation fault on virtual machines (ggml-org/llama.cpp#20824), and
repacked ones.
"""

import argparse
import json
import sys
import time

import numpy as np


def resident():
    """Bytes of this process that are in memory, and the most that were."""
    with open("/proc/self/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return [1024 * int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM")]


def now():
    """Seconds of all threads on the CPU, and by the clock."""
    return time.process_time(), time.perf_counter()


def since(start):
    return [after - before for before, after in zip(start, now(), strict=True)]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("model")
    p.add_argument("--threads", type=int, default=1)
    args = p.parse_args()
    import llama_cpp

    usual = llama_cpp.llama_cpp.llama_model_default_params

    def as_in_the_file():
        made = usual()
        made.use_extra_bufts = False
        return made

    llama_cpp.llama_cpp.llama_model_default_params = as_in_the_file

    def load(every_logit):
        threads = {"n_threads": args.threads, "n_threads_batch": args.threads}
        return llama_cpp.Llama(args.model, n_ctx=1024, logits_all=every_logit, verbose=False, **threads)

    llama = load(False)
    largest = lambda: int(np.argmax(llama_cpp_logits(llama_cpp, llama)))  # noqa: E731
    print(json.dumps({"llama_cpp_python": llama_cpp.__version__, "system": llama_cpp.llama_print_system_info().decode()}), flush=True)
    for line in sys.stdin:
        ((what, asked),) = json.loads(line).items()
        if what == "tokens":
            said = {"tokens": [llama.tokenize(text.encode(), add_bos=False, special=False) for text in asked]}
        elif what == "run":
            llama.reset()
            start = now()
            llama.eval(asked["tokens"])
            token = largest()
            read, start, tokens = since(start), now(), [token]
            for _ in range(asked["say"]):
                llama.eval([token])
                token = largest()
                tokens.append(token)
            said = {"read_s": read, "say_s": since(start), "said": tokens, "rss_bytes": resident()}
        elif what == "likeliest":
            every = load(True)
            every.eval(asked)
            said = {"likeliest": np.argmax(every.scores[: len(asked)], -1).tolist()}
            del every
        else:
            said = {"error": f"no such request: {what}"}
        print(json.dumps(said), flush=True)


def llama_cpp_logits(library, llama):
    """Of the last token, where they lie."""
    return np.ctypeslib.as_array(library.llama_get_logits_ith(llama.ctx, -1), shape=(llama.n_vocab(),))


if __name__ == "__main__":
    main()
