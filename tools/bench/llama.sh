#!/bin/sh
# Makes an environment with llama.cpp, which pip builds from the source in llama-cpp-python: some 15 minutes of one core, and
# no more than one, so that a small machine stays usable.
#
#     sh tools/bench/llama.sh data/llama-venv
set -eu
venv=$1
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
CMAKE_BUILD_PARALLEL_LEVEL=1 "$venv/bin/pip" install -q --disable-pip-version-check llama-cpp-python==0.3.36
