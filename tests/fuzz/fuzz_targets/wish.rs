//! A camera or a zone that is wished for, in JSON: what it comes to goes into the config of the next start.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocelli_drivers::RtspAddress;
use ocelli_fuzz::said::check_text;
use ocelli_fuzz::wish;
use ocelli_gateway::setup::{NewSource, Zone};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(zone) = serde_json::from_slice::<Zone>(bytes)
        && wish::check_zone(&zone).is_ok()
    {
        assert_eq!(check_text(&zone.name), Ok(()), "a name can be told");
        let again = serde_json::to_vec(&zone).expect("text and finite numbers should be JSON");
        assert_eq!(serde_json::from_slice::<Zone>(&again).ok(), Some(zone), "a file gives it back");
    }
    let Ok(source) = serde_json::from_slice::<NewSource>(bytes) else { return };
    let keys = match wish::camera(&source) {
        Ok(keys) => keys,
        Err(why) => return assert!(!why.is_empty(), "what is refused is told why"),
    };
    assert!(keys.keys().all(|key| ["name", "device", "rtsp"].contains(&key.as_str())), "no command is wished for");
    assert_eq!(keys["name"], source.camera);
    if let Some(device) = keys.get("device") {
        let device = device.as_str().and_then(|device| device.strip_prefix("/dev/video"));
        assert!(device.is_some_and(|number| number.parse::<u16>().is_ok()), "{device:?} is a camera and no other file");
    }
    let Some(address) = keys.get("rtsp") else { return };
    let address = address.as_str().expect("it is text");
    let Some(user) = source.username.filter(|user| !user.is_empty()) else { return };
    // A user and a password lead to no other server, and arrive as they are.
    let rtsp = source.rtsp.expect("it has an address");
    let password = source.password.as_ref().map_or("", |password| password.reveal());
    let plain = RtspAddress::parse(rtsp.reveal()).map(|plain| plain.with_user(&user, password));
    assert!(RtspAddress::parse(address).ok() == plain.ok(), "{:?} with a user is the same camera", rtsp.reveal());
});
