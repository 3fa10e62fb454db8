//! A camera or a zone that somebody wishes for over the network: what may be wished for, and the keys of the config that it comes to.

use ocelli_gateway::setup::{NewSource, Zone};
use serde_json::{Map, Value, json};

use crate::condition::{self, MOST_CORNERS};
use crate::said::check_text;

/// The longest names.
const MOST_CAMERA_NAME: usize = 32;
const MOST_ZONE_NAME: usize = 64;

/// A name that is the same in files, topics and addresses.
///
/// # Errors
/// What a name may be.
pub fn check_name(name: &str) -> Result<&str, String> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    if name.is_empty() || name.trim() != name || name.chars().count() > MOST_CAMERA_NAME || !name.chars().all(fits) {
        return Err(format!("a camera's name has 1 to {MOST_CAMERA_NAME} letters, digits, spaces, `-` and `_`"));
    }
    Ok(name)
}

/// The keys of a `[[camera]]` that is wished for. Whether its address is one is for [`ocelli_drivers::RtspAddress`] to say.
///
/// # Errors
/// What is wrong with it, without the address.
pub fn camera(wish: &NewSource) -> Result<Map<String, Value>, String> {
    let NewSource { camera, device, rtsp, username, password } = wish;
    check_name(camera)?;
    let mut keys = Map::new();
    keys.insert("name".into(), json!(camera));
    match (device, rtsp) {
        (Some(device), None) => {
            let number = device.strip_prefix("/dev/video").filter(|number| !number.is_empty() && number.len() < 4);
            // Whatever else lies on this machine is not opened, and a command is for the config alone.
            if number.is_none_or(|number| !number.bytes().all(|byte| byte.is_ascii_digit())) {
                return Err("`device` is a camera such as /dev/video0".into());
            }
            if username.is_some() || password.is_some() {
                return Err("`username` and `password` are of `rtsp`".into());
            }
            keys.insert("device".into(), json!(device));
        }
        (None, Some(rtsp)) => {
            let rtsp = rtsp.reveal();
            let address = match (username.as_deref().filter(|username| !username.is_empty()), password) {
                (None, None) => rtsp.to_owned(),
                (None, Some(password)) if password.reveal().is_empty() => rtsp.to_owned(),
                (None, Some(_)) => return Err("`password` is of a `username`, which is not there".into()),
                (Some(username), password) => {
                    let rest = rtsp.trim().strip_prefix("rtsp://").ok_or("`rtsp`: it does not begin with rtsp://")?;
                    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                    if host.contains('@') {
                        return Err("`rtsp` has a user in it, and so has `username`".into());
                    }
                    if rest.contains('@') {
                        return Err("`rtsp` has an `@` behind its host; write %40 in its place".into());
                    }
                    let password = password.as_ref().map_or("", |password| password.reveal());
                    format!("rtsp://{}:{}@{rest}", escaped(username), escaped(password))
                }
            };
            keys.insert("rtsp".into(), json!(address));
        }
        _ => return Err("write either `device` or `rtsp`".into()),
    }
    Ok(keys)
}

/// With `%` before all that could have a meaning in an address.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What no type says of a zone.
///
/// # Errors
/// Its name cannot be told, or nothing is inside.
pub fn check_zone(zone: &Zone) -> Result<(), String> {
    check_text(&zone.name).map_err(|why| format!("the name of a zone: {why}"))?;
    if zone.name.chars().count() > MOST_ZONE_NAME {
        return Err(format!("the name of a zone has {MOST_ZONE_NAME} characters at most"));
    }
    if zone.corners.len() > MOST_CORNERS {
        return Err(format!("a zone has {MOST_CORNERS} corners at most"));
    }
    if zone.corners.is_empty() {
        return Err("a `zone` has three corners or more".into());
    }
    condition::check_zone(&zone.corners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzzer_begins_with_is_a_camera_or_a_zone() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/wish");
        for seed in std::fs::read_dir(seeds).expect("they are there") {
            let text = std::fs::read_to_string(seed.expect("a file").path()).expect("it is text");
            if let Ok(zone) = serde_json::from_str::<Zone>(&text) {
                assert_eq!(check_zone(&zone), Ok(()), "{text}");
                continue;
            }
            let keys = camera(&serde_json::from_str(&text).expect(&text)).expect(&text);
            if let Some(address) = keys.get("rtsp").and_then(Value::as_str) {
                assert!(ocelli_drivers::RtspAddress::parse(address).is_ok(), "{text}");
            }
        }
    }
}
