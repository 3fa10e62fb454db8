"""A day of the real program at a real Mosquitto: all that is published, from its discovery to its end in order, is recorded by another client, kept as
a log, and held against what docs/mqtt.md and Home Assistant's documentation say. The day has its 24 hours by the wall clock of the program
(libfaketime), which leaps from hour to hour; a camera's stream goes on meanwhile, some seconds an hour."""

import copy
import datetime
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

import mqtt_shapes
from conftest import PASSWORD, ROOT
from fleet import free_port, until
from mqtt_shapes import BASE, Message, faults

#: Where the log is left.
LOG = Path(os.environ.get("OCELLI_MQTT_LOG", ROOT / "target/mqtt-day.log"))
CONFIG = "homeassistant/device/ocelli_home_board/config"
DAY = datetime.datetime(2026, 3, 28, tzinfo=datetime.timezone.utc)
LEAST_HOUR_S = 1
OF_CONFIG, ADDED = "Somebody is in the hall", "Somebody moves by day"


class Clock:
    """The program's wall clock, by a file that libfaketime reads."""

    def __init__(self, folder):
        self.file = folder / "clock"
        self.at(0)

    def at(self, hour):
        self.ahead_s = DAY.timestamp() + 3600 * hour - time.time()
        other = self.file.with_suffix(".new")
        other.write_text(f"{self.ahead_s:+.3f}\n")
        other.replace(self.file)

    def now(self):
        return datetime.datetime.fromtimestamp(time.time() + self.ahead_s, datetime.timezone.utc).strftime("%H:%M:%S")


class Broker:
    """Mosquitto, with a log of its own."""

    def __init__(self, folder):
        self.port, self.config = free_port(), folder / "mosquitto.conf"
        self.config.write_text(
            f"user root\nlistener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
            f"log_dest file {folder}/mosquitto.log\nlog_type all\n"
        )
        self.start()

    def start(self):
        self.process = subprocess.Popen([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", self.config])

    def end(self):
        self.process.terminate()
        self.process.wait(30)


class Recorder:
    """Somebody else who hears everything, as it was published, and keeps it."""

    def __init__(self, port, clock):
        self.messages, self.clock, self.ready = [], clock, False
        # The fifth version tells whether a publisher wanted a message retained.
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "recorder", protocol=mqtt.MQTTv5)
        self.client.on_connect = lambda client, *_: client.subscribe("#", options=mqtt.SubscribeOptions(qos=1, retainAsPublished=True, retainHandling=1))
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.on_message = self.hear
        self.client.reconnect_delay_set(1, 1)
        kept = mqtt.Properties(mqtt.PacketTypes.CONNECT)
        kept.SessionExpiryInterval = 3600
        until("the broker listens", 30, lambda: self.connected(port, kept))
        self.client.loop_start()
        until("the recorder listens", 30, lambda: self.ready)

    def connected(self, port, kept):
        try:
            self.client.connect("127.0.0.1", port, clean_start=True, properties=kept)
            return True
        except OSError:
            return False

    def hear(self, _client, _given, message):
        asked = message.topic.endswith("/set") or message.topic == "homeassistant/status"
        self.messages.append(Message(self.clock.now(), message.topic, message.payload, bool(message.retain), message.qos, asked))

    def of(self, topic):
        return [message for message in list(self.messages) if message.topic == topic]

    def last(self, topic):
        return next((message.text() for message in reversed(self.of(topic))), None)

    def ask(self, what, payload):
        """Asks the program, and gives its answer."""
        topic = f"{BASE}/{what}/answer"
        before = len(self.of(topic))
        self.client.publish(f"{BASE}/{what}/set", payload, qos=1)
        until(f"an answer in {topic}", 60, lambda: len(self.of(topic)) > before)
        return json.loads(self.last(topic))


class Board:
    """`ocelli run`, with the clock of the day."""

    def __init__(self, folder, port, clock):
        self.folder, self.config = folder, folder / "ocelli.toml"
        clip = ROOT / "tests/clips/demo.mp4"
        # The camera has nothing to do with the clock.
        play = f"env -u LD_PRELOAD ffmpeg -loglevel error -re -stream_loop -1 -i {shlex.quote(str(clip))} -f yuv4mpegpipe -pix_fmt yuv420p -"
        self.config.write_text(
            f'pack = "{ROOT}/models/home"\nvocabulary = "{folder}/words.jsonl"\n'
            f"[camera]\nname = \"hall\"\ncommand = '''{play}'''\nlessons = \"{folder}/hall.lessons\"\n"
            f'[journal]\nfile = "{folder}/journal"\n[speak]\nverbosity = "full"\n'
            f'[[alert]]\ntext = "{OF_CONFIG}"\nkinds = ["walk", "enter", "stand"]\nfor = "0s"\ncooldown = "0s"\n'
            f'[alerts]\nfile = "{folder}/conditions.jsonl"\n'
            f'[recording]\nfolder = "{folder}/recordings"\nbefore_s = 1\nafter_s = 1\n'
            f'[mqtt]\nbroker = "mqtt://127.0.0.1:{port}"\ndevice = "board"\nimages = true\ncloudevents = true\nfrigate = "cams"\n'
            f'[outbox]\nfolder = "{folder}/outbox"\n[gateway]\nlisten = "127.0.0.1:0"\nusers = "{folder}/users"\naudit = "{folder}/audit"\n'
        )
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        self.environment = os.environ | {
            "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock.file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "TZ": "UTC",
        }
        self.session, self.starts = None, 0
        self.start()

    def start(self):
        self.starts += 1
        program = os.environ.get("OCELLI_E2E_PROGRAM", str(ROOT / "target/debug/ocelli"))
        said = self.folder / "said"
        before = said.stat().st_size if said.exists() else 0
        command = [program, "run", "--config", str(self.config), "--out", str(self.folder / f"events-{self.starts}")]
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stderr=open(said, "a"))

        def url():
            assert self.process.poll() is None, said.read_text()
            lines = said.read_text()[before:].splitlines()
            return next((line.split(" is at ")[1].rstrip("/") for line in lines if "the gateway is at " in line), None)

        self.url = until("the gateway is there", 60, url)

    def call(self, method, path, body=None):
        if self.session is None:
            self.session = {}
            hello, headers = self.call("POST", "/api/setup", {"password": PASSWORD})
            session = {"Cookie": headers["Set-Cookie"].split(";")[0], "X-CSRF-Token": hello["csrf"]}
            self.session = session
            token, _ = self.call("POST", "/api/tokens", {"name": "day", "role": "admin"})
            self.session = {"Authorization": f"Bearer {token['token']}"}
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | self.session
        with urllib.request.urlopen(urllib.request.Request(self.url + path, sent, headers, method=method), timeout=60) as response:
            return json.load(response), response.headers

    def lose_its_camera(self):
        """The command that is its camera is killed, whatever shell is between."""

        def below(process):
            for task in Path(f"/proc/{process}/task").iterdir():
                for child in (task / "children").read_text().split():
                    yield child
                    yield from below(child)

        cameras = [int(child) for child in below(self.process.pid) if Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"ffmpeg")]
        assert cameras
        for camera in cameras:
            os.kill(camera, signal.SIGKILL)


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """What was published on that day."""
    folder = tmp_path_factory.mktemp("day")
    clock = Clock(folder)
    broker = Broker(folder)
    recorder = Recorder(broker.port, clock)
    board = Board(folder, broker.port, clock)
    state = f"{BASE}/camera/hall/condition/somebody_moves_by_day"

    def condition():
        return json.loads(recorder.last(CONFIG))["components"].get("hall_condition_somebody_moves_by_day")

    def blind():
        before = len([event for event in recorder.of(f"{BASE}/camera/hall/event") if event.json()["type"] == "blind"])
        return lambda: len([event for event in recorder.of(f"{BASE}/camera/hall/event") if event.json()["type"] == "blind"]) > before

    def camera_is_lost():
        lost = blind()
        board.lose_its_camera()
        until("it is told", 60, lost)

    def home_assistant_starts_anew():
        before = len(recorder.of(CONFIG))
        recorder.client.publish("homeassistant/status", "online", qos=1)
        until("it is told again", 60, lambda: len(recorder.of(CONFIG)) > before)

    def condition_is_added():
        board.call("POST", "/api/conditions", {"text": ADDED, "kinds": ["walk", "enter", "stand", "sit"], "for": "0s", "cooldown": "0s", "severity": "notice"})
        until("it is discovered", 60, condition)
        until("it fires", 60, lambda: recorder.last(state) == "ON")

    def one_sets():
        assert recorder.ask("verbosity", "normal")["ok"] and recorder.ask("verbosity", "full")["ok"]
        assert recorder.ask("quiet", "30")["ok"] and recorder.ask("quiet", "OFF")["ok"]
        assert not recorder.ask("verbosity", "loud")["ok"]

    def one_asks():
        assert recorder.ask("ask", "when did somebody last walk?")["ok"]
        assert recorder.ask("ack", "last")["ok"]
        recorder.ask("camera/hall/teach", "the postman rings")

    def switched_off_and_started_anew():
        off = blind()
        assert recorder.ask("camera/hall/enabled", "OFF")["ok"]
        until("nobody looks", 60, off)
        board.process.terminate()
        board.process.wait(30)
        until("it parted", 60, lambda: recorder.last(f"{BASE}/available") == "stopped")
        fired = len([message for message in recorder.of(state) if message.payload == b"ON"])
        board.start()
        until("what was added is kept", 60, lambda: recorder.last(f"{BASE}/available") == "online" and condition())
        until("and fires", 60, lambda: len([message for message in recorder.of(state) if message.payload == b"ON"]) > fired)

    def killed():
        board.process.kill()
        board.process.wait(30)
        until("its last will is told", 60, lambda: recorder.last(f"{BASE}/available") == "offline")
        board.start()
        until("it is back", 60, lambda: recorder.last(f"{BASE}/available") == "online")

    def condition_is_taken_back():
        board.call("DELETE", "/api/conditions?text=" + ADDED.replace(" ", "+"))
        until("it is taken out", 60, lambda: condition() == {"platform": "binary_sensor"})
        until("its state is forgotten", 60, lambda: recorder.last(state) == "")

    def the_broker_is_away():
        broker.end()

    def the_broker_is_back():
        before = len(recorder.of(f"{BASE}/available"))
        broker.start()
        until("it is told that we are here", 120, lambda: len(recorder.of(f"{BASE}/available")) > before)

    happens = {
        3: camera_is_lost, 6: home_assistant_starts_anew, 8: condition_is_added, 10: one_sets, 11: one_asks, 12: switched_off_and_started_anew, 16: killed,
        18: condition_is_taken_back, 20: the_broker_is_away,
    }
    try:
        until("it is discovered", 120, lambda: recorder.last(CONFIG))
        for hour in range(24):
            clock.at(hour)
            if hour == 21:
                the_broker_is_back()
            time.sleep(LEAST_HOUR_S)
            # What was on its way may be of the hour before.
            until(f"something of {hour} o'clock is told", 120, lambda: any(event.json()["start"][:13] == f"2026-03-28T{hour:02}" for event in recorder.of(f"{BASE}/camera/hall/event")))
            happens.get(hour, lambda: None)()
        # An hour is over when its stats, which come each half minute, were told with all that waited.
        until("nothing waits", 120, lambda: json.loads(recorder.last(f"{BASE}/stats"))["waiting"] == 0)
        board.process.terminate()
        board.process.wait(30)
        until("it parted", 60, lambda: recorder.last(f"{BASE}/available") == "stopped")
        until("all is heard", 60, lambda: quiet(recorder))
    finally:
        board.process.kill()
        recorder.client.loop_stop()
        broker.process.kill()
        LOG.parent.mkdir(parents=True, exist_ok=True)
        LOG.write_text("".join(message.line() for message in recorder.messages))
        shutil.copy(folder / "mosquitto.log", LOG.with_suffix(".mosquitto.log"))
    yield recorder.messages
    shutil.rmtree(folder)


def quiet(recorder):
    before = len(recorder.messages)
    time.sleep(1)
    return len(recorder.messages) == before


def test_all_that_is_documented_has_a_shape_and_nothing_else():
    """The table of docs/mqtt.md says the same of retained as the shapes do."""
    documented = mqtt_shapes.documented()
    assert len(documented) >= 10
    for topic, retained in documented.items():
        assert mqtt_shapes.BELOW[topic][0] == retained, topic


def test_all_of_a_day_has_the_documented_shapes(day):
    assert faults(day) == []


def test_the_day_has_what_a_day_brings(day):
    told = [message for message in day if not message.asked]
    events = {event["uid"]: event for event in (message.json() for message in told if message.topic == f"{BASE}/camera/hall/event")}
    kinds = Counter(event["type"] for event in events.values())
    assert set(kinds) >= {"narration", "alert", "alert_end", "update", "blind", "health"}, kinds
    hours = Counter(event["start"][:13] for event in events.values())
    assert {f"2026-03-28T{hour:02}" for hour in range(24)} <= set(hours), "each hour has its events"
    texts = Counter(event["text"] for event in events.values() if event["type"] == "alert")
    assert texts[OF_CONFIG] >= 5 and texts[ADDED] >= 2, texts
    went = [message.text() for message in told if message.topic == f"{BASE}/available"]
    states = [state for index, state in enumerate(went) if index == 0 or went[index - 1] != state]
    assert states[:5] == ["online", "stopped", "online", "offline", "online"] and states[-1] == "stopped", states
    topics = {pattern for message in told for compiled, pattern, *_ in mqtt_shapes.KNOWN if compiled.match(message.topic)}
    assert topics == set(mqtt_shapes.ALL), "of everything that is documented something came"
    print(f"{len(told)} messages, {len(events)} events: {dict(kinds)}; {LOG}")


def first(messages, ends):
    return next(message for message in messages if message.topic.endswith(ends) and message.payload)


def discovered(edit):
    def of(messages):
        message = first(messages, "/config")
        value = message.json()
        edit(value, value["components"])
        message.payload = json.dumps(value).encode()

    return of


def payload(ends, bytes_):
    return lambda messages: setattr(first(messages, ends), "payload", bytes_)


def of_event(**keys):
    def of(messages):
        message = first(messages, "hall/event")
        message.payload = json.dumps(message.json() | keys).encode()

    return of


def unannounced(messages):
    """The last discovery lacks one of before."""
    last = next(message for message in reversed(messages) if message.topic == CONFIG)
    value = last.json()
    del value["components"]["uptime"]
    last.payload = json.dumps(value).encode()


WRONG = {
    "an event is retained": (lambda all: setattr(first(all, "hall/event"), "retained", True), "is retained"),
    "a state is not": (lambda all: setattr(first(all, "hall/alert"), "retained", False), "is retained: False"),
    "another QoS": (lambda all: setattr(first(all, "hall/event"), "qos", 0), "QoS 0"),
    "an unknown topic": (lambda all: setattr(first(all, "hall/event"), "topic", f"{BASE}/camera/hall/events"), "documented nowhere"),
    "an unknown key": (of_event(mood="good"), "mood"),
    "no date": (of_event(start="yesterday"), "start"),
    "an unknown type": (of_event(event_type="applause"), "event_type"),
    "another type": (of_event(event_type="camera"), "event_type is camera"),
    "another's uid": (of_event(uid="7"), "uid"),
    "a state that is none": (payload("hall/alert", b"yes"), "hall/alert"),
    "no JPEG": (payload("hall/snapshot", b"GIF89a"), "no JPEG"),
    "an empty state": (payload("hall/alert", b""), "is empty"),
    "stats without a camera": (payload("/stats", b"{}"), "required"),
    "no origin": (discovered(lambda root, _: root.pop("origin")), "origin"),
    "no identifiers": (discovered(lambda root, _: root["device"].pop("identifiers")), "device is"),
    "no availability": (discovered(lambda root, _: root.pop("availability")), "whether the device is there"),
    "an availability of two states": (discovered(lambda root, _: root["availability"][0].pop("value_template")), "`stopped`"),
    "one id for two": (discovered(lambda _, all: all["memory"].update(unique_id=all["uptime"]["unique_id"])), "unique_id"),
    "no platform": (discovered(lambda _, all: all["memory"].pop("platform")), "platform is None"),
    "no unique_id": (discovered(lambda _, all: all["memory"].pop("unique_id")), "needs ['unique_id']"),
    "no state": (discovered(lambda _, all: all["memory"].pop("state_topic")), "needs ['state_topic']"),
    "a key of no platform": (discovered(lambda _, all: all["memory"].update(colour="red")), "has no ['colour']"),
    "a class without its unit": (discovered(lambda _, all: all["temperature"].update(unit_of_measurement="MiB")), "temperature in MiB"),
    "a class that is none": (discovered(lambda _, all: all["hall_alert"].update(device_class="danger")), "danger"),
    "another topic": (discovered(lambda _, all: all["hall_alert"].update(state_topic=f"{BASE}/camera/hall/alarm")), "state_topic is"),
    "a template that fails": (discovered(lambda _, all: all["memory"].update(value_template="{{ value_json.memory.used }}")), "is no number"),
    "types that lack one": (discovered(lambda _, all: all["hall_event"].update(event_types=["alert"])), "was not announced"),
    "one that was never there is taken out": (discovered(lambda _, all: all.update(stove={"platform": "binary_sensor"})), "was not there"),
    "one goes as if it had never been": (unannounced, "without being taken out"),
    "a condition that has gone stays": (lambda all: all.append(next(one for one in reversed(all) if one.topic.endswith("condition/somebody_moves_by_day") and one.payload)), "stays after"),
    "an event without its envelope": (lambda all: all.remove(first(all, "hall/cloudevent")), "0 envelopes"),
    "events in another order": (lambda all: all.append(all.pop(all.index(first(all, "hall/event")))), "comes after"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_found(day, wrong):
    spoil, said = WRONG[wrong]
    messages = copy.deepcopy(day)
    spoil(messages)
    found = faults(messages)
    assert any(said in fault for fault in found), found
