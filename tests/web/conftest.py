"""A running program with a gateway, a clip for a camera, and a browser."""

import os
import re
import shlex
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"


class Program:
    """`ocelli run` with a config of these lines in [gateway], further tables, keys above them, and cameras of these names; again in the same folder, if one is given."""

    def __init__(self, gateway: str, cameras=("hall",), more: str | None = None, top: str = "", folder: Path | None = None):
        self.folder = folder or Path(tempfile.mkdtemp(prefix="ocelli-web-"))
        if more is None:
            more = f'[recording]\nfolder = "{self.folder}/recordings"\nbefore_s = 2\nafter_s = 2\n'
        clip = ROOT / "tests/clips/demo.mp4"
        play = f"ffmpeg -loglevel error -re -stream_loop -1 -i {shlex.quote(str(clip))} -f yuv4mpegpipe -pix_fmt yuv420p -"
        config = self.folder / "ocelli.toml"
        config.write_text(
            f'{top}pack = "{ROOT}/models/home"\nvocabulary = "{self.folder}/words.jsonl"\n'
            + "".join(f"[[camera]]\nname = \"{name}\"\ncommand = '''{play}'''\nlessons = \"{self.folder}/{name}.lessons\"\n" for name in cameras)
            + f'[journal]\nfile = "{self.folder}/journal"\n'
            f'[[alert]]\ntext = "Somebody is in the hall"\nkinds = ["walk", "enter", "stand"]\nseverity = "notice"\n'
            f'[alerts]\nfile = "{self.folder}/conditions.jsonl"\n'
            f'{more}[gateway]\nlisten = "127.0.0.1:0"\nusers = "{self.folder}/users"\naudit = "{self.folder}/audit"\nsetup = "{self.folder}/setup.jsonl"\n{gateway.replace("{folder}", str(self.folder))}'
        )
        (self.folder / "password").write_text(PASSWORD)
        program = os.environ.get("OCELLI_E2E_PROGRAM", str(ROOT / "target/debug/ocelli"))
        command = [program, "run", "--config", str(config), "--out", str(self.folder / "events")]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        self.said = []
        self.url = None
        for line in self.process.stderr:
            self.said.append(line)
            found = re.search(r"the gateway is at (\S+)/", line)
            if found:
                self.url = found.group(1)
                break
        assert self.url, self.said
        # What is said from now on must not fill the pipe.
        threading.Thread(target=lambda: self.said.extend(self.process.stderr), daemon=True).start()

    def end(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="session")
def program():
    running = Program("live = true\n")
    yield running
    running.end()


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def token(program):
    """A token of an admin, after the first password was set."""
    import json
    import urllib.error
    import urllib.request

    def post(path, body, headers):
        request = urllib.request.Request(program.url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
        with urllib.request.urlopen(request) as response:
            return json.load(response), response.headers

    try:
        hello, headers = post("/api/setup", {"password": PASSWORD}, {})
    except urllib.error.HTTPError:
        hello, headers = post("/api/login", {"name": "admin", "password": PASSWORD}, {})
    session = {"Cookie": headers["Set-Cookie"].split(";")[0], "X-CSRF-Token": hello["csrf"]}
    made, _ = post("/api/tokens", {"name": "tests", "role": "admin"}, session)
    return made["token"]
