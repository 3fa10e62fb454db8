"""Conditions of the page, as somebody would send them who means harm or does not know: what is refused changes nothing, and what is kept is what is in force."""

import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

ZONE = [[0, 0], [1, 0], [1, 1]]


@pytest.fixture(scope="module")
def call(program, token):
    def call(method, path="", body=None, headers=None):
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"} | (headers or {})
        request = urllib.request.Request(f"{program.url}/api/conditions{path}", sent, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    return call


@pytest.fixture(autouse=True)
def nothing_else(call, program):
    """Each begins without conditions of its own, and what is listed is what is kept."""
    for one in added(call):
        assert call("DELETE", of(one["text"]))[0] == 200
    yield
    file = program.folder / "conditions.jsonl"
    kept = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    assert [one["text"] for one in kept] == [one["text"] for one in added(call)]


def of(text):
    return "?" + urllib.parse.urlencode({"text": text})


def added(call):
    return [one for one in call("GET")[1]["conditions"] if one["own"]]


def wish(**keys):
    return {"text": "x", "kinds": ["walk"]} | keys


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"text":"\\ud800","kinds":["walk"]}', b'{"text":"x","text":"y","kinds":["walk"]}', b"[" * 60_000,
        wish(text=""), wish(text=" "), wish(text="x "), wish(text="a\nb"), wish(text="a\u202eb"), wish(text="a\x00b"), wish(text="x" * 5000), wish(text=7), wish(text=None),
        wish(text="still not acknowledged (1): fire"), wish(text="Somebody is in the hall"),
        wish(kinds=[]), wish(kinds=["flies"]), wish(kinds=["walk"] * 65), wish(kinds="walk"), wish(kinds=[None]), wish(kinds=["y" * 50_000]), wish(absent=["walk"]),
        wish(zone=[[0, 0]]), wish(zone=[[0, 0], [1, 1]]), wish(zone=[[0.5, 0.5]] * 3), wish(zone=[[0, 0], [0.5, 0.5], [1, 1]]), wish(zone=[[0, 0], [1, 0], [1, 1.01]]),
        wish(zone=[[0, 0], [1, 0], [1, -1e-9]]), wish(zone=[[0, 0], [1, 0], [1, 1e39]]), wish(zone=[[0, 0, 0]] * 3), wish(zone=[[0, 0], [1, 0], ["1", 1]]),
        wish(zone=[[n % 2, n / 33] for n in range(33)]), wish(zone=[[0, 0], [1, 1], [1, 0], [0, 1]]), wish(zone=ZONE[0]), wish(zone={}),
        b'{"text":"x","kinds":["walk"],"zone":[[0,0],[1,0],[NaN,1]]}',
        wish(times=["25:00-26:00"]), wish(times=["22:00"]), wish(times=["mon"]), wish(times=["00:00-24:00"] * 17), wish(times=["x" * 50_000]),
        wish(**{"for": "soon"}), wish(**{"for": "-1s"}), wish(**{"for": "99999999999999999999s"}), wish(**{"for": "all"}), wish(cooldown="1e9y"), wish(cooldown=5),
        wish(severity="deadly"), wish(camera="cellar"), wish(camera="../hall"), wish(when="somebody walks"), wish(after=["enter"]), wish(file="/etc/passwd"),
    ],
    ids=lambda body: str(body)[:40].replace("/", " "),
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_a_line_and_changes_nothing(call, body):
    status, said = call("POST", body=body)
    assert 400 <= status < 500, said
    assert len(said["error"]["message"]) < 5000 and "\n" not in said["error"]["message"], said
    assert added(call) == []


@pytest.mark.parametrize("text", ["Küche: 厨房 🐈 ist leer", "50% & more + a=b?#", "<img src=x onerror=alert(1)>", "\"quoted\\", "{{ 7*7 }}", "é", "e\u0301", "x" * 200, "../../etc", "-1"])
def test_names_of_any_script_are_kept_as_they_are(call, text):
    assert call("POST", body=wish(text=text, zone=ZONE))[0] == 200
    assert [one["text"] for one in added(call)] == [text]
    assert call("DELETE", of(text))[0] == 200
    assert call("DELETE", of(text))[0] == 404


def test_ten_thousand_fill_32_places_and_no_more(call):
    def put(number):
        return call("POST", body=wish(text=f"number {number}"))[0]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(put, range(10_000)))
    assert statuses.count(200) == 32 and statuses.count(400) == 10_000 - 32, {status: statuses.count(status) for status in set(statuses)}
    assert len(added(call)) == 32
    assert put(int(added(call)[0]["text"].split()[1])) == 200, "one that is there can be changed"


def test_two_tabs_leave_one_of_both_and_never_a_half(call, program):
    begun = threading.Barrier(8)

    def tab(number):
        begun.wait()
        return [call("DELETE", of("shared")) if turn % 5 == 4 else call("POST", body=wish(text="shared", cooldown=f"{number + 1}s")) for turn in range(20)]

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for tab in pool.map(tab, range(8)) for answer in tab]
    assert {status for status, _ in answers} <= {200, 404}
    call("POST", body=wish(text="shared", cooldown="9s"))
    kept = json.loads((program.folder / "conditions.jsonl").read_text())
    assert (kept["cooldown"], added(call)[0]["cooldown"]) == ("9s", "9s")


def test_where_the_file_cannot_be_written_all_stays_as_it_was(call, program):
    assert call("POST", body=wish())[0] == 200
    in_the_way = program.folder / "conditions.jsonl.new"
    in_the_way.mkdir()
    try:
        for change in (lambda: call("POST", body=wish(text="y")), lambda: call("DELETE", of("x"))):
            status, said = change()
            assert status == 503 and "cannot be written" in said["error"]["message"], said
        assert [one["text"] for one in added(call)] == ["x"]
    finally:
        in_the_way.rmdir()
    in_the_way.symlink_to("/dev/full")
    status, said = call("POST", body=wish(text="y"))
    assert status == 503 and "No space left" in said["error"]["message"], said
    assert call("POST", body=wish(text="y"))[0] == 200, "what was half written is out of the way"


def test_what_somebody_writes_into_the_file_is_not_overwritten(call, program):
    file = program.folder / "conditions.jsonl"
    assert call("POST", body=wish())[0] == 200
    before, times = file.read_text(), file.stat()
    file.write_text(before + "by hand\n")
    status, said = call("DELETE", of("x"))
    assert status == 400 and "the next start reads it" in said["error"]["message"], said
    assert file.read_text() == before + "by hand\n"
    # As if it had never been, for what comes after.
    file.write_text(before)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_only_an_admin_of_all_cameras_changes_them_and_no_other_site_can(call, program, token):
    def post(path, body):
        request = urllib.request.Request(program.url + path, json.dumps(body).encode(), {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    for name, role, cameras in (("watcher", "viewer", None), ("doer", "operator", None), ("warden", "admin", ["hall"])):
        made = post("/api/tokens", {"name": name, "role": role} | ({"cameras": cameras} if cameras else {}))
        who = {"Authorization": f"Bearer {made['token']}"}
        assert call("GET", headers=who)[0] == 200
        assert call("POST", body=wish(), headers=who)[0] == 403
        assert call("DELETE", of("x"), headers=who)[0] == 403
    assert call("POST", body=wish(), headers={"Authorization": "Bearer none"})[0] == 401
    # A browser that is logged in, on a page of somebody else: the cookie comes along, and nothing else does.
    login = urllib.request.Request(f"{program.url}/api/login", json.dumps({"name": "admin", "password": "correct horse battery"}).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(login, timeout=60) as response:
        cookie = response.headers["Set-Cookie"].split(";")[0]
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        status, said = call("POST", body=wish(), headers={"Cookie": cookie, "Authorization": "", "Content-Type": kind, "Origin": "http://evil.example"})
        assert status in (401, 403, 415), said
    assert added(call) == []
