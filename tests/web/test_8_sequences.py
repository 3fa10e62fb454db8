"""Requests as programs send them that were not at hand, in their order, replayed from `sequences`: what each answer must be stands beside
its request, as a JSON schema. What they send was read in their source, at the commit that each file names; nothing of it is copied."""

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path

import jsonschema_rs  # of schemathesis
import pytest

FOLDER = Path(__file__).parent / "sequences"
LONG = "Say in order what happens in these pictures of the hall, from the first to the last, and how much of a threat it is. " * 12


def filled(value, known):
    """With what the file leaves open in its texts."""
    if isinstance(value, str):
        for name, text in known.items():
            value = value.replace(f"{{{name}}}", text)
        return value
    if isinstance(value, dict):
        return {key: filled(of, known) for key, of in value.items()}
    return [filled(of, known) for of in value] if isinstance(value, list) else value


def fits(schema, value, said):
    error = next(jsonschema_rs.iter_errors(schema, value), None)
    assert error is None, f"{said}: {error}\n{value}"


def sent(program, request, known):
    body = json.dumps(filled(request["body"], known)).encode() if "body" in request else None
    headers = filled(request["headers"], known)
    wanted = urllib.request.Request(program.url + request["path"], body, headers, method=request["method"])
    try:
        with urllib.request.urlopen(wanted, timeout=120) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def of_stream(text, said):
    """The content of a stream of chunks, and what it says of tokens."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert lines[-1] == "[DONE]", said
    chunks = [json.loads(line) for line in lines[:-1]]
    usage = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert usage and usage[-1]["completion_tokens"] > 0 and chunks[-1]["choices"] == [], said
    assert any(choice["finish_reason"] == "stop" for chunk in chunks for choice in chunk["choices"]), said
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_each_request_is_answered_as_its_client_needs_it(program, token, path):
    picture = {name: base64.b64encode((FOLDER / f"{name}.jpg").read_bytes()).decode() for name in ("hall", "grey")}
    known = {"token": token, "basic": base64.b64encode(f"frigate:{token}".encode()).decode(), "long": LONG, **picture}
    requests = json.loads(path.read_text())["requests"]
    for request in requests:
        said = f"{path.stem}: {request['does']}"
        status, text = sent(program, request, known)
        assert status == request["status"], f"{said}: {text}"
        if request.get("streams"):
            assert of_stream(text, said), said
            continue
        answer = json.loads(text)
        fits(request.get("answer", {}), answer, said)
        if status != 200 or request["method"] == "GET":
            continue
        choice = answer["choices"][0]
        assert choice["finish_reason"] == "stop" and choice["message"]["role"] == "assistant", said
        content = choice["message"]["content"]
        fits(request.get("content", {}), content, said)
        if request.get("content_fits_its_schema"):
            fits(request["body"]["response_format"]["json_schema"]["schema"], json.loads(content), said)
    assert len(requests) >= 6
