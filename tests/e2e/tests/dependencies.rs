//! Which crate may know which, and what all of it is made of.

use std::fs;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

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
fn texts<'a>(list: &'a toml::Value, key: Option<&str>) -> Vec<&'a str> {
    let text = |value: &'a toml::Value| key.map_or(Some(value), |key| value.get(key)).and_then(toml::Value::as_str);
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

#[test]
fn what_the_program_is_made_of_may_be_taken_and_comes_from_the_registry() {
    let text = fs::read_to_string(ocelli_e2e::root().join("deny.toml")).expect("it is there");
    let rules: toml::Value = toml::from_str(&text).expect("TOML");
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
