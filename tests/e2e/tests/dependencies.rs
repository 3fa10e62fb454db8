//! Which crate may know which.

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
const OWNED: [(&str, &str); 16] = [
    ("tract-onnx", "ocelli-infer"),
    ("rusqlite", "ocelli-journal"),
    ("v4l", "ocelli-drivers"),
    ("openh264", "ocelli-drivers"),
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
