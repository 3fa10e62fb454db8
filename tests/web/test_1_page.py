"""The page in a real browser: a first run, every part, by keyboard, in the dark and on a phone."""

import json
import os
from pathlib import Path

import pytest

from conftest import PASSWORD

#: Where pictures of the page go, if somebody wants to look at them.
SHOTS = os.environ.get("OCELLI_WEB_SHOTS")


@pytest.fixture(scope="module")
def page(program, browser):
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="light")
    page = context.new_page()
    page.wrong = []
    page.on("console", lambda message: page.wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((program.url, "data:")) else page.wrong.append(request.url))
    page.set_default_timeout(60_000)
    yield page
    context.close()


def shot(page, name):
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def part(page, name):
    page.get_by_role("navigation").get_by_role("link", name=name).click()
    page.wait_for_selector(f"oc-{name.lower()}")


def until(page, expression):
    """Waits until it is so. Polling inside of the page would evaluate text there, which its policy forbids."""
    for _ in range(300):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(200)
    raise AssertionError(expression)


def named(page):
    """Controls that nobody can name: a screen reader would say nothing of them."""
    return page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, select")].filter((node) => node.offsetParent
            && !(node.ariaLabel || node.textContent.trim() || node.labels?.length || node.querySelector("img")?.alt)).map((node) => node.outerHTML)"""
    )


def test_the_first_run_sets_a_password(page, program):
    page.goto(program.url)
    page.get_by_label("Password").fill("short")
    shot(page, "first-run")
    assert page.evaluate("!document.querySelector('form').checkValidity()")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("oc-now")
    page.get_by_text("connected", exact=True).wait_for()


def test_now_shows_what_the_model_sees_and_says(page):
    page.wait_for_selector("oc-live[data-painted]")
    painted = page.evaluate(
        """() => { const canvas = document.querySelector("oc-live canvas");
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return new Set(data).size; }"""
    )
    assert painted > 50, "a picture, and not one colour"
    page.wait_for_function("document.querySelectorAll('oc-now ol.events li:not(.empty)').length >= 2")
    page.wait_for_function("document.querySelector('.saying').textContent.length > 5")
    overlay = page.get_by_label("show which patches were kept")
    overlay.uncheck()
    assert page.locator("oc-live canvas").nth(1).is_hidden()
    overlay.check()
    assert not named(page)
    shot(page, "now-phone-light")


def test_an_alert_is_acknowledged_and_a_narration_taught(page, program):
    part(page, "Past")
    page.locator("oc-past li").first.wait_for()
    page.get_by_label("What", exact=True).select_option("alert")
    acknowledge = page.get_by_role("button", name="Acknowledge alert")
    # The clip's first alert may be to come.
    for _ in range(60):
        page.get_by_role("button", name="Search").click()
        page.wait_for_timeout(1000)
        if acknowledge.count():
            break
    acknowledge.first.wait_for()
    shot(page, "past-phone-light")
    acknowledge.first.click()
    page.get_by_text("acknowledged", exact=False).first.wait_for()
    page.get_by_label("What", exact=True).select_option("narration")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="is right").first.click()
    page.locator("#note", has_text="learnt").wait_for()
    page.get_by_role("button", name="is wrong").first.click()
    page.get_by_label("What was it?").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert page.locator(".strip i").count() > 0 and page.locator(".strip").get_attribute("aria-label")
    assert not named(page)
    assert "/ack" in (program.folder / "audit").read_text()


def search(page):
    """Searches, and waits for what was found with its pictures."""
    page.locator("#note").evaluate("node => { node.textContent = ''; }")
    page.get_by_role("button", name="Search").click()
    page.locator("#note", has_text="events").wait_for()


def test_a_line_has_a_small_picture_of_what_was_recorded_which_opens_it(page, program):
    part(page, "Past")
    page.get_by_label("What", exact=True).select_option("alert")
    for _ in range(60):
        page.get_by_role("button", name="Search").click()
        page.wait_for_timeout(1000)
        if page.locator("oc-past .thumb img").count():
            break
    page.get_by_label("What", exact=True).select_option("")
    search(page)
    line = page.locator("oc-past li.alert.pictured").last
    picture = line.get_by_role("img")
    picture.scroll_into_view_if_needed()
    until(page, "[...document.querySelectorAll('.thumb img')].some((image) => image.complete && image.naturalWidth === 224)")
    assert picture.get_attribute("loading") == "lazy"
    assert picture.get_attribute("alt").startswith("Picture of hall at ") and picture.get_attribute("alt").endswith("Somebody is in the hall")
    # Narrations are not recorded here, and have neither a picture nor room for one.
    assert page.locator("oc-past li.pictured").count() == page.locator("oc-past li.alert .thumb").count()
    assert not named(page)
    shot(page, "past-pictures-phone-light")
    number = picture.get_attribute("src").split("/")[3]
    for _ in range(60):
        if (program.folder / f"recordings/{int(number):08}.mp4").exists():
            break
        page.wait_for_timeout(500)
    opens = line.locator(".thumb button")
    opens.focus()
    page.keyboard.press("Enter")
    until(page, "document.querySelector('dialog video')?.currentTime > 0.2")
    assert "Somebody is in the hall" in page.get_by_role("dialog").inner_text()
    assert not named(page)
    shot(page, "picture-opens-phone-light")
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert opens.evaluate("node => node === document.activeElement"), "who closes it is where they were"
    # The bounds take it away meanwhile: its line stays as high as it was, and no broken picture is in it.
    before = line.bounding_box()["height"]
    for kind in ("json", "jpg", "mp4"):
        (program.folder / f"recordings/{int(number):08}.{kind}").unlink()
    page.keyboard.press("Enter")
    page.locator("#note", has_text=f"there is no recording {number}").wait_for()
    assert line.locator("img").count() == 0 and line.bounding_box()["height"] == before
    identity = line.get_attribute("id")
    search(page)
    page.locator(f"#{identity}:not(.pictured)").wait_for()
    assert not [line for line in page.wrong if "404" not in line]
    page.wrong.clear()


def test_what_is_told_now_gets_its_picture(page):
    part(page, "Now")
    page.wait_for_selector("oc-live[data-painted]")
    known = {item.get_attribute("id") for item in page.locator("oc-now li.alert").all()}
    for _ in range(120):
        fresh = [item for item in page.locator("oc-now li.alert").all() if item.get_attribute("id") not in known]
        if fresh:
            break
        page.wait_for_timeout(500)
    identity = fresh[0].get_attribute("id")
    page.locator(f"#{identity} .thumb").wait_for(state="attached")
    before = page.locator(f"#{identity}").bounding_box()["height"]
    page.locator(f"#{identity} .thumb img").wait_for()
    assert page.locator(f"#{identity}").bounding_box()["height"] == before, "its room was there"


def test_a_recording_plays_is_saved_and_deleted(page, program):
    part(page, "Recordings")
    # One is whole two seconds after its last event.
    for _ in range(60):
        if page.get_by_role("button", name="Play recording").count():
            break
        page.wait_for_timeout(1000)
        page.reload()
        page.wait_for_selector("oc-recordings")
    until(page, "[...document.querySelectorAll('.films img')].every((image) => image.complete && image.naturalWidth === 224)")
    shot(page, "recordings-phone-light")
    play = page.get_by_role("button", name="Play recording").last
    number = play.get_attribute("aria-label").split()[-1]
    play.click()
    until(page, "document.querySelector('video')?.currentTime > 0.5 && document.querySelector('video').videoWidth === 224")
    # What is shown are pictures, and not one colour.
    colours = page.evaluate(
        """() => { const film = document.querySelector("video"), canvas = document.createElement("canvas");
            canvas.width = film.videoWidth; canvas.height = film.videoHeight;
            canvas.getContext("2d").drawImage(film, 0, 0);
            return new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size; }"""
    )
    assert colours > 50
    shot(page, "recording-plays-phone-light")
    with page.expect_download() as saved:
        page.get_by_role("link", name=f"Save recording {number}", exact=True).click()
    assert saved.value.path().read_bytes()[4:8] == b"ftyp"
    page.once("dialog", lambda question: question.accept())
    page.get_by_role("button", name=f"Delete recording {number}", exact=True).click()
    page.locator("#note", has_text="Deleted.").wait_for()
    assert not (program.folder / f"recordings/{int(number):08}.mp4").exists()
    assert not named(page)
    audit = (program.folder / "audit").read_text()
    assert f"GET /api/recordings/{number}/clip.mp4" in audit and f"DELETE /api/recordings/{number}" in audit


def test_a_question_is_answered_with_its_evidence(page):
    part(page, "Ask")
    page.get_by_label("Question").fill("when did somebody last walk?")
    page.keyboard.press("Enter")
    page.locator(".answer").wait_for()
    assert len(page.locator(".answer").inner_text()) > 10
    page.get_by_role("button", name="Today").click()
    page.get_by_text("events", exact=False).first.wait_for()
    assert not named(page)
    shot(page, "ask-phone-light")


def test_words_are_listed_added_and_taken_back(page):
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 1280, "height": 900})
    part(page, "Words")
    page.locator("oc-words tbody tr").first.wait_for()
    page.get_by_label("A sentence of yours").fill("the postman rings")
    page.get_by_role("button", name="Add").click()
    taken = page.get_by_role("button", name="Take back: the postman rings")
    taken.wait_for()
    shot(page, "words-wide-dark")
    # On a phone, too, all of it can be seen.
    page.set_viewport_size({"width": 390, "height": 844})
    box, table = taken.bounding_box(), page.locator("oc-words .wide").bounding_box()
    assert box["x"] + box["width"] <= table["x"] + table["width"], (box, table)
    assert page.evaluate("document.querySelector('oc-words .wide').scrollWidth <= document.querySelector('oc-words .wide').clientWidth")
    page.set_viewport_size({"width": 1280, "height": 900})
    assert not named(page)
    taken.click()
    taken.wait_for(state="detached")


def test_a_condition_is_added_fires_and_is_acknowledged(page, program):
    part(page, "Words")
    told = "Somebody walks in my part of the hall"
    page.get_by_label("What is told").fill(told)
    page.get_by_label("What is seen, one or several").select_option(["walk", "enter", "stand"])
    page.get_by_label("For how long").fill("0s")
    page.get_by_label("Quiet after its end").fill("0s")
    page.locator("form", has_text="A condition of yours").get_by_label("How much it matters").select_option("notice")
    page.get_by_role("button", name="Watch for it").click()
    kept = page.locator("ul.conditions li", has_text=told)
    kept.wait_for()
    assert json.loads((program.folder / "conditions.jsonl").read_text())["text"] == told
    assert not named(page)
    shot(page, "conditions-wide-dark")
    part(page, "Past")
    page.get_by_label("What", exact=True).select_option("alert")
    acknowledge = page.locator("oc-past li", has_text=told).get_by_role("button", name="Acknowledge alert")
    for _ in range(60):
        page.get_by_role("button", name="Search").click()
        page.wait_for_timeout(1000)
        if acknowledge.count():
            break
    acknowledge.first.click()
    page.locator("oc-past li", has_text=told).get_by_text("acknowledged", exact=False).first.wait_for()
    assert "POST /api/conditions" in (program.folder / "audit").read_text()


def test_a_condition_gets_a_zone_and_is_taken_back(page, program):
    part(page, "Words")
    file = program.folder / "conditions.jsonl"
    told = json.loads(file.read_text())["text"]
    page.get_by_role("button", name=f"Change: {told}").click()
    page.get_by_text("Only where it moves in a part of the picture").click()
    page.wait_for_selector("oc-zone oc-live[data-painted]")
    ink = page.locator("oc-zone canvas").last
    box = ink.bounding_box()
    # The picture has bars above and below: what is pressed on in its middle half is in it.
    for x, y in ((0.5, 0.4), (0.9, 0.4), (0.9, 0.6)):
        ink.click(position={"x": x * box["width"], "y": y * box["height"]})
    written = page.get_by_label("Corners: from the left").input_value()
    assert [corner.split(",")[0] for corner in written.split()] == ["50", "90", "90"], written
    shot(page, "zone-wide-dark")
    page.get_by_role("button", name="Watch for it").click()
    page.locator("ul.conditions li", has_text="in its zone").wait_for()
    zone = json.loads(file.read_text())["zone"]
    assert len(zone) == 3 and zone[0][0] == pytest.approx(0.5, abs=0.01) and zone[2][1] > zone[0][1]
    page.get_by_label("Corners: from the left").fill("50,0 200,0 10,10")
    assert not page.get_by_label("Corners: from the left").evaluate("node => node.checkValidity()")
    page.get_by_role("button", name="No zone").click()
    # What the program refuses is told, and changes nothing.
    page.get_by_label("What is told").fill("Somebody is in the hall")
    page.get_by_label("What is seen, one or several").select_option(["walk"])
    page.get_by_role("button", name="Watch for it").click()
    page.locator("#note", has_text="is a condition of the config").wait_for()
    page.get_by_role("button", name=f"Take back the condition: {told}").click()
    page.locator("ul.conditions li", has_text=told).wait_for(state="detached")
    assert file.read_text() == ""
    assert not named(page)


def test_the_system_shows_memory_and_people(page):
    part(page, "System")
    meter = page.get_by_role("meter")
    meter.wait_for()
    assert int(meter.get_attribute("aria-valuenow")) > 1 << 20
    page.get_by_text("narrator", exact=True).first.wait_for()
    page.get_by_role("button", name="Add a user").click()
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill("vera")
    page.get_by_role("dialog").get_by_label("Password").fill(PASSWORD)
    page.get_by_role("dialog").get_by_role("button", name="Do it").click()
    page.get_by_role("button", name="Remove user vera").wait_for()
    assert not named(page)
    shot(page, "system-wide-dark")
    part(page, "Now")
    page.wait_for_selector("oc-live[data-painted]")
    shot(page, "now-wide-dark")


def test_the_keyboard_reaches_everything(page):
    page.reload()
    page.wait_for_selector("oc-now")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
    assert reached[0] == "To the content" and {"Now", "Past", "Recordings", "Ask", "Words", "System"} <= set(reached)
    page.get_by_role("link", name="Past").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("oc-past")
    assert page.evaluate("document.activeElement.id") == "main"


def test_who_logs_out_sees_nothing_and_nothing_went_wrong(page):
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Password").wait_for()
    shot(page, "login-wide-dark")
    assert page.locator("oc-past").count() == 0
    page.get_by_label("Name", exact=True).fill("admin")
    page.get_by_label("Password").fill("wrong horse battery")
    page.keyboard.press("Enter")
    page.locator("#note", has_text="wrong name or password").wait_for()
    # The browser tells of refusals itself: of this one, and of a condition that was refused above.
    assert ["400" in line for line in page.wrong if "401" not in line] == [True]
