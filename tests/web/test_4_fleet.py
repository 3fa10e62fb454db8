"""`ocelli-fleet` between a real JetStream and a real PostgreSQL with pgvector."""

import re
import time

import pytest

import fleet

DEVICES = ("barn", "gate", "house")
EACH = 2000
SENTENCES = ("Someone comes in.", "A person falls.", "Nobody is there.", "A person sits down.", "The door opens.")


@pytest.fixture
def town(tmp_path):
    hub = fleet.Hub(tmp_path)
    town = fleet.Fleet(tmp_path, hub)
    yield town
    town.end()
    hub.kill()


def orders(town):
    """Of each board the numbers of its events, in the order in which they were taken."""
    found = town.ask("SELECT source, string_agg(data->>'id', ' ' ORDER BY taken) FROM event GROUP BY source")
    return {source.removeprefix("/ocelli/north/"): [int(each) for each in ids.split()] for source, ids in found}


def test_nothing_is_lost_or_doubled_whatever_is_killed(town):
    for device in DEVICES[:2]:
        town.hub.stream(device)
    town.start()
    told = {device: 0 for device in DEVICES}

    def tell(count, devices):
        for device in devices:
            numbers = range(told[device] + 1, told[device] + count + 1)
            town.hub.tell(device, [fleet.event(device, number, f"{SENTENCES[number % 5]}") for number in numbers])
            told[device] += count

    tell(EACH // 4, DEVICES[:2])
    # The consumer, at whatever it does: several times while it has work.
    for _ in range(4):
        time.sleep(0.05)
        town.kill()
        town.start()
        tell(EACH // 16, DEVICES[:2])
    # The database's line, then the hub; and a board that is new.
    fleet.until("some are there", 60, lambda: town.count("event") > 0)
    town.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
    tell(EACH // 4, DEVICES[:2])
    town.hub.kill()
    town.hub.start()
    town.hub.stream(DEVICES[2])
    tell(EACH, DEVICES[2:])
    tell(EACH // 4, DEVICES[:2])
    # What a board sends again after a cut has the same id.
    town.hub.tell("barn", [fleet.event("barn", number, "Someone comes in.") for number in range(told["barn"] - 50, told["barn"] + 1)])
    fleet.until("all are there", 120, lambda: town.count("event") >= sum(told.values()))
    fleet.until("all was read", 60, lambda: town.ask("SELECT sum(position) FROM stream") == [[str(sum(told.values()) + 51)]])
    assert orders(town) == {device: list(range(1, count + 1)) for device, count in told.items()}
    assert town.ask("SELECT sum(missed) FROM stream") == [["0"]]


def test_what_is_no_event_is_set_aside_and_counted(town):
    town.hub.stream("barn")
    wrong = [b"", b"\xff\x00garbage", b"{}", b"[" * 3000, fleet.event("house", 1, "of another"), fleet.event("barn", 2, "a\0b"), fleet.event("barn", 3, "x" * 3000)]
    town.hub.tell("barn", [fleet.event("barn", 1, "Someone comes in."), *wrong, fleet.event("barn", 9, "A person falls.")])
    town.start()
    fleet.until("both are there", 60, lambda: town.count("event") == 2)
    assert town.count("malformed") == len(wrong), town.ask("SELECT position, why FROM malformed")
    assert orders(town) == {"barn": [1, 9]}
    assert len(re.findall("is set aside", town.log.read_text())) == len(wrong)


def test_events_of_all_boards_are_found_by_meaning_and_by_words(town):
    for place, device in enumerate(DEVICES):
        town.hub.stream(device)
        town.hub.tell(device, [fleet.event(device, number, SENTENCES[(number + place) % 5]) for number in range(1, 11)])
    town.start()
    fleet.until("each sentence has its place", 120, lambda: town.count("sentence WHERE place IS NOT NULL") == len(SENTENCES))
    near = town.search("somebody fell down", "--limit", "6")
    assert len(near) == 6 and all("A person falls." in line for line in near), near
    assert {line.split()[1] for line in near} == {f"north/{device}" for device in DEVICES}, near
    of_barn = town.search("somebody fell down", "--of", "north/barn", "--limit", "2")
    assert [line.split()[1] for line in of_barn] == ["north/barn"] * 2, of_barn
    assert town.search("somebody fell down", "--of", "north/bar") == []
    words = town.search("doors", "--words")
    assert len(words) == 6 and all("The door opens." in line for line in words), words


def test_the_text_encoder_may_come_later_and_be_another(town):
    town.hub.stream("barn")
    encoder, town.ocelli = town.ocelli, "/there/is/none"
    town.hub.tell("barn", [fleet.event("barn", number, SENTENCES[number % 5]) for number in range(1, 6)])
    town.start()
    fleet.until("they are taken without it", 60, lambda: town.count("event") == 5)
    fleet.until("that is said", 30, lambda: "by words alone" in town.log.read_text())
    assert len(town.search("falls", "--words")) == 1
    town.kill()
    town.ocelli = encoder
    town.start()
    placed = lambda: town.ask("SELECT text, place FROM sentence WHERE place IS NOT NULL ORDER BY text")
    places = fleet.until("each has its place", 120, lambda: len(placed()) == 5 and placed())
    town.kill()
    # What another one would have written.
    town.ask("UPDATE sentence SET place = place + place")
    assert placed() != places
    town.start()
    fleet.until("each has its own place again", 120, lambda: placed() == places)
    assert "placed anew" in town.log.read_text()
