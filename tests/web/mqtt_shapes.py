"""What may be published: the shapes of docs/mqtt.md, and of Home Assistant's discovery (its documentation, "MQTT": device discovery payload and each
platform's page). `faults` says what in a log of messages is none of it."""

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import jinja2
import jsonschema_rs

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/mqtt.md"
TYPES = ["narration", "alert", "alert_end", "update", "blind", "health", "camera"]


@dataclass
class Message:
    """One that was published. `retained` is as its publisher wanted it."""

    at: str
    topic: str
    payload: bytes
    retained: bool
    qos: int
    #: Whether it is what somebody asked of the program, and not what that told.
    asked: bool = False

    def text(self):
        return self.payload.decode()

    def json(self):
        return json.loads(self.payload)

    def line(self):
        shown = self.text() if not self.payload.startswith(b"\xff\xd8") else f"JPEG of {len(self.payload)} bytes"
        return f"{self.at} {'asked' if self.asked else 'told'} qos={self.qos} retain={int(self.retained)} {self.topic} {shown}\n"


def texts(*values):
    return {"enum": list(values)}


def shape(required, optional=()):
    """Of an object with these keys and no others."""
    return {"type": "object", "properties": dict(required) | dict(optional), "required": list(required), "additionalProperties": False}


def nullable(kind):
    return {"type": [kind, "null"]}


DATE = {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
ON = texts("ON", "OFF")
TEXT, NUMBER, WHOLE, BOOLEAN = ({"type": kind} for kind in ("string", "number", "integer", "boolean"))
TEXTS = {"type": "array", "items": TEXT}

#: As `ocelli events --json` has it.
EVENT_KEYS = {
    "id": {"type": "integer", "minimum": 1}, "type": texts(*TYPES), "camera": TEXT, "start": DATE, "end": DATE, "t_start_s": NUMBER, "t_end_s": NUMBER,
    "kind": nullable("string"), "severity": {"enum": ["none", "info", "notice", "alarm", None]}, "text": {"type": "string", "minLength": 1},
    "score": {"type": ["number", "null"], "minimum": 0, "maximum": 1}, "entries": {"type": ["array", "null"], "items": WHOLE, "minItems": 2, "maxItems": 2},
}
EVENT_MAY = {"about": TEXTS, "relation": texts("again", "also", "still"), "narrations": WHOLE, "said": nullable("string"), "told": WHOLE, "acknowledged": DATE}
UID = {"type": "string", "pattern": "^[0-9a-f]{16}-[0-9]+$"}
EVENT = shape(EVENT_KEYS, EVENT_MAY)
TOLD = shape(EVENT_KEYS | {"uid": UID, "event_type": texts(*TYPES), "site": texts("home"), "device": texts("board")}, EVENT_MAY)
CLOUDEVENT = shape(
    {"specversion": texts("1.0"), "id": UID, "source": texts("/ocelli/home/board"), "type": texts(*(f"ai.ocelli.{kind}" for kind in TYPES)),
     "datacontenttype": texts("application/json"), "data": EVENT},
    {"time": DATE, "subject": TEXT},
)
CAMERA_STATS = shape({"name": TEXT, "up": BOOLEAN, "fps": nullable("number"), "processed": WHOLE, "late": WHOLE, "damaged": WHOLE, "kept_ratio": NUMBER})
STATS = shape({
    "uptime_s": NUMBER, "events": WHOLE, "soc_celsius": nullable("number"), "memory": shape({"used_mib": NUMBER, "budget_mib": NUMBER}),
    "cameras": {"type": "object", "minProperties": 1, "additionalProperties": CAMERA_STATS}, "waiting": WHOLE, "dropped": texts(0),
})
ANSWER = {"type": "object", "properties": {"ok": BOOLEAN, "message": {"type": "string", "minLength": 1}}, "required": ["ok", "message"]}
FRIGATE_OBJECT = {"type": "object", "required": ["id", "camera", "label", "score", "start_time", "end_time", "has_clip", "has_snapshot", "current_zones", "entered_zones"]}
REVIEW = {
    "type": "object", "required": ["id", "camera", "start_time", "end_time", "severity", "thumb_path", "data"],
    "properties": {"id": {"type": "string", "pattern": r"^\d+\.\d+-[0-9a-z]{6}$"}, "severity": texts("alert", "detection"),
                   "data": {"type": "object", "required": ["detections", "objects", "sub_labels", "zones", "audio"]}},
}


def changing(of):
    return {"type": "object", "properties": {"type": texts("new", "update", "end"), "before": of, "after": of}, "required": ["type", "before", "after"]}


JPEG = "JPEG"
DISCOVERY = "discovery"
#: Topics below the device as docs/mqtt.md has them, whether retained, and the shape: a schema of JSON, a schema of text (where it is an enum of texts), or a name.
BELOW = {
    "available": (True, texts("online", "stopped", "offline")),
    "stats": (True, STATS),
    "camera/<camera>/event": (False, TOLD),
    "camera/<camera>/cloudevent": (False, CLOUDEVENT),
    "camera/<camera>/snapshot": (True, JPEG),
    "camera/<camera>/narration": (True, EVENT),
    "camera/<camera>/alert": (True, ON),
    "camera/<camera>/alert/attributes": (True, EVENT),
    "camera/<camera>/condition/<condition>": (True, ON),
    "camera/<camera>/condition/<condition>/attributes": (True, EVENT),
    "camera/<camera>/available": (True, texts("online", "offline")),
    "camera/<camera>/enabled/state": (True, ON),
    "verbosity/state": (True, texts("quiet", "normal", "full")),
    "quiet/state": (True, ON),
    "camera/<camera>/enabled/answer": (False, ANSWER),
    "camera/<camera>/teach/answer": (False, ANSWER),
    "verbosity/answer": (False, ANSWER),
    "quiet/answer": (False, ANSWER),
    "ask/answer": (False, ANSWER),
    "ack/answer": (False, ANSWER),
}
BASE = "ocelli/home/board"
FRIGATE = {
    "available": (False, texts("online", "stopped")),
    "events": (False, changing(FRIGATE_OBJECT)),
    "reviews": (False, changing(REVIEW)),
    "tracked_object_update": (False, shape({"type": texts("description"), "id": TEXT, "description": TEXT, "camera": TEXT})),
    "stats": (False, {"type": "object", "required": ["cameras", "service"]}),
    "<camera>/status/detect": (True, texts("online", "offline", "disabled")),
    "<camera>/enabled/state": (True, ON),
    "<camera>/review_status": (True, texts("NONE", "DETECTION", "ALERT")),
}
ALL = {f"{BASE}/{topic}": of for topic, of in BELOW.items()} | {f"cams/{topic}": of for topic, of in FRIGATE.items()}
ALL["homeassistant/device/ocelli_home_board/config"] = (True, DISCOVERY)


def compiled(topic):
    return re.compile("^" + re.sub(r"<\w+>", "[a-z0-9_]{1,48}", topic) + "$")


KNOWN = [(compiled(topic), topic, *of) for topic, of in ALL.items()]


def documented():
    """Topics of docs/mqtt.md's table below `ocelli/<site>/<device>`, the first of each row, and whether retained."""
    rows = re.findall(r"^\| `([^`]+)`[^|]*\|.*\| (yes|no) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {topic: retained == "yes" for topic, retained in rows}


def payload_fault(message, of):
    if of is JPEG:
        return None if message.payload[:3] == b"\xff\xd8\xff" and message.payload[-2:] == b"\xff\xd9" else "it is no JPEG"
    try:
        text = message.text()
        value = text if of.keys() == {"enum"} else json.loads(text)
    except ValueError as error:
        return str(error)
    fault = next(jsonschema_rs.validator_for(of).iter_errors(value), None)
    return fault and f"{'/'.join(map(str, fault.instance_path))}: {fault.message}"


# Home Assistant.

ENTITY = {
    "availability", "availability_mode", "availability_topic", "payload_available", "payload_not_available", "device_class", "enabled_by_default", "encoding",
    "entity_category", "entity_picture", "icon", "json_attributes_template", "json_attributes_topic", "name", "platform", "qos", "unique_id",
}
#: What each platform needs, and may have besides.
PLATFORMS = {
    "event": ({"state_topic", "event_types"}, {"value_template"}),
    "sensor": ({"state_topic"}, {"value_template", "unit_of_measurement", "state_class", "suggested_display_precision", "expire_after", "force_update", "options"}),
    "binary_sensor": ({"state_topic"}, {"value_template", "payload_on", "payload_off", "off_delay", "expire_after", "force_update"}),
    "image": ({"image_topic"}, {"content_type", "image_encoding"}),
    "switch": ({"command_topic"}, {"state_topic", "value_template", "command_template", "payload_on", "payload_off", "state_on", "state_off", "optimistic", "retain"}),
    "button": ({"command_topic"}, {"command_template", "payload_press", "retain"}),
    "text": ({"command_topic"}, {"command_template", "min", "max", "mode", "pattern", "retain", "state_topic", "value_template"}),
    "select": ({"command_topic", "options"}, {"command_template", "optimistic", "retain", "state_topic", "value_template"}),
}
DEVICE = {"configuration_url", "connections", "hw_version", "identifiers", "manufacturer", "model", "model_id", "name", "serial_number", "suggested_area", "sw_version", "via_device"}
BINARY_CLASSES = set(
    "battery battery_charging carbon_monoxide cold connectivity door garage_door gas heat light lock moisture motion moving occupancy opening plug power presence "
    "problem running safety smoke sound tamper update vibration window".split()
)
#: Classes of numbers that we might use, and their units.
UNITS = {
    "data_size": {"bit", "kbit", "Mbit", "Gbit", "B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"},
    "temperature": {"°C", "°F", "K"},
    "duration": {"d", "h", "min", "s", "ms"},
}
TEMPLATES = jinja2.Environment()


def rendered(template, payload):
    """As Home Assistant renders it."""
    text = payload.decode()
    try:
        value_json = json.loads(text)
    except ValueError:
        value_json = None
    return TEMPLATES.from_string(template).render(value=text, value_json=value_json)


def availability_faults(where, entries):
    for entry in entries:
        if set(entry) - {"topic", "payload_available", "payload_not_available", "value_template"} or not entry.get("topic", "").startswith(BASE):
            yield f"{where}: availability {entry}"
        for state, wanted in (("online", "online"), ("offline", "offline"), ("stopped", "offline")):
            # Home Assistant knows two.
            if rendered(entry.get("value_template", "{{ value }}"), state.encode()) != wanted:
                yield f"{where}: its availability does not understand `{state}`"


def component_faults(key, one, known):
    platform = one.get("platform")
    if platform not in PLATFORMS:
        yield f"{key}: the platform is {platform}"
        return
    if set(one) == {"platform"}:
        # So a component is taken out, which has to have been there.
        if known.get(key, {}).get("platform") != platform:
            yield f"{key}: it is taken out, and was not there"
        return
    needs, may = PLATFORMS[platform]
    if lacking := (needs | {"unique_id", "name"}) - set(one):
        yield f"{key}: a {platform} needs {sorted(lacking)}"
    if unknown := set(one) - needs - may - ENTITY:
        yield f"{key}: a {platform} has no {sorted(unknown)}"
    if not re.fullmatch("[a-zA-Z0-9_-]+", str(one.get("unique_id"))):
        yield f"{key}: its unique_id is {one.get('unique_id')}"
    if one.get("entity_category") not in ((None, "diagnostic") if platform in ("sensor", "binary_sensor") else (None, "diagnostic", "config")):
        yield f"{key}: its entity_category is {one['entity_category']}"
    kind, unit = one.get("device_class"), one.get("unit_of_measurement")
    if platform == "binary_sensor" and kind not in BINARY_CLASSES | {None} or platform == "sensor" and kind is not None and unit not in UNITS.get(kind, ()):
        yield f"{key}: a {platform} of device_class {kind} in {unit}"
    if one.get("state_class") not in (None, "measurement", "total", "total_increasing"):
        yield f"{key}: its state_class is {one['state_class']}"
    if one.get("availability_mode") not in (None, "all", "any", "latest"):
        yield f"{key}: its availability_mode is {one['availability_mode']}"
    if platform == "event" and not (one.get("event_types") and all(isinstance(kind, str) for kind in one["event_types"])):
        yield f"{key}: its event_types are {one.get('event_types')}"
    if platform == "image" and one.get("content_type", "image/jpeg") != "image/jpeg":
        yield f"{key}: its content_type is {one['content_type']}"
    if platform == "text" and not 0 <= one.get("min", 0) < one.get("max", 255) <= 255:
        yield f"{key}: a state has 255 characters at most"
    for name, topic in one.items():
        if name.endswith("_topic"):
            # What is asked ends with /set; what is told is a topic of ours.
            told = any(pattern.match(topic) for pattern, *_ in KNOWN)
            if not topic.startswith(f"{BASE}/") or name == "command_topic" and not topic.endswith("/set") or name != "command_topic" and not told:
                yield f"{key}: its {name} is {topic}"
    yield from availability_faults(key, one.get("availability", []))


def discovery_faults(payload, known):
    """Of one discovery message; `known` are the components of those before."""
    if set(payload) - {"device", "origin", "components", "availability", "availability_mode", "qos", "encoding"}:
        yield f"discovery has {sorted(payload)}"
    device, origin = payload.get("device", {}), payload.get("origin", {})
    if not device.get("identifiers") or not device.get("name") or set(device) - DEVICE:
        yield f"discovery: device is {device}"
    if not origin.get("name") or set(origin) - {"name", "sw_version", "support_url"}:
        yield f"discovery: origin is {origin}"
    if payload.get("qos") not in (0, 1, 2):
        yield f"discovery: qos is {payload.get('qos')}"
    if not payload.get("availability"):
        yield "discovery: nothing says whether the device is there"
    yield from availability_faults("discovery", payload.get("availability", []))
    components = payload.get("components", {})
    if not components:
        yield "discovery: no components"
    ids = Counter(one["unique_id"] for one in components.values() if "unique_id" in one)
    yield from (f"discovery: {one} is the unique_id of {count}" for one, count in ids.items() if count > 1)
    for key, one in components.items():
        yield from component_faults(key, one, known)
        if key in known and set(one) != {"platform"} and known[key].get("unique_id") != one.get("unique_id"):
            yield f"{key}: its unique_id was {known[key].get('unique_id')} and is {one.get('unique_id')}"


def state_fault(key, one, message):
    """What Home Assistant cannot make of a state."""
    try:
        state = rendered(one.get("value_template", "{{ value }}"), message.payload)
    except jinja2.TemplateError as error:
        return f"{key}: {error}"
    platform = one["platform"]
    if platform == "event":
        told = message.json().get("event_type")
        return None if told in one["event_types"] else f"{key}: event_type {told} was not announced"
    if platform == "sensor" and ("unit_of_measurement" in one or "state_class" in one):
        # What is not known is `None`, in every sensor.
        return None if state == "None" or re.fullmatch(r"-?\d+(\.\d+)?", state) else f"{key}: `{state}` is no number"
    allowed = {
        "binary_sensor": (one.get("payload_on", "ON"), one.get("payload_off", "OFF")),
        "switch": (one.get("state_on", "ON"), one.get("state_off", "OFF")),
        "select": one.get("options", ()),
    }.get(platform)
    if allowed is not None and state not in allowed:
        return f"{key}: its state is `{state}`"
    return f"{key}: its state has {len(state)} characters" if len(state) > 255 else None


def faults(messages):
    """What is wrong with a log, in the order in which it was published."""
    # Components, and keys of those that were taken out.
    found, known, gone = [], {}, set()
    held, uids, enveloped, last = {}, Counter(), Counter(), defaultdict(int)
    for message in messages:
        if message.asked:
            continue
        found_of = next(((topic, retained, of) for pattern, topic, retained, of in KNOWN if pattern.match(message.topic)), None)
        if found_of is None:
            found.append(f"{message.topic} is documented nowhere")
            continue
        topic, retained, of = found_of
        if message.retained != retained:
            found.append(f"{message.topic} is retained: {message.retained}")
        if message.qos != 1:
            found.append(f"{message.topic} is of QoS {message.qos}")
        if message.retained:
            held[message.topic] = message.payload
        if not message.payload:
            # So what was retained is forgotten, which only conditions are that were taken back.
            if "/condition/" not in message.topic:
                found.append(f"{message.topic} is empty")
            continue
        if of is DISCOVERY:
            payload = message.json()
            found += discovery_faults(payload, known)
            components = payload.get("components", {})
            found += (f"{key}: it went without being taken out" for key in known if key not in components and key not in gone)
            whole = {key: one for key, one in components.items() if set(one) > {"platform"}}
            known |= whole
            gone = (gone | set(components)) & set(known) - set(whole)
            continue
        if fault := payload_fault(message, of):
            found.append(f"{message.topic}: {fault}")
            continue
        for key, one in known.items():
            if one.get("state_topic") == message.topic and (fault := state_fault(key, one, message)):
                found.append(fault)
        if topic.endswith("/event"):
            event = message.json()
            uids[event["uid"]] += 1
            run, number = event["uid"].split("-")
            if uids[event["uid"]] == 1 and int(number) < last["number"]:
                found.append(f"{event['uid']} comes after {last['number']}")
            last["number"] = max(last["number"], int(number))
            if event["event_type"] != event["type"]:
                found.append(f"{event['uid']}: event_type is {event['event_type']}")
            if event["start"] and event["end"] and event["start"] > event["end"]:
                found.append(f"{event['uid']}: it ends before it begins")
        if topic.endswith("/cloudevent"):
            enveloped[message.json()["id"]] += 1
    found += (f"{uid} has {enveloped[uid]} envelopes and {count} events" for uid, count in uids.items() if enveloped[uid] != count)
    if not known:
        found.append("nothing was discovered")
    came = {message.topic for message in messages if not message.asked}
    for key, one in known.items():
        topics = {one[name] for name in ("state_topic", "image_topic") if name in one}
        # What is announced comes; attributes of an alert that never was aside.
        found += (f"{key}: nothing ever came in {topic}" for topic in topics - came)
        if key in gone:
            found += (f"{topic} stays after its condition has gone" for topic in topics | {one.get("json_attributes_topic")} if held.get(topic))
    return found
