"""What the page looks like, beside pictures of how it should: each part, some light and some dark, on a phone or a wide screen or both.

The files of the page are shown as they are; what the program would answer is in `looks/answers.json`, taken from one that ran, so that
all is the same each time. `OCELLI_WEB_LOOKS=write` makes the pictures anew; look at them before you keep them.
"""

import io
import json
import os
import struct
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image, ImageChops, ImageDraw

from conftest import ROOT

LOOKS = Path(__file__).parent / "looks"
#: Where a picture goes that is not as it should be.
FOUND = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "looks"
PAGE = ROOT / "firmware/gateway/page"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".json": "application/json"}
#: A browser of another version draws edges of letters otherwise: so much may differ, by more than so many of 255 levels.
MOST_SHARE, LEVELS = 0.0004, 48
SIZES = {"phone": (390, 844), "wide": (1280, 900)}
HALL = "http://hall.test"


def live(across=14, side=16):
    """One message of the live view (firmware/gateway/src/canvas.rs): a ramp of colours, a dozen patches kept."""
    kept, sent = range(60, 72), range(across * across)
    head = struct.pack("<4HQ4H", across, side, len(kept), len(sent), 0, 0, across, 2, across - 2)
    pixels = b"".join(struct.pack("<H", p) + bytes((40 + 14 * (p % across), 60, 40 + 14 * (p // across))) * side * side for p in sent)
    body = head + struct.pack(f"<{len(kept)}H", *kept) + pixels
    return struct.pack("<I", len(body)) + body


def snapshot():
    """A room and somebody in it, as a recording's JPEG would be."""
    picture = Image.new("RGB", (224, 168), (176, 168, 150))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 118, 224, 168), fill=(112, 84, 62))
    draw.rectangle((150, 30, 200, 118), fill=(94, 104, 118))
    draw.ellipse((84, 40, 110, 66), fill=(214, 178, 150))
    draw.rounded_rectangle((76, 66, 118, 140), 12, fill=(52, 92, 140))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def answer(route, answers):
    request = urlsplit(route.request.url)
    if request.path == "/api/cameras/hall/live":
        route.fulfill(body=live(), content_type="application/octet-stream")
    elif request.path.endswith("/live"):
        route.fulfill(status=503, json={"error": {"message": "the camera is blind"}})
    elif request.path.endswith("/snapshot.jpg"):
        route.fulfill(body=snapshot(), content_type="image/jpeg")
    elif request.path == "/api/events/stream":
        route.fulfill(body="retry: 3600000\n\n", content_type="text/event-stream")
    elif request.path in answers:
        route.fulfill(json=answers[request.path])
    else:
        file = PAGE / (request.path.strip("/") or "index.html")
        route.fulfill(path=file, content_type=KINDS[file.suffix])


@pytest.fixture
def shown(browser):
    """Opens the page: shown("wide", "dark", {"/api/session": ...} of other answers)."""
    contexts = []

    def of(size, scheme, others=()):
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, timezone_id="Europe/Berlin", locale="en-GB", reduced_motion="reduce")
        contexts.append(context)
        answers = json.loads((LOOKS / "answers.json").read_text()) | dict(others)
        page = context.new_page()
        page.clock.set_fixed_time("2026-11-27T20:30:00Z")
        page.route("**/*", lambda route: answer(route, answers))
        page.goto(HALL)
        page.add_style_tag(content="body, button, input, select { font-family: 'DejaVu Sans' !important }")
        return page

    yield of
    for context in contexts:
        context.close()


def looks(page, name):
    FOUND.mkdir(parents=True, exist_ok=True)
    wanted, found = LOOKS / f"{name}.png", FOUND / f"{name}.png"
    page.screenshot(path=found, full_page=True, animations="disabled", caret="hide")
    if os.environ.get("OCELLI_WEB_LOOKS") == "write":
        Image.open(found).convert("RGB").save(wanted, optimize=True)
        return
    assert (share := differs(Image.open(wanted), Image.open(found))) <= MOST_SHARE, (
        f"{share:.2%} of {found} differ from {wanted.relative_to(ROOT)}; if it should look so, OCELLI_WEB_LOOKS=write keeps it"
    )


def pictures(page):
    """All that are on the page, those below the edge of the window, too: they are loaded when they come near it."""
    for picture in page.locator("img[loading=lazy]").all():
        picture.scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth)")


def differs(one, other):
    """Share of pixels that differ; all of them where the sizes do."""
    if one.size != other.size:
        return 1.0
    apart = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).split()
    most = ImageChops.lighter(ImageChops.lighter(apart[0], apart[1]), apart[2]).histogram()
    return sum(most[LEVELS + 1 :]) / (one.width * one.height)


def to(page, part):
    page.get_by_role("navigation").get_by_role("link", name=part).click()
    page.wait_for_selector(f"oc-{part.lower()}")


@pytest.mark.parametrize("size, scheme", [("phone", "light"), ("wide", "dark")])
def test_now(shown, size, scheme):
    page = shown(size, scheme)
    page.wait_for_selector("oc-live[data-painted]")
    page.locator("oc-now li").nth(5).wait_for()
    pictures(page)
    looks(page, f"now-{size}-{scheme}")


@pytest.mark.parametrize("size, scheme", [("phone", "dark"), ("wide", "light")])
def test_past(shown, size, scheme):
    page = shown(size, scheme)
    to(page, "Past")
    page.locator("oc-past li").nth(5).wait_for()
    pictures(page)
    looks(page, f"past-{size}-{scheme}")


def test_recordings(shown):
    page = shown("phone", "light")
    to(page, "Recordings")
    page.locator("oc-recordings li").nth(3).wait_for()
    pictures(page)
    looks(page, "recordings-phone-light")


def test_a_picture_is_opened(shown):
    page = shown("phone", "dark")
    to(page, "Past")
    page.get_by_role("button", name="Picture of hall at 21:17:45").click()
    page.get_by_role("dialog").get_by_role("img").wait_for()
    pictures(page)
    looks(page, "picture-phone-dark")


def test_an_answer(shown):
    page = shown("phone", "light")
    to(page, "Ask")
    page.get_by_label("Question").fill("when did somebody last walk?")
    page.keyboard.press("Enter")
    page.locator(".answer").wait_for()
    looks(page, "ask-phone-light")


@pytest.mark.parametrize("size, scheme", [("phone", "light"), ("wide", "dark")])
def test_words(shown, size, scheme):
    page = shown(size, scheme)
    to(page, "Words")
    page.locator("oc-words tbody tr").nth(5).wait_for()
    page.locator("ul.conditions li").nth(1).wait_for()
    looks(page, f"words-{size}-{scheme}")


@pytest.mark.parametrize("size, scheme", [("phone", "light"), ("wide", "dark"), ("phone", "dark"), ("wide", "light")])
def test_cameras(shown, size, scheme):
    answers = json.loads((LOOKS / "answers.json").read_text())
    page = shown(size, scheme, {"/api/version": answers["/api/version"] | {"cameras": ["hall", "porch"]}})
    to(page, "Cameras")
    page.get_by_text("It is added with the next start.").wait_for()
    hall = page.locator("oc-camera").first
    hall.get_by_role("button", name="Change the zone the stairs of hall").click()
    hall.locator("oc-live[data-painted]").wait_for()
    page.evaluate("scrollTo(0, 0)")
    looks(page, f"cameras-{size}-{scheme}")


@pytest.mark.parametrize("size, scheme", [("phone", "dark"), ("wide", "light")])
def test_system(shown, size, scheme):
    page = shown(size, scheme)
    to(page, "System")
    page.get_by_role("meter").wait_for()
    page.get_by_text("vera", exact=True).wait_for()
    looks(page, f"system-{size}-{scheme}")


@pytest.mark.parametrize("claimed, name", [(False, "first-run"), (True, "login")])
def test_who_is_not_logged_in(shown, claimed, name):
    page = shown("phone", "dark", {"/api/session": {"claimed": claimed, "name": None, "role": None, "cameras": None, "csrf": None}})
    page.get_by_label("Password").wait_for()
    looks(page, f"{name}-phone-dark")


def test_another_look_is_told_from_this():
    """A letter more differs, a level of a few does not."""
    one = Image.new("RGB", (390, 844), (250, 250, 250))
    near, other = one.point(lambda level: level - 10), one.copy()
    other.paste((20, 20, 20), (100, 100, 140, 140))
    assert differs(one, near) == 0 and differs(one, other) > MOST_SHARE and differs(one, one.crop((0, 0, 390, 843))) == 1
