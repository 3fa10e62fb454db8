"""The API against its own document: whatever is sent to any operation, what comes back is described there, and no server error."""

import json
import time
import urllib.request

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import content_type_conformance, not_a_server_error, response_headers_conformance, response_schema_conformance, status_code_conformance
from schemathesis.generation import GenerationMode

from conftest import PASSWORD, Program

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]

#: Of each operation: as many requests that its document allows, and half as many that it does not.
EXAMPLES = 60

#: These start a process for each request that makes sense.
SLOW_EXAMPLES = 20
SLOW = ("/api/probe", "/api/sources", "/api/ask", "/api/teach", "/api/vocabulary", "/api/digest", "/verdict", "/v1/chat/completions")

#: Without this chance makes no sense: what such a body has too, and what it has not.
SENSE = {
    "/api/conditions": ({"kinds": ["walk"], "absent": []}, ("for", "cooldown", "times", "zone")),
    "/api/events/{id}/verdict": ({"right": True}, ("was",)),
    "/api/teach": ({"last_s": 10}, ("from", "to", "kind")),
    "/api/zones": ({"corners": [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]}, ()),
    "/v1/chat/completions": ({"model": "ocelli", "messages": [{"role": "user", "content": "What happened today?"}]}, ("response_format",)),
}

#: They stay open: what comes at first is looked at.
STREAMS = ("/api/events/stream", "/api/cameras/{camera}/live")


def post(url, path, body, **headers):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request) as response:
        return json.load(response), response.headers


@pytest.fixture(scope="module")
def alone():
    """A program of its own, for users, tokens, conditions and sentences come and go; with a token, and events and a recording to name."""
    program = Program('live = true\npassword_file = "{folder}/password"\n')
    hello, headers = post(program.url, "/api/login", {"name": "admin", "password": PASSWORD})
    session = {"Cookie": headers["Set-Cookie"].split(";")[0], "X-CSRF-Token": hello["csrf"]}
    made, _ = post(program.url, "/api/tokens", {"name": "of-this-test", "role": "admin"}, **session)
    program.token = made["token"]
    get = lambda path: requests.get(program.url + path, headers={"Authorization": f"Bearer {program.token}"}, timeout=30).json()
    until = time.monotonic() + 120
    while not (get("/api/events?kind=alert")["events"] and get("/api/recordings")["recordings"]):
        assert time.monotonic() < until, program.said
        time.sleep(1)
    yield program
    program.end()


def real(program, case, number):
    """Names what is there in place of what is not."""
    get = lambda path: requests.get(program.url + path, headers={"Authorization": f"Bearer {program.token}"}, timeout=30).json()
    of = case.path_parameters or {}
    if "camera" in of:
        of["camera"] = "hall"
    if "id" in of:
        path = case.operation.path
        if "/recordings" in path:
            found = [one for one in get("/api/recordings?limit=200")["recordings"] if one["clip"] or "clip" not in path]
        else:
            found = get("/api/events?limit=200" + ("&kind=alert" if path.endswith("/ack") else ""))["events"]
        if found:
            of["id"] = found[number % len(found)]["id"]
    for where in (case.query, case.body):
        if isinstance(where, dict) and isinstance(where.get("camera"), str):
            where["camera"] = "hall"
    if isinstance(case.body, dict) and case.operation.path in SENSE:
        more, less = SENSE[case.operation.path]
        case.body.update(more)
        for name in less:
            case.body.pop(name, None)


def tried(program, operation, mode, examples, token, statuses):
    """Sends them, and notes which answers came."""

    @given(case=operation.as_strategy(generation_mode=mode), named=st.booleans(), number=st.integers(0, 199))
    @settings(max_examples=examples, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    def tries(case, named, number):
        if named and mode == GenerationMode.POSITIVE and token:
            real(program, case, number)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if operation.path in STREAMS:
            statuses.append(begun(program, case, headers))
            return
        response = case.call_and_validate(headers=headers, checks=CHECKS, timeout=120)
        statuses.append(response.status_code)

    tries()


def begun(program, case, headers):
    """The beginning of a stream, as the document has it."""
    wanted = case.as_transport_kwargs(base_url=program.url, headers=headers)
    with requests.request(**wanted, stream=True, timeout=30) as response:
        of = case.operation.definition.raw["responses"]
        assert str(response.status_code) in of and response.status_code < 500, (response.status_code, wanted)
        kinds = list(of[str(response.status_code)].get("content", {}))
        assert response.headers["Content-Type"].split(";")[0] in kinds, (response.headers, kinds)
        if response.status_code == 200:
            response.raw.read(1)
        else:
            assert response.json()["error"]["message"]
        return response.status_code


def test_the_document_is_true(alone):
    schema = schemathesis.openapi.from_url(f"{alone.url}/openapi.json")
    sums, paths, wrong = {}, set(), []
    operations = [result.ok() for result in schema.get_all_operations()]
    # What takes away comes last.
    for operation in sorted(operations, key=lambda operation: operation.method == "delete"):
        if operation.path == "/api/setup":
            continue
        open_to_chance = operation.body or operation.query or operation.path_parameters
        examples = 3 if not open_to_chance else SLOW_EXAMPLES if operation.path.endswith(SLOW) else EXAMPLES
        name, statuses = f"{operation.method.upper()} {operation.path}", []
        # One run tells all that is wrong.
        try:
            tried(alone, operation, GenerationMode.POSITIVE, examples, alone.token, statuses)
            if open_to_chance:
                tried(alone, operation, GenerationMode.NEGATIVE, examples // 2, alone.token, statuses)
        except (Exception, BaseExceptionGroup) as error:
            wrong.append(f"{name}: {error}")
        sums[name] = {status: statuses.count(status) for status in sorted(set(statuses))}
        print(name, sums[name], flush=True)
        paths.add(operation.path)
    assert not wrong, "\n".join(wrong)
    # Each gave what it is for at least once, but for those whose object nobody can guess, cameras, of which there is no other here, and lessons,
    # of which what was seen decides.
    guessed = ("/api/probe", "POST /api/sources", "/api/sources/{camera}", "DELETE /api/zones", "/api/login", "/{name}", "DELETE /api/vocabulary", "DELETE /api/conditions", "/verdict", "/api/teach")
    without = [name for name, of in sums.items() if not any(200 <= status < 300 for status in of) and not name.endswith(guessed)]
    assert not without, (without, sums)
    assert len(sums) >= 37 and all(path in paths for path in STREAMS), sums


def test_the_first_password_is_set_as_the_document_says():
    """Of a program that nobody has set up; all else of it is refused, in words."""
    fresh = Program("live = true\n")
    try:
        schema = schemathesis.openapi.from_url(f"{fresh.url}/openapi.json")
        operations = {(result.ok().method, result.ok().path): result.ok() for result in schema.get_all_operations()}
        first = operations.pop(("post", "/api/setup"))
        open_to_all, answers = [], {}
        for (method, path), operation in operations.items():
            if path not in STREAMS:
                tried(fresh, operation, GenerationMode.POSITIVE, 5, None, answers.setdefault(f"{method} {path}", []))
                if any(status < 400 for status in answers[f"{method} {path}"]):
                    open_to_all.append(path)
        # The page without what is in it, and whether there is anybody.
        page = {"/", "/icon.svg", "/manifest.json", "/ocelli.css", "/ocelli.js"}
        assert set(open_to_all) == page | {"/api/session", "/health"}, answers
        tried(fresh, first, GenerationMode.POSITIVE, 20, None, statuses := [])
        assert statuses.count(200) == 1, statuses
    finally:
        fresh.end()
