"""How people ask: each thing, time and question in several wordings. Those under `tune` may be looked at while the program is changed;
those under `held` are asked in the same run and told apart. Both were written before the program could answer anything.

A thing has clauses in two tenses: (after "did", after "when" or "the last time"). A state is asked as "was ...".
"""

THINGS = {
    "fall": {
        "tune": [("someone fall", "someone fell"), ("anybody fall over", "anybody fell over")],
        "held": [("a person collapse", "a person collapsed"), ("anyone tumble to the floor", "somebody tumbled to the floor")],
    },
    "enter": {
        "tune": [("someone come in", "someone came in"), ("anyone enter the room", "somebody entered the room")],
        "held": [("anybody walk in through the door", "somebody walked in through the door"), ("a visitor arrive", "a visitor arrived")],
    },
    "leave": {
        "tune": [("someone leave", "someone left"), ("anyone go out", "somebody went out")],
        "held": [("a visitor depart", "a visitor departed"), ("anybody leave the room", "anybody left the room")],
    },
    "light_on": {
        "tune": [("the light go on", "the light went on"), ("someone switch on the light", "someone switched on the light")],
        "held": [("the lamp get turned on", "the lamp was turned on"), ("anybody turn the lights on", "somebody turned the lights on")],
    },
    "light_off": {
        "tune": [("the light go off", "the light went off"), ("the room go dark", "the room went dark")],
        "held": [("the lamp get switched off", "the lamp was switched off"), ("anybody turn off the lights", "somebody turned off the lights")],
    },
    "door_opens": {
        "tune": [("the door open", "the door opened"), ("someone open the door", "someone opened the door")],
        "held": [("anybody push the door open", "somebody pushed the door open"), ("the door get opened", "the door was opened")],
    },
    "door_closes": {
        "tune": [("the door close", "the door closed"), ("someone shut the door", "someone shut the door")],
        "held": [("anybody slam the door shut", "somebody slammed the door shut"), ("the door get closed", "the door was closed")],
    },
    "drink": {
        "tune": [("someone drink", "someone drank"), ("anyone take a sip", "somebody took a sip")],
        "held": [("a person drink something", "a person drank something"), ("anybody drink from a mug", "somebody drank from a mug")],
    },
    "pour": {
        "tune": [("someone pour a drink", "someone poured a drink"), ("anyone pour water", "somebody poured water")],
        "held": [("a person fill a glass", "a person filled a glass"), ("anybody pour something from a bottle", "somebody poured something from a bottle")],
    },
    "cut": {
        "tune": [("someone cut food", "someone cut food"), ("anyone slice bread", "somebody sliced bread")],
        "held": [("a person use a knife", "a person used a knife"), ("anybody chop vegetables", "somebody chopped vegetables")],
    },
    "wave": {
        "tune": [("someone wave", "someone waved"), ("anyone wave a hand", "somebody waved a hand")],
        "held": [("a person wave hello", "a person waved hello"), ("anybody greet by waving", "somebody greeted by waving")],
    },
    "carry": {
        "tune": [("someone carry a box", "someone carried a box"), ("anyone carry something", "somebody carried something")],
        "held": [("a person bring a parcel", "a person brought a parcel"), ("anybody haul a package", "somebody hauled a package")],
    },
    "get_up": {
        "tune": [("someone get up", "someone got up"), ("anyone stand up", "somebody stood up")],
        "held": [("a person rise from the chair", "a person rose from the chair"), ("anybody get to their feet", "somebody got to their feet")],
    },
    "run": {
        "tune": [("someone run", "someone ran"), ("anyone run through the room", "somebody ran through the room")],
        "held": [("a person hurry past", "a person hurried past"), ("anybody sprint by", "somebody sprinted by")],
    },
    "pet": {
        "tune": [("a pet show up", "a pet showed up"), ("the cat or dog walk about", "the cat or dog walked about")],
        "held": [("the dog come by", "the dog came by"), ("an animal appear", "an animal appeared")],
    },
}

# After "was" or "were", or behind "how long was".
STATES = {
    "sit": {"tune": ["someone sitting", "somebody seated"], "held": ["a person sitting on the sofa", "anyone sitting down on a chair"]},
    "lie": {"tune": ["someone lying", "somebody asleep"], "held": ["anybody lying in bed", "a person sleeping"]},
    "two_people": {"tune": ["two people in the room", "two people here"], "held": ["a pair of people together", "two persons present"]},
    "television": {"tune": ["the television on with nobody there", "the television on"], "held": ["the TV playing to nobody", "the tv running in an empty room"]},
}

PRESENCE = {"tune": ["anyone there", "somebody in the room"], "held": ["anybody around", "a person present"]}
PRESENCE_NOW = {
    "tune": ["Is anyone home now?", "Is somebody in the {camera} right now?"],
    "held": ["Is there anybody at home at the moment?", "Anyone in the {camera} now?"],
}
LIGHT = {
    "tune": ["Was the light on {at}?", "Was the light in the {camera} on {at}?"],
    "held": ["Was the lamp lit {at}?", "Were the lights on in the {camera} {at}?"],
}
LIGHT_NOW = {
    "tune": ["Is the light on?", "Is the light in the {camera} on now?"],
    "held": ["Are the lights on in the {camera} at the moment?", "Is the lamp still on in the {camera}?"],
}
SINCE = {
    "tune": ["Since when has the light been {on} in the {camera}?", "How long has the light been {on} in the {camera}?"],
    "held": ["Since what time is the lamp in the {camera} {on}?", "For how long has the light in the {camera} been {on} now?"],
}

LAST = {
    "tune": ["When did {base} last{when}?", "When was the last time {past}{when}?", "What was the last time {past}{when}?"],
    "held": ["What time did {base} most recently{when}?", "Tell me when {past} for the last time{when}.", "How long ago did {base}{when}?"],
}
FIRST = {
    "tune": ["When did {base} first{when}?", "When was the first time {past}{when}?"],
    "held": ["What time did {base} for the first time{when}?", "At what time was the earliest moment {past}{when}?"],
}
COUNT = {
    "tune": ["How often did {base}{when}?", "How many times did {base}{when}?"],
    "held": ["On how many occasions did {base}{when}?", "Count the times {past}{when}.", "What is the number of times {past}{when}?"],
}
DURATION = {
    "tune": ["How long was {state}{when}?", "For how long was {state}{when}?"],
    "held": ["How much time was {state}{when}?", "What was the total time with {state}{when}?", "How many minutes was {state}{when}?"],
}
HAPPENED = {
    "tune": ["Did {base}{when}?", "Has it happened that {past}{when}?"],
    "held": ["Was there a time when {past}{when}?", "Can you tell me whether {past}{when}?", "Do you know if {past}{when}?"],
}
WHAT = {
    "tune": ["What happened{when}?", "What happened in the {camera}{when}?"],
    "held": ["What was going on in the {camera}{when}?", "What did you see{when}?", "Tell me what went on{when}."],
}
NEXT = {
    "tune": ["What happened after the last time {past} in the {camera}?", "What came right after {past} in the {camera}?"],
    "held": ["In the {camera}, what followed when {past}?", "What was next in the {camera} after {past}?"],
}
BEFORE = {
    "tune": ["What happened before the last time {past} in the {camera}?", "What came right before {past} in the {camera}?"],
    "held": ["In the {camera}, what preceded the moment {past}?", "What was seen just before {past} in the {camera}?"],
}
THEN = {
    "tune": ["Did {base} after {past_b}{when}?", "Was there a moment that {past} after {past_b}{when}?"],
    "held": ["After {past_b}, did {base}{when}?", "Did {base} later than {past_b}{when}?"],
}
ORDER = {
    "tune": ["What came first{when}, {past} or {past_b}?", "Which happened first{when}: {past} or {past_b}?"],
    "held": ["Which was earlier{when}, {past} or {past_b}?", "What happened sooner{when}: {past}, or {past_b}?"],
}

# Never seen, and not in the vocabulary. They are asked as things are.
UNKNOWN = {
    "tune": [
        ("someone open the fridge", "someone opened the fridge"),
        ("the dog bark", "the dog barked"),
        ("a car park outside", "a car parked outside"),
        ("someone play the piano", "someone played the piano"),
        ("the phone ring", "the phone rang"),
        ("grandma water the plants", "grandma watered the plants"),
    ],
    "held": [
        ("anyone use the washing machine", "somebody used the washing machine"),
        ("the baby cry", "the baby cried"),
        ("anybody read a newspaper", "somebody read a newspaper"),
        ("a parrot fly around", "a parrot flew around"),
        ("someone vacuum the carpet", "someone vacuumed the carpet"),
        ("the kettle boil", "the kettle boiled"),
    ],
}
UNANSWERABLE = {
    "tune": ["Who was in the {camera}{when}?", "Why did {base}{when}?"],
    "held": ["What colour was the jumper of the visitor{when}?", "How did the person feel{when}?"],
}
