//! A question in plain words, and the same words as a search, over the journal of a day.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ocelli_fuzz::Day;
use ocelli_gateway::house::EventQuery;

static DAY: LazyLock<Day> = LazyLock::new(Day::default);

fuzz_target!(|text: &str| {
    // As long as the gateway takes it.
    let text = &text[..text.floor_char_boundary(1024)];
    DAY.ask(text, None);
    let found = DAY.find(&EventQuery { q: Some(text.into()), ..EventQuery::default() });
    assert!(found.is_ok_and(|ids| ids.len() <= 6), "words find what they find");
});
