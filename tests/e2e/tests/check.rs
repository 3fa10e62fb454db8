//! `ocelli check` and `ocelli packs`, for people and programs.

use ocelli_e2e::{lines, ocelli};

#[test]
fn the_plan_adds_up() {
    let ran = ocelli(&["check", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let plan = &lines(&ran.out)[0];
    let items = plan["items"].as_array().expect("items");
    let sum: u64 = items.iter().map(|item| item["bytes"].as_u64().expect("bytes")).sum();
    assert!(items.iter().all(|item| item["name"].is_string()));
    assert_eq!(plan["planned_bytes"], sum);
    assert_eq!((&plan["budget_bytes"], &plan["fits"]), (&(128 << 20).into(), &true.into()));
}

#[test]
fn a_profile_sets_the_budget_and_the_scenes_and_nothing_else_of_the_plan() {
    let [home, pico, own] =
        [&["--profile", "home"][..], &["--profile", "pico"], &["--profile", "pico", "--memory-budget", "96MiB"]]
            .map(|profile| lines(&ocelli(&[&["check", "--json"][..], profile].concat()).out).remove(0));
    let budgets = [&home, &pico, &own].map(|plan| plan["budget_bytes"].as_u64().expect("a number") >> 20);
    assert_eq!(budgets, [128, 64, 96]);
    let others = |plan: &serde_json::Value| -> Vec<serde_json::Value> {
        let items = plan["items"].as_array().expect("items");
        items.iter().filter(|item| item["name"] != "memory: segments").cloned().collect()
    };
    assert_eq!((others(&home), &pico["fits"]), (others(&pico), &true.into()));
}

#[test]
fn people_see_pack_board_camera_and_memory() {
    let ran = ocelli(&["check"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(["pack ", "machine ", "camera ", "memory"].iter().all(|word| ran.out.contains(word)), "{}", ran.out);
}

#[test]
fn a_journal_can_be_named_as_for_a_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("ocelli.toml");
    std::fs::write(&config, "[alerts]\nescalate_after = \"1min\"\n").expect("it is writable");
    let (config, journal) = (config.to_str().expect("plain"), folder.path().join("x.journal"));
    let refused = ocelli(&["check", "--config", config]);
    assert!(refused.code == Some(2) && refused.err.contains("needs a journal"), "{}", refused.err);
    let ran = ocelli(&["check", "--config", config, "--journal", journal.to_str().expect("plain")]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("x.journal: none yet") && ran.out.contains("told again after 1min"), "{}", ran.out);
}

#[test]
fn both_packs_of_the_project_are_listed() {
    let ran = ocelli(&["packs", "--json"]);
    let packs = lines(&ran.out);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for name in ["home", "tiny-test"] {
        assert!(packs.iter().any(|pack| pack["name"] == name && pack["entries"].as_u64() > Some(0)), "{}", ran.out);
    }
}

#[test]
fn the_schema_is_json_and_knows_the_keys() {
    let ran = ocelli(&["check", "--schema"]);
    let schema: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let keys = schema["properties"].as_object().expect("properties");
    assert!(
        ["profile", "memory_budget", "enforce", "pack", "camera", "output"].iter().all(|key| keys.contains_key(*key))
    );
}
