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
    /// Build and run benchmarks.
    Bench,
    /// Build the program, and evaluate packs.
    Eval,
    /// Build the program, and test its gateway with real clients.
    Gateway,
    /// Build the kernels alone, and run their tests on an emulated ARM CPU.
    Arm,
    /// Build the panel's firmware, and run it in an emulator.
    Panel,
    /// Build the program for arm64.
    Cross,
    /// Build the program for arm64, and an image of it.
    Image,
    /// Build it, and run it on an emulated machine.
    Machine,
    /// Install the Debian in which the package is tried there: what that takes beside a machine.
    Debian,
}

/// Something of the system that we need.
#[derive(Clone, Copy, Debug)]
struct Need {
    package: &'static str,
    why: &'static str,
    /// What alone needs it; empty where every build of the program does.
    only: &'static [For],
    is_there: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need { package: "g++", why: "compiles the H.264 decoder", only: &[], is_there: || on_path("c++") },
    Need { package: "libclang-dev", why: "reads the camera interface", only: &[], is_there: has_libclang },
    Need {
        package: "linux-libc-dev",
        why: "is the camera interface",
        only: &[],
        is_there: || Path::new("/usr/include/linux/videodev2.h").exists(),
    },
    Need {
        package: "ffmpeg",
        why: "makes and reads clips",
        only: &[For::Tests, For::Eval, For::Gateway, For::Machine],
        is_there: || on_path("ffmpeg"),
    },
    Need {
        package: "mosquitto",
        why: "is a broker that MQTT is tested against",
        only: &[For::Tests, For::Gateway],
        is_there: || Path::new("/usr/sbin/mosquitto").exists() || on_path("mosquitto"),
    },
    Need {
        package: "nats-server",
        why: "is another one",
        only: &[For::Tests, For::Gateway],
        is_there: || Path::new("/usr/sbin/nats-server").exists() || on_path("nats-server"),
    },
    Need {
        package: "gir1.2-gst-rtsp-server-1.0",
        why: "is a camera of the network",
        only: &[For::Tests, For::Gateway],
        is_there: || has_typelib("GstRtspServer-1.0"),
    },
    Need {
        package: "python3-gi",
        why: "switches it on",
        only: &[For::Tests, For::Gateway],
        // That of the system: another Python on the path does not see its packages.
        is_there: || {
            Command::new("/usr/bin/python3").args(["-c", "import gi"]).output().is_ok_and(|ran| ran.status.success())
        },
    },
    Need {
        package: "openssl",
        why: "makes certificates for tests",
        only: &[For::Tests, For::Gateway],
        is_there: || on_path("openssl"),
    },
    Need {
        package: "python3-venv",
        why: "holds what is scored, and compared with",
        only: &[For::Tests, For::Bench, For::Eval, For::Gateway],
        is_there: || Command::new("python3").args(["-c", "import ensurepip, venv"]).status().is_ok_and(|s| s.success()),
    },
    Need {
        package: "faketime",
        why: "lets the gateway's tests have a day in a minute",
        only: &[For::Gateway],
        is_there: || on_path("faketime"),
    },
    Need { package: "chromium", why: "shows the web page", only: &[For::Gateway], is_there: || on_path("chromium") },
    Need {
        package: "fonts-dejavu-core",
        why: "is what the page's looks are compared in",
        only: &[For::Gateway],
        is_there: || Path::new("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf").exists(),
    },
    Need {
        package: "gcc-aarch64-linux-gnu",
        why: "links programs for ARM",
        only: &[For::Arm, For::Cross, For::Image, For::Machine],
        is_there: || on_path("aarch64-linux-gnu-gcc"),
    },
    Need {
        package: "libc6-dev-arm64-cross",
        why: "is their C library",
        only: &[For::Arm, For::Cross, For::Image, For::Machine],
        is_there: || cfg!(target_arch = "aarch64") || Path::new("/usr/aarch64-linux-gnu/lib/Scrt1.o").exists(),
    },
    Need {
        package: "qemu-user-static",
        why: "runs them",
        only: &[For::Arm, For::Machine],
        is_there: || on_path("qemu-aarch64-static"),
    },
    Need {
        package: "g++-aarch64-linux-gnu",
        why: "compiles the H.264 decoder for ARM",
        only: &[For::Cross, For::Image, For::Machine],
        is_there: || on_path("aarch64-linux-gnu-g++"),
    },
    Need {
        package: "dpkg",
        why: "makes and reads packages",
        only: &[For::Cross, For::Image, For::Machine],
        is_there: || on_path("dpkg-deb"),
    },
    Need { package: "buildah", why: "makes images", only: &[For::Image], is_there: || on_path("buildah") },
    Need {
        package: "qemu-system-arm",
        why: "emulates an arm64 machine, and the chips of the panel",
        only: &[For::Machine, For::Panel],
        is_there: || on_path("qemu-system-arm") && on_path("qemu-system-aarch64"),
    },
    Need { package: "make", why: "builds its loopback camera", only: &[For::Machine], is_there: || on_path("make") },
    Need {
        package: "kmod",
        why: "knows which modules of its kernel need which",
        only: &[For::Machine],
        is_there: || on_path("modprobe") || Path::new("/usr/sbin/modprobe").exists(),
    },
    Need {
        package: "cpio",
        why: "makes what it starts with where pins are tested",
        only: &[For::Machine],
        is_there: || on_path("cpio"),
    },
    Need {
        package: "debootstrap",
        why: "installs the Debian in which the package is tried",
        only: &[For::Debian],
        is_there: || on_path("debootstrap") || Path::new("/usr/sbin/debootstrap").exists(),
    },
    Need {
        package: "e2fsprogs",
        why: "makes its disk",
        only: &[For::Machine],
        is_there: || on_path("mke2fs") || Path::new("/usr/sbin/mke2fs").exists(),
    },
];

/// Installs what lacks, or says what to install.
pub fn run(purpose: For) -> Result<()> {
    let lacking = lacking(purpose, NEEDS);
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
    let wanted = needs.iter().filter(|need| {
        if need.only.is_empty() {
            ![For::Arm, For::Panel, For::Debian].contains(&purpose)
        } else {
            need.only.contains(&purpose)
        }
    });
    wanted.filter(|need| !(need.is_there)()).copied().collect()
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

pub fn on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

fn has_typelib(name: &str) -> bool {
    let file = format!("girepository-1.0/{name}.typelib");
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    // Each kind of CPU has its own folder.
    folders.chain(["/usr/lib".into()]).any(|folder| folder.join(&file).exists())
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
        let need = |package, only, is_there| Need { package, why: "", only, is_there };
        let needs = [
            need("there", &[], (|| true) as fn() -> bool),
            need("lacks", &[], || false),
            need("lacks-in-tests", &[For::Tests][..], || false),
        ];
        let names = |purpose| lacking(purpose, &needs).iter().map(|need| need.package).collect::<Vec<_>>();
        assert_eq!(names(For::Build), ["lacks"]);
        assert_eq!(names(For::Tests), ["lacks", "lacks-in-tests"]);
        assert!(names(For::Arm).is_empty(), "the kernels alone need nothing else");
        let of_debian = NEEDS.iter().filter(|need| need.only.contains(&For::Debian)).map(|need| need.package);
        assert_eq!(of_debian.collect::<Vec<_>>(), ["debootstrap"]);
        let debootstrap = NEEDS.iter().find(|need| need.package == "debootstrap").expect("it is there");
        assert_eq!(debootstrap.only, [For::Debian], "the tests of the machine do without it");
    }
}
