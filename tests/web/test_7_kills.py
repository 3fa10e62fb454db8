"""Kill -9 at random moments, a few: what was told and acknowledged is there. `cargo xtask bench gateway` has as many as one wants."""

import os
import subprocess
import sys

from conftest import ROOT

KILLS = 20


def test_nothing_that_was_told_or_acknowledged_is_lost_by_kills():
    program = os.environ.get("OCELLI_E2E_PROGRAM", str(ROOT / "target/debug/ocelli"))
    others = [word for what in ("rounds", "everything", "fleet-events") for word in (f"--{what}", "0")]
    command = [sys.executable, str(ROOT / "tools/bench/gateway.py"), "--program", program, "--kills", str(KILLS), *others]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f'"kills": {KILLS}' in ran.stdout and '"acknowledged": 0' not in ran.stdout, ran.stdout
