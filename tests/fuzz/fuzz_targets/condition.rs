//! A standing condition in JSON, with its times, lengths and zone; times of queries; what may be said; addresses of cameras.
#![no_main]

use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use ocelli_drivers::RtspAddress;
use ocelli_fuzz::condition::{AlertTable, parse_duration, parse_times};
use ocelli_fuzz::said::check_text;
use ocelli_fuzz::when::{parse_last, parse_since};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(table) = serde_json::from_slice::<AlertTable>(bytes)
        && table.check().is_ok()
    {
        let (_, _, times) = table.parts().expect("it was checked");
        assert!(times.iter().all(|span| span.from < 10_080 && span.to < 10_080), "times are of a week");
        let again = serde_json::to_vec(&table).expect("text and finite numbers should be JSON");
        assert!(
            serde_json::from_slice::<AlertTable>(&again).is_ok_and(|same| same.check().is_ok()),
            "a file gives it back"
        );
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = (parse_times("times", text), parse_duration("for", text), parse_last(text), check_text(text));
    if let Ok(address) = RtspAddress::parse(text) {
        assert!(RtspAddress::parse(&address.to_string()).is_ok(), "what is shown of an address is one");
    }
    if let Ok(when) = parse_since(text) {
        when.unix_ms(&TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::UTC));
    }
});
