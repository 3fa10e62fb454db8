//! The program for arm64: linked statically, so that one file runs on any distribution, and as a Debian package.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::kernels::{self, LINKER, TARGET};
use crate::setup::For;
use crate::{bench, cargo, notices, root};

/// What the stripped program may have at most, in 10^6 bytes: one that has more is not taken, so that it does not grow unseen.
const MOST_MB: f64 = 25.0;

/// Debian's name of the target.
const ARCHITECTURE: &str = "arm64";

/// The version of cargo-deb, which makes packages as `firmware/device/Cargo.toml` has them.
const CARGO_DEB: &str = "3.8.0";

/// How the program is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As it goes onto a board: small where nothing is computed picture by picture.
    Device,
    /// The same without what takes long to link, for the tests.
    Emulated,
}

impl Profile {
    /// Its name in the workspace.
    const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Emulated => "emulated",
        }
    }
}

/// What the machine's parts are built of.
pub struct Built {
    /// The program, stripped.
    pub program: PathBuf,
    /// The first process of the emulated machine.
    pub guest: PathBuf,
}

impl Built {
    /// Where they are, once they were built.
    pub fn places(profile: Profile) -> Self {
        let folder = bench::target().join(TARGET).join(profile.name());
        Self { program: folder.join("ocelli-stripped"), guest: folder.join("ocelli-guest") }
    }
}

/// Builds both.
pub fn build(purpose: For, profile: Profile) -> Result<Built> {
    if let Some(lack) = kernels::arm(purpose) {
        bail!("the program cannot be built for ARM: {}", lack.why());
    }
    eprintln!("xtask: building the program for {TARGET} (the first time takes some minutes)");
    let name = profile.name();
    let mut build = cargo(&["build", "--profile", name, "--target", TARGET, "-p", "ocelli", "-p", "ocelli-guest"]);
    build.envs([
        LINKER,
        ("CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc"),
        ("CXX_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-g++"),
        crt_static(),
    ]);
    if !cfg!(target_arch = "aarch64") {
        // The camera interface as ARM has it.
        let clang = "--sysroot=/usr/aarch64-linux-gnu -I/usr/aarch64-linux-gnu/include";
        build.env("BINDGEN_EXTRA_CLANG_ARGS_aarch64_unknown_linux_gnu", clang);
    }
    bench::finish(&mut build)?;
    let built = Built::places(profile);
    let mut strip = Command::new("aarch64-linux-gnu-strip");
    bench::finish(strip.arg("-o").arg(&built.program).arg(built.program.with_file_name("ocelli")))?;
    let bytes = fs::metadata(&built.program)?.len();
    eprintln!("xtask: {} has {:.1} MB", built.program.display(), bytes as f64 / 1e6);
    if profile == Profile::Device {
        check_size(bytes)?;
    }
    Ok(built)
}

/// What links the program statically, and leaves out what cannot be.
pub const fn crt_static() -> (&'static str, &'static str) {
    ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static")
}

fn check_size(bytes: u64) -> Result<()> {
    let mb = bytes as f64 / 1e6;
    ensure!(
        mb <= MOST_MB,
        "the program has {mb:.1} MB, and may have {MOST_MB}: what is compiled for speed is in Cargo.toml (profile {})",
        Profile::Device.name()
    );
    Ok(())
}

/// Builds the package.
pub fn deb() -> Result<PathBuf> {
    build(For::Cross, Profile::Device)?;
    package(env!("CARGO_PKG_VERSION"))
}

/// Builds the image: an archive that `podman load` and `docker load` take.
pub fn image() -> Result<PathBuf> {
    build(For::Image, Profile::Device)?;
    let version = env!("CARGO_PKG_VERSION");
    let package = package(version)?;
    let out = bench::target().join("oci");
    let context = out.join("context");
    let _ = fs::remove_dir_all(&context);
    fs::create_dir_all(context.join("empty"))?;
    bench::finish(Command::new("dpkg-deb").arg("-x").arg(&package).arg(context.join("root")))?;
    // systemd's unit. Licences ask that their texts go with the program.
    fs::remove_dir_all(context.join("root/lib"))?;
    let tmp = context.join("root/tmp");
    fs::create_dir(&tmp)?;
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777))?;
    // What it keeps meanwhile stays here.
    let buildah = || {
        let mut command = Command::new("buildah");
        command.args(["--storage-driver", "vfs"]);
        command.arg("--root").arg(out.join("storage")).arg("--runroot").arg(out.join("run"));
        command
    };
    let platform = format!("linux/{ARCHITECTURE}");
    let mut build = buildah();
    build.args(["build", "--isolation", "chroot", "--platform", &platform, "--tag", "ocelli", "--file"]);
    bench::finish(build.arg(root().join("boards/oci/Containerfile")).arg(&context))?;
    let image = out.join(format!("ocelli_{ARCHITECTURE}.tar"));
    let _ = fs::remove_file(&image);
    bench::finish(buildah().args(["push", "ocelli", &format!("oci-archive:{}:ocelli:latest", image.display())]))?;
    bench::finish(buildah().args(["rmi", "ocelli"]))?;
    Ok(image)
}

/// Makes the package, of the program that was built.
pub fn package(version: &str) -> Result<PathBuf> {
    let tools = bench::target().join("tools");
    bench::finish(
        cargo(&["install", "cargo-deb", "--version", CARGO_DEB, "--locked", "--quiet", "--root"]).arg(&tools),
    )?;
    fs::write(Built::places(Profile::Device).program.with_file_name("NOTICES"), notices::text()?)?;
    let package = bench::target().join("deb").join(format!("ocelli_{version}_{ARCHITECTURE}.deb"));
    let mut deb = Command::new(tools.join("bin/cargo-deb"));
    deb.current_dir(root()).args(["--no-build", "--no-strip", "--target", TARGET, "--profile", Profile::Device.name()]);
    deb.args(["--package", "ocelli", "--deb-version", version, "--output"]).arg(&package);
    bench::finish(&mut deb)?;
    Ok(package)
}

#[cfg(test)]
mod tests {
    use super::check_size;

    #[test]
    fn a_program_that_is_too_large_is_refused() {
        check_size(25_000_000).unwrap();
        let error = check_size(25_100_000).unwrap_err().to_string();
        assert!(error.starts_with("the program has 25.1 MB, and may have 25:"), "{error}");
    }
}
