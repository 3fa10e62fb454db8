"""OpenAI's own client against the gateway, and what a video recorder asks first."""

import base64
import json
import subprocess
import urllib.request

import openai
import pytest

from conftest import ROOT


@pytest.fixture(scope="module")
def client(program, token):
    return openai.OpenAI(base_url=f"{program.url}/v1", api_key=token, timeout=120, max_retries=0)


@pytest.fixture(scope="module")
def pictures():
    clip = ROOT / "tests/clips/demo.mp4"
    grab = ["ffmpeg", "-loglevel", "error", "-ss", "5", "-i", str(clip), "-frames:v", "1", "-f", "mjpeg", "-"]
    jpeg = subprocess.run(grab, check=True, capture_output=True).stdout
    return [{"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}", "detail": "low"}}] * 3


def asked(client, content, **more):
    return client.chat.completions.create(model="ocelli", messages=[{"role": "user", "content": content}], **more)


def test_the_model_is_listed_as_a_recorder_looks_for_it(client, program, token):
    model = client.models.list().data[0]
    assert model.id == "ocelli" and "image" in model.model_extra["architecture"]["input_modalities"]
    request = urllib.request.Request(f"{program.url}/props", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as response:
        props = json.load(response)
    assert props["modalities"]["vision"] and props["default_generation_settings"]["n_ctx"] > 0 and props["media_marker"]


def test_a_camera_is_asked_what_it_saw(client):
    content = [{"type": "text", "text": "What happened?"}, {"type": "video_url", "video_url": {"url": "camera://hall?last=10m"}}]
    answer = asked(client, content)
    words = answer.choices[0].message.content
    assert len(words) > 10 and answer.choices[0].finish_reason == "stop" and answer.usage.total_tokens > 0
    stream = asked(client, content, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_pictures_are_described_in_the_shape_that_is_asked_for(client, pictures):
    text = {"type": "string", "minLength": 20, "maxLength": 200}
    schema = {
        "type": "object",
        "properties": {
            "observations": {"type": "array", "minItems": 3, "maxItems": 8, "items": text},
            "scene": {"type": "string", "minLength": 150, "maxLength": 600},
            "title": {"type": "string", "maxLength": 80},
            "shortSummary": {"type": "string", "minLength": 70, "maxLength": 140},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "potential_threat_level": {"type": "integer", "minimum": 0, "maximum": 2},
            "other_concerns": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
            "time": {"type": "string"},
        },
        "required": ["observations", "scene", "title", "shortSummary", "confidence", "potential_threat_level", "other_concerns", "time"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "review", "strict": True, "schema": schema}}
    answer = asked(client, [{"type": "text", "text": "Describe it."}, *pictures], response_format=wanted)
    review = json.loads(answer.choices[0].message.content)
    assert set(review) == set(schema["properties"])
    assert 3 <= len(review["observations"]) <= 8 and all(20 <= len(text) <= 200 for text in review["observations"])
    assert 150 <= len(review["scene"]) <= 600 and 70 <= len(review["shortSummary"]) <= 140 and len(review["title"]) <= 80
    assert 0 <= review["confidence"] <= 1 and review["potential_threat_level"] in (0, 1, 2)


def test_what_cannot_be_done_is_an_error_of_the_client(client, program):
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.BadRequestError):
        asked(client, [{"type": "image_url", "image_url": {"url": "https://example.org/x.jpg"}}])
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{program.url}/v1", api_key="wrong", max_retries=0).models.list()
