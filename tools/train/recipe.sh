#!/bin/sh
# From nothing to models/home: environments, scenes, real clips, vocabulary, training, calibration, evaluation, pack, card.
#
#   sh tools/train/recipe.sh [FIRST_STEP [LAST_STEP]]        from the project's root; all steps without arguments
#
# Every step goes on where it was: clips that exist are skipped, a training continues from its checkpoint, and one that
# had its minutes ends at once. Real clips are read from ../shared/data and left out where that folder is absent.
set -e
cd "$(dirname "$0")/../.."
python=.venv/bin/python
teacher=data/teacher-venv/bin/python
# Freed memory is kept, and in large pages: a seventh of a step's time was the system clearing pages.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=8000000000:glibc.malloc.trim_threshold=16000000000
threads=${THREADS:-2}            # making the batches takes a quarter of one
scenes=${SCENES:-2400}           # synthetic clips, and a sixth as many in which people sit at their ease
base_minutes=${BASE_MINUTES:-140}
tune_minutes=${TUNE_MINUTES:-15}
switch_steps=${SWITCH_STEPS:-300} # of training with each switch, ten times, for what the card tells of them; 0: not at all
clips=../shared/data
real=data/real
a="$real/gmdcsa24/subject-1_*.npz"
b="$real/gmdcsa24/subject-3_*.npz"
lab=$real/assist-iot
intel=$real/intel-samples
first=${1:-1}
last=${2:-10}

say() { echo "$(date +%H:%M:%S) step $1 of 10: $2"; }
wanted() { test "$1" -ge "$first" && test "$1" -le "$last"; }
have_real() { test -d "$real/gmdcsa24"; }

render() { "$python" tools/scenes/generate.py --out data/scenes --assets data/scenes/assets --jobs "$(nproc)" "$@"; }

# calibrate FROM TO CLIP...
calibrate() {
    from=$1
    to=$2
    shift 2
    "$python" tools/train/calibrate.py "data/checkpoints/$from.pt" --out "data/checkpoints/$to.pt" \
        --threads "$threads" --clips data/scenes/val "$@"
}

# train NAME MINUTES FLAG...
train() {
    name=$1
    minutes=$2
    shift 2
    "$python" tools/train/train.py --out "data/checkpoints/$name.pt" --vocabulary models/home --corpus data/corpus.npz \
        --minutes "$minutes" --threads "$threads" --batch 8 --length 12 --reads 2 --save-every 60 --val-every 3600 "$@"
}

# tune NAME FLAG...: from the base
tune() {
    name=$1
    shift
    train "$name" "$tune_minutes" --start data/checkpoints/base.pt --lr 2e-4 "$@"
}

# some SHARE CLIP...: flags for real clips, none where there are none
some() {
    share=$1
    shift
    have_real && echo "--extra-share $share --extra $*"
}

# evaluate NAME NOTE [REPORT [FLAG]]
evaluate() {
    # shellcheck disable=SC2086
    "$python" tools/train/evaluate.py "data/checkpoints/$1.pt" --threads "$threads" --out "data/reports/${3:-$1}.json" \
        --note "$2" $4
}

# both NAME NOTE: in f32, and in int8 as the pack's graphs compute it.
both() {
    evaluate "$1" "$2"
    evaluate "$1" "$2" "$1-int8" --int8
}

if wanted 1; then
    say 1 "environments"
    test -d data/scenes/assets/sh3d || sh tools/scenes/setup.sh .venv data/scenes/assets
    sh tools/train/setup.sh .venv data/teacher-venv
fi
if wanted 2; then
    say 2 "$((scenes + scenes / 6)) synthetic clips for training, 200 for validation, 140 sets of probes and 500 to learn from, 40 cameras and 30 to learn from (about 1 s of one core a clip second)"
    render --count "$scenes"
    render --first "$scenes" --count $((scenes / 6)) --focus ease
    render --split val --first 1000000 --count 200
    render --split probes --first 2000000 --count 140
    render --split cameras --first 3000000 --count 40
    render --out data/scenes/practice --split probes --first 5000000 --count 500
    render --out data/scenes/practice --split cameras --first 6000000 --count 30
fi
if wanted 3; then
    say 3 "real clips"
    if test -d "$clips"; then "$teacher" tools/train/real.py "$clips" "$real"; else echo "$clips is not here: left out"; fi
fi
if wanted 4; then
    say 4 "vocabulary, what is said of the clips, a teacher's codebook"
    "$python" tools/train/vocabulary.py models/home
    "$python" tools/train/corpus.py data/corpus.npz data/scenes/train data/scenes/val
    "$python" tools/train/teacher.py data/teacher data/scenes/train
fi
if wanted 5; then
    say 5 "base training, $base_minutes minutes: scenes and the Intel samples"
    # shellcheck disable=SC2046
    train base "$base_minutes" --lr 1e-3 $(some 0.06 $intel)
fi
if wanted 6; then
    say 6 "tuning, $tune_minutes minutes each, with real clips: of the lab for the pack, of one person for each direction of the test"
    # shellcheck disable=SC2046
    tune tuned $(some 0.3 "$lab")
    # shellcheck disable=SC2046
    if have_real; then
        tune tuned-1 $(some 0.3 "$a")
        tune tuned-3 $(some 0.3 "$b")
    fi
fi
if wanted 7; then
    say 7 "calibration: synthetic clips, and real ones that nothing is tested on afterwards; how far a lesson reaches"
    if have_real; then
        calibrate tuned base-a "$a" "$lab"
        calibrate tuned base-b "$b" "$lab"
        calibrate tuned home "$a" "$b" "$lab"
        calibrate tuned-1 direction-1
        calibrate tuned-3 direction-3
    else
        calibrate tuned home
    fi
    have_real && apart="base-a base-b" || apart=
    # shellcheck disable=SC2086
    "$python" tools/train/learn.py --choose home=data/scenes/practice/cameras $apart --threads "$threads" --out data/reports/reach.json
fi
if wanted 8; then
    say 8 "evaluation"
    if have_real; then
        both base-a "nobody of GMDCSA24 trained on, calibrated on subject 1"
        both base-b "nobody of GMDCSA24 trained on, calibrated on subject 3"
        evaluate direction-1 "tuned on subject 1, calibrated on scenes"
        evaluate direction-3 "tuned on subject 3, calibrated on scenes"
    fi
    both home "the pack: nobody of GMDCSA24 trained on, calibrated on both"
    have_real && real_pairs="base-a=$b base-b=$a" || real_pairs=
    # shellcheck disable=SC2086
    "$python" tools/train/dropped.py $real_pairs home=data/scenes/val --threads "$threads" --out data/reports/drop.json
    "$python" tools/train/temporal.py data/checkpoints/home.pt --train data/scenes/practice/probes --test data/scenes/probes \
        --threads "$threads" --out data/reports/temporal.json
    # shellcheck disable=SC2086
    "$python" tools/train/learn.py $real_pairs home=data/scenes/cameras --threads "$threads" --out data/reports/learn.json
    test "$switch_steps" -eq 0 || "$python" tools/train/ablations.py --start data/checkpoints/base.pt --steps "$switch_steps" -- \
        --vocabulary models/home --lr 2e-4 --threads "$threads" --batch 8 --length 12 --reads 2 --save-every 60 --val-every 36000
fi
if wanted 9; then
    say 9 "pack"
    "$python" tools/train/export.py pack models/home --checkpoint data/checkpoints/home.pt
    # Thresholds of the same network for tests; without real clips there are none but the pack's own.
    have_real && apart="data/checkpoints/base-a.pt data/checkpoints/base-b.pt" || apart=
    # shellcheck disable=SC2086
    "$python" tools/train/export.py held-out models/home --checkpoint data/checkpoints/home.pt $apart
fi
if wanted 10; then
    say 10 "the pack through the program itself, and its card"
    if command -v cargo >/dev/null; then
        cargo xtask eval home --json data/reports/eval-home.json
    else
        echo "no Rust toolchain: left out of the card"
    fi
    "$python" tools/train/card.py models/home --reports data/reports --data data
fi
