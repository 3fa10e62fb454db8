//! What the system must have before anything can be built, and how it gets there.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Result, bail};

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// Build the program.
    Build,
    /// Build and run the tests.
    Tests,
}

/// Something of the system that we need.
#[derive(Clone, Copy, Debug)]
struct Need {
    package: &'static str,
    why: &'static str,
    tests_only: bool,
    is_there: fn() -> bool,
}

const NEEDS: [Need; 4] = [
    Need { package: "g++", why: "compiles the H.264 decoder", tests_only: false, is_there: || on_path("c++") },
    Need { package: "libclang-dev", why: "reads the camera interface", tests_only: false, is_there: has_libclang },
    Need {
        package: "linux-libc-dev",
        why: "is the camera interface",
        tests_only: false,
        is_there: || Path::new("/usr/include/linux/videodev2.h").exists(),
    },
    Need { package: "ffmpeg", why: "makes clips for the tests", tests_only: true, is_there: || on_path("ffmpeg") },
];

/// Installs what lacks, or says what to install.
pub fn run(purpose: For) -> Result<()> {
    let lacking = lacking(purpose, &NEEDS);
    if lacking.is_empty() {
        return Ok(());
    }
    let reasons: Vec<String> = lacking.iter().map(|need| format!("{} ({})", need.package, need.why)).collect();
    let names: Vec<&str> = lacking.iter().map(|need| need.package).collect();
    let by_hand = format!("install these packages by hand, then try again: {}", names.join(" "));
    if !on_path("apt-get") {
        bail!("this system has no apt-get; {by_hand}");
    }
    eprintln!("xtask: installing with apt-get: {}", reasons.join(", "));
    // An index that is out of date in part is no reason to stop: the installation decides.
    let _ = apt(&["update", "-q"]);
    if !apt(&[&["install", "-y", "-q", "--no-install-recommends"], &names[..]].concat()) {
        bail!("apt-get failed; {by_hand}");
    }
    Ok(())
}

fn lacking(purpose: For, needs: &[Need]) -> Vec<Need> {
    needs.iter().filter(|need| (purpose == For::Tests || !need.tests_only) && !(need.is_there)()).copied().collect()
}

/// Whether apt-get did it; with sudo where that is there, which a root shell often lacks and does not need.
fn apt(arguments: &[&str]) -> bool {
    let mut command = if on_path("sudo") { Command::new("sudo") } else { Command::new("env") };
    if on_path("sudo") {
        command.arg("env");
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
    command.status().is_ok_and(|status| status.success())
}

fn on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

fn has_libclang() -> bool {
    if env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let llvm = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let llvm = llvm.filter(|path| path.to_string_lossy().contains("llvm")).map(|path| path.join("lib"));
    let fixed = ["/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    llvm.chain(fixed.map(Into::into)).any(|folder| {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files
            .filter_map(|file| file.file_name().into_string().ok())
            .any(|name| name.starts_with("libclang.so") || (name.starts_with("libclang-") && name.contains(".so")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lacks_is_installed_and_test_tools_only_for_tests() {
        let need = |package, tests_only, is_there| Need { package, why: "", tests_only, is_there };
        let needs = [
            need("there", false, (|| true) as fn() -> bool),
            need("lacks", false, || false),
            need("lacks-in-tests", true, || false),
        ];
        let names = |purpose| lacking(purpose, &needs).iter().map(|need| need.package).collect::<Vec<_>>();
        assert_eq!(names(For::Build), ["lacks"]);
        assert_eq!(names(For::Tests), ["lacks", "lacks-in-tests"]);
    }
}
