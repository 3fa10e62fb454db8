//! The gateway's courier, as the config wants it: MQTT and webhooks.

use std::sync::Arc;

use ocelli_gateway::{Controls, Courier, House, Targets, WebhookTable};

use crate::config::{Config, ConfigError};
use crate::controls::Switches;
use crate::error::{Error, note};
use crate::gateway::Outside;
use crate::plan::mebibytes;

/// Whether anybody is to be told.
pub fn is_wanted(config: &Config) -> bool {
    config.mqtt.is_some() || !config.webhooks.is_empty()
}

/// Gives names to what has none: webhooks, and this board, which is called as the machine is.
pub fn name(config: &mut Config) {
    WebhookTable::name_all(&mut config.webhooks);
    if let Some(mqtt) = config.mqtt.as_mut().filter(|mqtt| mqtt.device.is_empty()) {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let simple = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        mqtt.device = host.trim().chars().map(|c| if simple(&c) { c } else { '_' }).take(64).collect();
        if mqtt.device.is_empty() {
            mqtt.device = "ocelli".into();
        }
    }
}

/// What no type says.
pub fn check(config: &Config) -> Result<(), String> {
    if let Some(mqtt) = &config.mqtt {
        mqtt.check().map_err(|why| format!("[mqtt]: {why}"))?;
        if mqtt.images && config.recording.folder.is_none() {
            return Err("`images` of [mqtt] is the snapshot of a [recording], which is not there".into());
        }
    }
    let cameras: Vec<String> = config.cameras.iter().map(|camera| camera.name.clone()).collect();
    for (index, hook) in config.webhooks.iter().enumerate() {
        hook.check(&cameras).map_err(|why| format!("webhook `{}`: {why}", hook.name))?;
        if config.webhooks[..index].iter().any(|other| other.name == hook.name) {
            return Err(format!("two webhooks are called `{}`; each needs a `name` of its own", hook.name));
        }
        if hook.name == "mqtt" {
            return Err("a webhook is called `mqtt`, which is the broker's name; choose another".into());
        }
    }
    config.outbox.check()
}

/// Whom the config tells, a line each, without what is secret.
pub fn lines(config: &Config) -> String {
    let mut lines = String::new();
    if let Some(mqtt) = &config.mqtt {
        lines += &format!("mqtt    {}\n", mqtt.shown());
    }
    for hook in &config.webhooks {
        lines += &format!("webhook {}\n", hook.shown());
    }
    if is_wanted(config) {
        let size = mebibytes(config.outbox.size_bytes);
        lines += &match &config.outbox.folder {
            Some(folder) => format!("outbox  {}, of {size} at most\n", folder.display()),
            None => "outbox  in memory: what waits is lost with a restart (`folder` of [outbox] keeps it)\n".into(),
        };
    }
    lines
}

/// Starts the thread, where somebody is to be told.
///
/// # Errors
/// A secret or certificate cannot be read, or another program has the outbox.
pub fn start(
    config: &Config,
    outside: &Outside,
    house: &Arc<dyn House>,
    switches: &Arc<Switches>,
) -> Result<Option<Courier>, Error> {
    if !is_wanted(config) {
        return Ok(None);
    }
    let source = match &config.mqtt {
        Some(mqtt) => mqtt.source(),
        None => "/ocelli".into(),
    };
    let (outbox, mqtt, webhooks) = (config.outbox.clone(), config.mqtt.clone(), config.webhooks.clone());
    let controls: Arc<dyn Controls> = switches.clone();
    let say = |text: &str| note(text);
    let targets = Targets { outbox, mqtt, webhooks, source };
    let started = Courier::start(targets, outside.feed(), house, &controls, say);
    Ok(Some(started.map_err(ConfigError::Usage)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("c.toml");
        std::fs::write(&path, text).expect("there is room");
        Config::load(Some(&path), Some("none")).map_err(|error| error.to_string())
    }

    #[test]
    fn targets_are_shown_without_their_secrets() {
        let config = config(
            "[mqtt]\nbroker = \"mqtts://broker.lan\"\nusername = \"ocelli\"\nsite = \"hut\"\ndevice = \"b\"\n\
             [[webhook]]\nurl = \"https://ntfy.sh/my-secret-topic\"\nformat = \"ntfy\"\n\
             [[webhook]]\nurl_file = \"slack.url\"\nformat = \"slack\"\n[outbox]\nfolder = \"out\"\n",
        )
        .expect("nothing is wrong with it");
        let lines = lines(&config);
        let wanted = "mqtt    mqtts://broker.lan as ocelli: ocelli/hut/b\n\
                      webhook ntfy: ntfy to https://ntfy.sh:443: alert, blind\n\
                      webhook slack: slack to the URL in slack.url: alert, blind\n\
                      outbox  out, of 8.0 MiB at most\n";
        assert_eq!(lines, wanted);
        assert_eq!(super::lines(&Config::default()), "");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_table() {
        for (text, said) in [
            ("[mqtt]\nbroker = \"broker.lan\"", "[mqtt]: `broker` begins with neither mqtt:// nor mqtts://"),
            ("[mqtt]\nbrokr = \"x\"", "unknown key `brokr`; did you mean `broker`?"),
            ("[[webhook]]\nformat = \"ntfy\"", "webhook `ntfy`: it has no `url`"),
            ("[[webhook]]\nurl = \"https://h/\"\nname = \"mqtt\"", "the broker's name"),
            (
                "[[webhook]]\nurl = \"https://h/\"\nname = \"a\"\n[[webhook]]\nurl = \"https://h/\"\nname = \"a\"",
                "two webhooks",
            ),
            ("[outbox]\nsize_bytes = 5", "it may be 65536 (64 KiB) or more"),
        ] {
            let why = config(text).expect_err(text);
            assert!(why.contains(said), "{why}");
        }
        let named = config("[mqtt]\nbroker = \"mqtt://h\"").expect("it is enough").mqtt.expect("it is there");
        assert!(!named.device.is_empty() && named.check().is_ok(), "{named:?}");
    }
}
