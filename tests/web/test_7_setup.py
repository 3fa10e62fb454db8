"""Cameras and zones that are set up on the page: two cameras run, one of the network is added. And what the page shows where no picture may be shown."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import PASSWORD, ROOT, Program

#: Of the camera that is added; it must be nowhere but in the file.
USER, SECRET = "vera-of-the-camera", "hunter2 of the camera@#"
WHOLE = "0,0 100,0 100,100 0,100"


class Caller:
    """The API of a program, with a token of an admin, which is made at its first run."""

    def __init__(self, program):
        self.url, self.token = program.url, None
        _, hello = self("POST", "/api/setup", {"password": PASSWORD})
        self.session = {"Cookie": self.headers["Set-Cookie"].split(";")[0], "X-CSRF-Token": hello["csrf"]}
        self.token = self("POST", "/api/tokens", {"name": "tests", "role": "admin"}, self.session)[1]["token"]

    def __call__(self, method, path, body=None, headers=None):
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        who = {"Authorization": f"Bearer {self.token}"} if self.token and headers is None else {}
        request = urllib.request.Request(self.url + path, sent, {"Content-Type": "application/json"} | who | (headers or {}), method=method)
        try:
            with urllib.request.urlopen(request, timeout=150) as response:
                self.headers = response.headers
                return response.status, json.load(response)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)


@pytest.fixture(scope="module")
def house():
    """A program with two cameras and memory for a third, which may be ended and started again."""
    holder = {"program": Program("live = true\n", cameras=("hall", "porch"), top='memory_budget = "256MiB"\n')}
    yield holder
    holder["program"].end()


@pytest.fixture(scope="module")
def call(house):
    return Caller(house["program"])


@pytest.fixture(scope="module")
def page(house, call, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.set_default_timeout(60_000)
    log_in(page, call.url)
    yield page
    context.close()


def log_in(page, url, name="admin"):
    page.goto(url)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("oc-now")


def part(page, name):
    page.get_by_role("navigation").get_by_role("link", name=name).click()
    page.wait_for_selector(f"oc-{name.lower()}")


def camera(page, name):
    return page.locator("oc-camera", has=page.get_by_role("heading", name=name, exact=True))


def kept(house):
    return [json.loads(line) for line in (house["program"].folder / "setup.jsonl").read_text().splitlines()]


def test_the_cameras_are_there_with_how_they_are(page):
    part(page, "Cameras")
    for name in ("hall", "porch"):
        text = camera(page, name)
        text.get_by_text("sees since").wait_for()
        # Pictures are counted for five seconds, and the page looks again each five.
        text.get_by_text("pictures a second").wait_for()
        assert "a command" in text.inner_text() and "ffmpeg" not in text.inner_text(), "a command may have a password in it"
        assert "x" in text.locator("p").first.inner_text()


def test_a_zone_is_drawn_named_and_changed(page, house):
    part(page, "Cameras")
    hall = camera(page, "hall")
    hall.get_by_text("Draw a zone over the picture").click()
    hall.locator("oc-live[data-painted]").wait_for()
    hall.get_by_label("Its name").fill("the stairs")
    hall.get_by_role("button", name="Keep the zone").click()
    assert not hall.get_by_label("Corners: from the left").evaluate("node => node.checkValidity()"), "it has no corners yet"
    ink = hall.locator("oc-zone canvas").last
    box = ink.bounding_box()
    for x, y in ((0.5, 0.4), (0.9, 0.4), (0.9, 0.6), (0.1, 0.1)):
        ink.click(position={"x": x * box["width"], "y": y * box["height"]})
    hall.get_by_role("button", name="Take back the last corner").click()
    hall.get_by_role("button", name="Keep the zone").click()
    hall.locator("li", has_text="the stairs").get_by_text("3 corners").wait_for()
    zone = kept(house)[0]["zone"]
    assert (zone["camera"], zone["name"], len(zone["corners"])) == ("hall", "the stairs", 3) and zone["corners"][0][0] == pytest.approx(0.5, abs=0.01)
    assert (house["program"].folder / "setup.jsonl").stat().st_mode & 0o777 == 0o600
    # By keyboard alone, and what was there before is shown beside it.
    hall.get_by_role("button", name="Change the zone the stairs of hall").press("Enter")
    assert hall.get_by_label("Its name").input_value() == "the stairs" and not hall.get_by_label("Its name").is_editable()
    hall.get_by_label("Corners: from the left").fill(WHOLE)
    hall.get_by_role("button", name="Keep the zone").press("Enter")
    hall.get_by_text("4 corners").wait_for()
    assert kept(house)[0]["zone"]["corners"] == [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert "the stairs" in ink.get_attribute("aria-label"), "a screen reader hears what is drawn"
    assert not page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, select")].filter((node) => node.offsetParent
            && !(node.ariaLabel || node.textContent.trim() || node.labels?.length)).map((node) => node.outerHTML)"""
    )


def test_a_condition_is_in_a_zone_and_the_zone_stays_as_long_as_it_is_needed(page, call):
    part(page, "Words")
    told = "Somebody walks on the stairs"
    page.get_by_label("What is told").fill(told)
    page.get_by_label("What is seen, one or several").select_option(["walk", "enter", "stand"])
    page.get_by_label("Where something must move").select_option(label="the stairs (hall)")
    assert page.get_by_text("Only where it moves in a part of the picture").is_hidden(), "it is drawn under Cameras"
    page.get_by_label("For how long").fill("0s")
    page.get_by_label("Quiet after its end").fill("0s")
    page.get_by_role("button", name="Watch for it").click()
    page.locator("ul.conditions li", has_text=told).get_by_text("in the zone the stairs").wait_for()
    condition = [one for one in call("GET", "/api/conditions")[1]["conditions"] if one["own"]][0]
    assert (condition["in_zone"], condition["camera"], condition["fault"], len(condition["zone"])) == ("the stairs", "hall", None, 4)
    part(page, "Past")
    page.get_by_label("What", exact=True).select_option("alert")
    for _ in range(60):
        page.get_by_role("button", name="Search").click()
        page.wait_for_timeout(1000)
        if page.locator("oc-past li", has_text=told).count():
            break
    assert page.locator("oc-past li", has_text=told).count(), "it fires"
    part(page, "Cameras")
    camera(page, "hall").get_by_role("button", name="Remove the zone the stairs of hall").click()
    page.locator("#note", has_text="is about this zone").wait_for()
    # Where nothing moves in it, it is in force at once, and quiet.
    corner = [[0, 0], [0.02, 0], [0.02, 0.02]]
    assert call("POST", "/api/zones", {"camera": "hall", "name": "the stairs", "corners": corner})[0] == 200
    page.wait_for_timeout(3000)
    newest = call("GET", "/api/events?kind=alert&limit=1")[1]["events"][0]["id"]
    page.wait_for_timeout(14_000)
    texts = {event["text"] for event in call("GET", f"/api/events?kind=alert&after={newest}")[1]["events"]}
    assert "Somebody is in the hall" in texts and told not in texts, texts


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[" * 60_000, {}, {"camera": "hall"}, {"name": "x", "corners": [[0, 0], [1, 0], [1, 1]]},
        *({"camera": "hall", "name": name, "corners": [[0, 0], [1, 0], [1, 1]]} for name in ("", " ", "a\nb", "a\u202eb", "x" * 65, 7, None, ["x"])),
        *({"camera": place, "name": "x", "corners": [[0, 0], [1, 0], [1, 1]]} for place in ("", "cellar", "../hall", 7)),
        *({"camera": "hall", "name": "x", "corners": corners} for corners in ([], [[0, 0]], [[0, 0], [1, 1]], [[0, 0]] * 3, [[0, 0], [1, 0], [1, 1.01]], [[0, 0], [1, 0], [1, 1e39]], [[0, 0, 0]] * 3, {}, "x", None, [[n % 2, n / 33] for n in range(33)], [[0.5, 0.5]] * 9000)),
        b'{"camera":"hall","name":"x","corners":[[0,0],[1,0],[NaN,1]]}', {"camera": "hall", "name": "x", "corners": [[0, 0], [1, 0], [1, 1]], "file": "/etc/passwd"},
    ],
    ids=lambda body: str(body)[:40].replace("/", " "),
)  # fmt: skip
def test_a_zone_that_makes_no_sense_is_refused_in_a_line_and_changes_nothing(call, body):
    before = call("GET", "/api/zones")
    status, said = call("POST", "/api/zones", body)
    assert 400 <= status < 500 and len(said["error"]["message"]) < 500 and "\n" not in said["error"]["message"], said
    assert call("GET", "/api/zones") == before


@pytest.mark.parametrize(
    "wish",
    [
        {}, {"camera": "x"}, {"camera": "x", "device": "/etc/passwd"}, {"camera": "x", "device": "/dev/video0/../mem"}, {"camera": "x", "command": "touch /tmp/x"},
        {"camera": "x", "rtsp": "http://h/"}, {"camera": "x", "rtsp": "file:///etc/passwd"}, {"camera": "x", "rtsp": "rtsp://"}, {"camera": "x", "rtsp": 7}, {"camera": "a/b", "rtsp": "rtsp://h/"},
        {"camera": "hall", "rtsp": "rtsp://h/"}, {"camera": "", "rtsp": "rtsp://h/"}, {"camera": "x" * 33, "rtsp": "rtsp://h/"}, {"camera": "x", "rtsp": "rtsp://h/", "device": "/dev/video0"},
        {"camera": "x", "rtsp": "rtsp://h/", "password": "p"}, {"camera": "x", "rtsp": "rtsp://a:b@h/", "username": "c"}, {"camera": "x", "rtsp": "rtsp://h/" + "x" * 70_000},
    ],
    ids=lambda wish: str(wish)[:60].replace("/", " "),
)  # fmt: skip
def test_a_camera_that_makes_no_sense_is_refused_and_never_opened(call, wish):
    for path in ("/api/probe", "/api/sources"):
        status, said = call("POST", path, wish)
        assert 400 <= status < 500 and "\n" not in said["error"]["message"], said
    assert [source["camera"] for source in call("GET", "/api/sources")[1]["sources"]] == ["hall", "porch"]
    assert call("DELETE", "/api/sources/hall")[0] == 400 and call("DELETE", "/api/sources/cellar")[0] == 404


@pytest.fixture(scope="module")
def far():
    """A camera of the network that asks who it is."""
    serve = ["/usr/bin/python3", "tests/e2e/rtsp/serve.py", "--user", USER, "--password", SECRET, "stream=h264=" + str(ROOT / "tests/clips/demo.mp4")]
    server = subprocess.Popen(serve, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield f"rtsp://127.0.0.1:{int(server.stdout.readline())}/stream"
    server.kill()
    server.wait()


def test_a_camera_of_the_network_is_tried_added_and_there_after_the_next_start(page, house, call, far):
    part(page, "Cameras")
    said = []
    page.on("response", lambda response: said.append(response.text()) if "/api/" in response.url and "stream" not in response.url and "live" not in response.url else None)
    form = page.locator("form", has_text="Add a camera")
    form.get_by_label("Its name").fill("garden")
    form.get_by_label("Address").fill(far)
    form.get_by_label("User").fill(USER)
    form.get_by_label("Password").fill("wrong")
    form.get_by_role("button", name="Try it").click()
    form.locator("strong").wait_for()
    assert page.locator("img.tried").count() == 0
    form.get_by_label("Password").fill(SECRET)
    form.get_by_role("button", name="Try it").click()
    picture = form.get_by_alt_text("A picture of garden")
    picture.wait_for()
    assert picture.evaluate("async (node) => { await node.decode(); return node.naturalWidth; }") == 224
    assert "It gives pictures of" in form.inner_text()
    form.get_by_role("button", name="Add it").click()
    row = page.locator("oc-cameras ul.conditions > li", has_text="It is added with the next start.")
    row.wait_for()
    assert "with a user" in row.inner_text() and "rtsp://127.0.0.1" in row.inner_text() and "stream" not in row.inner_text()
    lines = [line["camera"] for line in kept(house) if "camera" in line]
    assert [line["name"] for line in lines] == ["garden"] and lines[0]["size_px"] in form.page.content()
    # It runs on from the same folder.
    before = house["program"]
    assert [line["zone"]["name"] for line in kept(house) if "zone" in line] == ["the stairs"]
    before.end()
    assert not any(SECRET in text or USER in text for text in [*said, *before.said, (before.folder / "audit").read_text()]), "it is nobody's"
    house["program"] = Program("live = true\n", cameras=("hall", "porch"), top='memory_budget = "256MiB"\n', folder=before.folder)
    call.url = house["program"].url
    for _ in range(60):
        garden = [one for one in call("GET", "/api/cameras")[1]["cameras"] if one["name"] == "garden"][0]
        if garden["up"]:
            break
        page.wait_for_timeout(1000)
    assert garden["up"] and garden["from"] == far.rsplit("/", 1)[0] and garden["size"] == lines[0]["size_px"], garden
    assert [zone["name"] for zone in call("GET", "/api/zones")[1]["zones"]] == ["the stairs"]
    assert not page.wrong


def test_a_camera_is_taken_away_with_the_next_start(browser, house, call):
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    log_in(page, call.url)
    part(page, "Cameras")
    page.get_by_role("button", name="Take away the camera garden").click()
    page.get_by_text("It is taken away with the next start.").wait_for()
    assert all("camera" not in line for line in kept(house))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is beside the edge of a phone"
    context.close()


def test_a_name_that_looks_like_an_option_is_a_name(call, far):
    status, said = call("POST", "/api/sources", {"camera": "-x", "rtsp": far, "username": USER, "password": SECRET})
    assert status == 200, said
    assert "-x" in [source["camera"] for source in call("GET", "/api/sources")[1]["sources"]]
    assert call("DELETE", "/api/sources/-x")[0] == 200


def test_who_may_not_see_a_camera_gets_neither_its_pictures_nor_its_zones(house, call):
    for _ in range(60):
        found = call("GET", "/api/recordings?camera=hall")[1]["recordings"]
        if found:
            break
        time.sleep(1)
    event = found[0]["events"][0]["id"]
    assert [one["id"] for one in call("GET", f"/api/recordings?events={event}")[1]["recordings"]] == [found[0]["id"]]
    made = call("POST", "/api/tokens", {"name": "porch-only", "role": "operator", "cameras": ["porch"]})[1]
    who = {"Authorization": f"Bearer {made['token']}"}
    assert call("GET", f"/api/recordings?events={event}", headers=who)[1]["recordings"] == []
    assert call("GET", f"/api/recordings/{found[0]['id']}/snapshot.jpg", headers=who)[0] == 404
    assert call("GET", "/api/zones", headers=who)[1]["zones"] == []
    assert [one["name"] for one in call("GET", "/api/cameras", headers=who)[1]["cameras"]] == ["porch"]
    for method, path, body in (("POST", "/api/zones", {}), ("GET", "/api/sources", None), ("POST", "/api/sources", {}), ("POST", "/api/probe", {}), ("DELETE", "/api/sources/porch", None)):
        assert call(method, path, body, headers=who)[0] == 403, path


def test_the_memory_plan_says_whether_there_is_room_for_a_camera(program, token, far):
    """In 128 MiB with all that this program has on there is none."""
    caller = Caller.__new__(Caller)
    caller.url, caller.token = program.url, token
    status, said = caller("POST", "/api/sources", {"camera": "garden", "rtsp": far, "username": USER, "password": SECRET})
    assert status == 400 and "the plan needs" in said["error"]["message"] and "the budget is 128.0 MiB" in said["error"]["message"], said
    assert not (program.folder / "setup.jsonl").exists() and not list(program.folder.glob("setup.jsonl*"))


def test_a_machine_without_a_camera_gets_its_first_one_on_the_page(far):
    program = Program("live = true\n", cameras=())
    try:
        call = Caller(program)
        for _ in range(60):
            cameras = call("GET", "/api/cameras")[1]["cameras"]
            if cameras[0]["trouble"]:
                break
            time.sleep(1)
        assert [(one["name"], one["up"]) for one in cameras] == [("camera", False)] and "/dev/video" in cameras[0]["trouble"], cameras
        status, said = call("POST", "/api/sources", {"camera": "garden", "rtsp": far, "username": USER, "password": SECRET})
        assert status == 200 and "from the next start" in said["message"], said
        program.end()
        program = Program("live = true\n", cameras=(), folder=program.folder)
        call.url = program.url
        for _ in range(60):
            cameras = call("GET", "/api/cameras")[1]["cameras"]
            if cameras[0]["up"]:
                break
            time.sleep(1)
        assert [(one["name"], one["up"]) for one in cameras] == [("garden", True)], cameras
    finally:
        program.end()


def test_where_nothing_is_recorded_there_is_no_picture_and_nobody_asks_for_one(browser):
    private = Program("", more="", top="privacy = true\n")
    try:
        call = Caller(private)
        context = browser.new_context(viewport={"width": 390, "height": 844})
        page = context.new_page()
        asked, wrong = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        log_in(page, call.url)
        for _ in range(60):
            if page.locator("oc-now li.alert").count():
                break
            page.wait_for_timeout(1000)
        part(page, "Past")
        page.locator("oc-past li.alert").first.wait_for()
        assert page.locator(".thumb, .pictured, .beside").count() == 0 and page.get_by_role("link", name="Recordings").is_hidden()
        part(page, "Cameras")
        page.locator("oc-camera").first.wait_for()
        assert not [url for url in asked if "/api/recordings" in url or "/live" in url] and not wrong, wrong
        context.close()
    finally:
        private.end()
