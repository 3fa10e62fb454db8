//! Which crate may know which, and what all of it is made of.

use std::collections::BTreeSet;
use std::fs;

use cargo_metadata::semver::{Version, VersionReq};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use toml::Value;

/// Crate, and the crates of the workspace that it may depend on outside its tests.
const ALLOWED: [(&str, &[&str]); 17] = [
    ("ocelli-types", &[]),
    ("ocelli-pipeline", &["ocelli-types"]),
    ("ocelli-kernels", &[]),
    ("ocelli-infer", &["ocelli-types", "ocelli-kernels"]),
    ("ocelli-journal", &["ocelli-types"]),
    ("ocelli-heap", &[]),
    ("ocelli-link", &[]),
    ("ocelli-drivers", &["ocelli-types", "ocelli-link"]),
    ("ocelli-gateway", &["ocelli-types"]),
    (
        "ocelli",
        &[
            "ocelli-types",
            "ocelli-pipeline",
            "ocelli-infer",
            "ocelli-journal",
            "ocelli-drivers",
            "ocelli-gateway",
            "ocelli-heap",
        ],
    ),
    ("ocelli-testkit", &["ocelli-types", "ocelli-pipeline", "ocelli-heap"]),
    ("ocelli-e2e", &[]),
    ("ocelli-emulated", &["ocelli-types", "ocelli-link", "ocelli-drivers"]),
    ("ocelli-vm", &[]),
    ("ocelli-guest", &[]),
    (
        "ocelli-bench",
        &[
            "ocelli-types",
            "ocelli-pipeline",
            "ocelli-kernels",
            "ocelli-infer",
            "ocelli-journal",
            "ocelli-drivers",
            "ocelli-heap",
        ],
    ),
    ("xtask", &[]),
];

/// Lock files: of the program and its tests, of what takes a fleet's events, of the panel, of the driver of pins alone, and of the fuzzer.
const LOCKS: [&str; 5] = [
    "Cargo.lock",
    "tools/fleet/Cargo.lock",
    "firmware/panel/Cargo.lock",
    "tests/pins/Cargo.lock",
    "tests/fuzz/Cargo.lock",
];

/// Libraries that only one crate may name.
const OWNED: [(&str, &str); 18] = [
    ("tract-onnx", "ocelli-infer"),
    ("rusqlite", "ocelli-journal"),
    ("v4l", "ocelli-drivers"),
    ("openh264", "ocelli-drivers"),
    ("jpeg-encoder", "ocelli-drivers"),
    ("shiguredo_mp4", "ocelli-drivers"),
    ("retina", "ocelli-drivers"),
    ("yuv", "ocelli-drivers"),
    ("zune-jpeg", "ocelli-drivers"),
    ("fast_image_resize", "ocelli-drivers"),
    ("rppal", "ocelli-drivers"),
    ("gpiocdev", "ocelli-drivers"),
    ("embedded-graphics", "ocelli-drivers"),
    ("ssd1306", "ocelli-drivers"),
    ("epd-waveshare", "ocelli-drivers"),
    ("mipidsi", "ocelli-drivers"),
    ("serial2", "ocelli-drivers"),
    ("postcard", "ocelli-link"),
];

fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new().current_dir(ocelli_e2e::root()).no_deps().exec().expect("cargo knows us");
    metadata.packages
}

fn normal(package: &Package) -> impl Iterator<Item = &str> {
    package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal).map(|d| d.name.as_str())
}

#[test]
fn dependencies_point_inward() {
    let packages = packages();
    assert_eq!(packages.len(), ALLOWED.len(), "each crate has a line in the table");
    for package in &packages {
        let name = package.name.as_str();
        let allowed = ALLOWED.iter().find(|(known, _)| *known == name).expect(name).1;
        for dependency in normal(package) {
            let ours = ALLOWED.iter().any(|(known, _)| *known == dependency);
            assert!(!ours || allowed.contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn each_device_library_has_one_owner_and_the_words_have_none() {
    for package in &packages() {
        let name = package.name.as_str();
        for dependency in normal(package) {
            let owner = OWNED.iter().find(|(library, _)| *library == dependency).map(|(_, owner)| *owner);
            assert!(owner.is_none_or(|owner| owner == name), "{name} must not name {dependency}");
        }
        assert!(name != "ocelli-types" || normal(package).next().is_none(), "the words depend on nothing");
    }
}

/// Every package that a build may take, ours included.
fn all() -> Vec<Package> {
    let metadata = MetadataCommand::new().current_dir(ocelli_e2e::root()).exec().expect("cargo knows them");
    let resolved = metadata.resolve.expect("they are resolved");
    let taken = |package: &Package| resolved.nodes.iter().any(|node| node.id == package.id);
    metadata.packages.into_iter().filter(taken).collect()
}

/// Texts of a list in `deny.toml`.
fn texts<'a>(list: &'a Value, key: Option<&str>) -> Vec<&'a str> {
    let text = |value: &'a Value| key.map_or(Some(value), |key| value.get(key)).and_then(Value::as_str);
    list.as_array().expect("a list").iter().map(|value| text(value).expect("a text")).collect()
}

/// Whether one may choose only what is allowed: `A OR B`, and `(A OR B) AND C`, as expressions are written; `/` is an old `OR`.
fn may_be_taken(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ");
    let either = |part: &str| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.split(" OR ").any(|licence| allowed.contains(&licence.trim()))
    };
    if expression.contains('(') || !expression.contains(" OR ") {
        return expression.split(" AND ").all(either);
    }
    // `AND` binds more than `OR`.
    expression.split(" OR ").any(|part| part.split(" AND ").all(either))
}

/// A file of TOML in the project.
fn read(name: &str) -> Value {
    let text = fs::read_to_string(ocelli_e2e::root().join(name)).expect(name);
    toml::from_str(&text).expect(name)
}

#[test]
fn what_the_program_is_made_of_may_be_taken_and_comes_from_the_registry() {
    let rules = read("deny.toml");
    let (licences, banned) = (texts(&rules["licenses"]["allow"], None), texts(&rules["bans"]["deny"], Some("crate")));
    let named = texts(&rules["licenses"]["clarify"], Some("crate"));
    let packages = all();
    assert!(packages.len() > 100, "{} packages are not all", packages.len());
    for package in &packages {
        let name = package.name.as_str();
        let is_ours = package.source.is_none();
        assert!(is_ours || package.source.as_ref().is_some_and(cargo_metadata::Source::is_crates_io), "{name}");
        assert!(!banned.contains(&name), "{name} is banned");
        match &package.license {
            Some(licence) => assert!(may_be_taken(licence, &licences), "{name} is {licence}"),
            None => assert!(named.contains(&name), "{name} names no licence"),
        }
    }
}

#[test]
fn licences_are_read_as_they_are_meant() {
    let allowed = ["MIT", "ISC", "Unicode-3.0"];
    for (expression, taken) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("MIT/Apache-2.0", true),
        ("Apache-2.0 AND ISC", false),
        ("MIT AND ISC", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND OpenSSL", false),
        ("GPL-3.0-only OR MIT AND OpenSSL", false),
        ("Apache-2.0 WITH LLVM-exception", false),
    ] {
        assert_eq!(may_be_taken(expression, &allowed), taken, "{expression}");
    }
}

/// A text in a table.
fn field<'a>(table: &'a Value, key: &str) -> &'a str {
    table.get(key).and_then(Value::as_str).expect(key)
}

/// What a lock file takes from elsewhere, each with its version.
fn locked(lock: &Value) -> impl Iterator<Item = (&str, Version)> {
    let packages = lock["package"].as_array().expect("packages");
    let foreign = packages.iter().filter(|package| package.get("source").is_some());
    foreign.map(|package| (field(package, "name"), field(package, "version").parse().expect("a version")))
}

/// Whether an advisory concerns a version. As cargo reads ranges, a pre-release lies in none that names none of its version.
fn concerns(advisory: &Value, version: &Version) -> bool {
    let ranges = ["patched", "unaffected"].into_iter().filter_map(|key| advisory.get(key));
    let mut ranges = ranges.flat_map(|ranges| texts(ranges, None));
    !ranges.any(|range| VersionReq::parse(range).expect(range).matches(version))
}

/// What is wrong with locked versions: advisories that concern one and are not accepted, those that are and do not concern
/// one version alone, and crates that nobody has looked up.
fn wrong(locks: &[(&str, Value)], facts: &Value, accepted: &[&str]) -> Vec<String> {
    let advisories = facts["advisory"].as_array().expect("advisories");
    let without = texts(&facts["without"], None);
    let mut wrong = Vec::new();
    let mut concerned: Vec<BTreeSet<Version>> = vec![BTreeSet::new(); accepted.len()];
    for (file, lock) in locks {
        for (name, version) in locked(lock) {
            let mut known = without.contains(&name);
            for advisory in advisories.iter().filter(|advisory| field(advisory, "crate") == name) {
                known = true;
                let (id, kind) = (field(advisory, "id"), field(advisory, "kind"));
                if concerns(advisory, &version) {
                    match accepted.iter().position(|accepted| *accepted == id) {
                        Some(place) => {
                            concerned[place].insert(version.clone());
                        }
                        None => wrong.push(format!("{file}: {name} {version} has {id} ({kind})")),
                    }
                }
            }
            if !known {
                wrong.push(format!("{file}: {name} is not in advisories.toml"));
            }
        }
    }
    for (id, versions) in accepted.iter().zip(concerned) {
        if versions.len() != 1 {
            wrong.push(format!("{id} is accepted for one version and concerns {}", versions.len()));
        }
    }
    wrong
}

#[test]
fn no_locked_version_has_an_advisory_that_is_not_accepted() {
    let (rules, facts) = (read("deny.toml"), read("advisories.toml"));
    let ignored = &rules["advisories"]["ignore"];
    assert!(texts(ignored, Some("reason")).iter().all(|reason| !reason.is_empty()), "each is accepted for a reason");
    let locks = LOCKS.map(|file| (file, read(file)));
    let wrong = wrong(&locks, &facts, &texts(ignored, Some("id")));
    assert!(wrong.is_empty(), "as of {}:\n{}", field(&facts, "as_of"), wrong.join("\n"));
}

/// Why the advisories of these are accepted: rumqttc alone names them, and of what it has of them nothing is called.
#[test]
fn what_is_accepted_for_one_user_has_no_other() {
    for (accepted, user) in [("rustls-webpki 0.102.8", "rumqttc"), ("rustls-pemfile", "rumqttc")] {
        for file in LOCKS {
            let lock = read(file);
            let names = |package: &&Value| {
                package.get("dependencies").is_some_and(|list| texts(list, None).contains(&accepted))
            };
            let users: Vec<&str> =
                lock["package"].as_array().expect("packages").iter().filter(names).map(|p| field(p, "name")).collect();
            let has_it = ["Cargo.lock", "tests/fuzz/Cargo.lock"].contains(&file);
            let expected: &[&str] = if has_it { &[user] } else { &[] };
            assert_eq!(users, expected, "{file}: {accepted}");
        }
    }
}

#[test]
fn advisories_are_held_against_versions_as_they_are_meant() {
    let facts = toml::from_str(
        r#"without = ["log"]
           advisory = [
               { id = "A", crate = "tar", kind = "unsound", patched = ["^0.3.9", ">= 0.4.45"], unaffected = ["< 0.2"] },
               { id = "B", crate = "paste", kind = "unmaintained", patched = [] },
           ]"#,
    );
    let facts: Value = facts.expect("TOML");
    let lock = |packages: &[(&str, &str)]| {
        let package = |(name, version): &(&str, &str)| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"registry\"\n")
        };
        let text: String = packages.iter().map(package).collect();
        toml::from_str::<Value>(&text).expect("TOML")
    };
    let said = |packages: &[(&str, &str)], accepted: &[&str]| wrong(&[("lock", lock(packages))], &facts, accepted);
    for (version, concerned) in [
        ("0.1.9", false),
        ("0.2.0", true),
        ("0.3.8", true),
        ("0.3.9", false),
        ("0.4.44", true),
        ("0.4.45", false),
        ("0.4.46+built", false),
        ("0.4.46-rc.1", true),
    ] {
        let expected: &[String] = &[format!("lock: tar {version} has A (unsound)")];
        assert_eq!(said(&[("tar", version)], &[]), if concerned { expected } else { &[] }, "{version}");
    }
    assert_eq!(said(&[("paste", "1.0.15")], &[]), ["lock: paste 1.0.15 has B (unmaintained)"]);
    assert!(said(&[("paste", "1.0.15"), ("log", "0.4.0")], &["B"]).is_empty());
    assert!(said(&[("tar", "0.4.44"), ("tar", "0.4.45")], &["A"]).is_empty());
    assert_eq!(said(&[("tar", "0.4.45")], &["A"]), ["A is accepted for one version and concerns 0"]);
    assert_eq!(said(&[("tar", "0.4.44"), ("tar", "0.3.1")], &["A"]), ["A is accepted for one version and concerns 2"]);
    assert_eq!(said(&[("tar", "0.3.9"), ("tar", "0.4.1")], &[]), ["lock: tar 0.4.1 has A (unsound)"]);
    assert_eq!(said(&[("logs", "1.0.0")], &[]), ["lock: logs is not in advisories.toml"]);
}
