//! The first process of the emulated machine. It makes cameras with the kernel's test drivers, starts the program as a
//! board would, does to the cameras what happens to cameras, and reports what the program said, a line at a time, on
//! the console. `scene=` on the kernel's command line chooses what is done; what it must come to is for the host to say.

#[cfg(target_os = "linux")]
mod cuts;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod install;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod narrate;
#[cfg(target_os = "linux")]
mod player;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod v4l2;

#[cfg(target_os = "linux")]
fn main() {
    assert_eq!(std::process::id(), 1, "this is the first process of an emulated machine, and of no other");
    std::panic::set_hook(Box::new(|panic| {
        machine::report("failed", &serde_json::json!({"why": panic.to_string()}));
        machine::power_off();
    }));
    machine::boot();
    machine::limit();
    match std::env::var("scene").as_deref() {
        Ok("narrate") => narrate::run(),
        Ok("faults") => faults::run(),
        Ok("cuts") => cuts::run(),
        Ok("install") => install::run(),
        other => panic!("scene={other:?} is none of narrate, faults, cuts, install"),
    }
    machine::report("done", &serde_json::json!({}));
    machine::power_off();
}

#[cfg(not(target_os = "linux"))]
fn main() {}
