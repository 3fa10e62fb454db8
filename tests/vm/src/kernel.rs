//! Debian's kernel for arm64, its modules, and a loopback camera built for it. Nothing is installed: packages are fetched with
//! a list of their own and unpacked into a folder, which later runs use again as long as the kernel is the newest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::archive::Archive;

/// The package that depends on the newest kernel, whose name changes with each security update.
const NEWEST: &str = "linux-image-arm64";

/// The source of the loopback camera's module.
const LOOPBACK: &str = "v4l2loopback-dkms";

/// A kernel that can be started.
pub struct Kernel {
    /// Its file.
    pub image: PathBuf,
    /// Where its package was unpacked.
    pub folder: PathBuf,
    release: String,
}

impl Kernel {
    /// The newest; the newest of those that are here, where it cannot be fetched.
    pub fn newest(work: &Path) -> Result<Self> {
        // make and depmod, which start elsewhere, are told of folders below it.
        let work = &work.canonicalize()?;
        let apt = Apt::new(&work.join("apt"))?;
        apt.update();
        let fetched = apt.newest().and_then(|release| fetch(&apt, work, &release).map(|()| release));
        let release = match fetched {
            Ok(release) => release,
            Err(error) => here(work).with_context(|| format!("no kernel was fetched before, and now {error:#}"))?,
        };
        let folder = work.join("kernel").join(&release);
        Ok(Self { image: folder.join("boot").join(format!("vmlinuz-{release}")), folder, release })
    }

    pub fn release(&self) -> &str {
        &self.release
    }

    /// Puts these modules, with what they need, into an archive in the order in which they are to be loaded.
    pub fn add_modules(&self, archive: &mut Archive, modules: &[(&str, &str)]) -> Result<()> {
        let mut order: Vec<(String, String)> = Vec::new();
        for (module, parameters) in modules {
            let needs = run(Command::new("modprobe").arg("-d").arg(&self.folder).args([
                "-S",
                &self.release,
                "--show-depends",
                module,
            ]))?;
            for path in needs.lines().filter_map(|line| line.strip_prefix("insmod ")) {
                let path = Path::new(path.split_whitespace().next().unwrap_or(path));
                let file = path.file_name().context("a module is a file")?.to_string_lossy().into_owned();
                if !order.iter().any(|(known, _)| *known == file) {
                    archive.copy(&format!("modules/{file}"), path)?;
                    order.push((file, String::new()));
                }
            }
            let last = order.last_mut().with_context(|| format!("{module} is built into the kernel"))?;
            (*parameters).clone_into(&mut last.1);
        }
        let order: Vec<_> = order.iter().map(|(file, parameters)| format!("{file} {parameters}\n")).collect();
        archive.add("modules/order", order.concat().as_bytes());
        Ok(())
    }
}

/// Fetches a kernel, unless that was done before.
fn fetch(apt: &Apt, work: &Path, release: &str) -> Result<()> {
    let folder = work.join("kernel").join(release);
    if !folder.join("complete").exists() {
        eprintln!("vm: fetching the kernel {release} and building its loopback camera");
        let _ = fs::remove_dir_all(&folder);
        build(apt, &folder, release)?;
        fs::write(folder.join("complete"), "")?;
    }
    Ok(())
}

/// The newest kernel that was fetched before.
fn here(work: &Path) -> Option<String> {
    let kernels = fs::read_dir(work.join("kernel")).ok()?.flatten();
    let whole = kernels.filter(|kernel| kernel.path().join("complete").exists());
    let newest = whole.max_by_key(|kernel| kernel.metadata().and_then(|file| file.modified()).ok())?;
    Some(newest.file_name().to_string_lossy().into_owned())
}

/// apt with lists and downloads of its own, so that this machine need not know of arm64.
pub struct Apt {
    folder: PathBuf,
    host: String,
}

impl Apt {
    pub fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder.join("state/lists/partial"))?;
        fs::create_dir_all(folder.join("cache/archives/partial"))?;
        let host = run(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned();
        Ok(Self { folder: folder.canonicalize()?, host })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = self.folder.display();
        for option in [
            "APT::Architecture=arm64".into(),
            "APT::Architectures::=arm64".into(),
            format!("APT::Architectures::={}", self.host),
            format!("Dir::State={folder}/state"),
            "Dir::State::status=/dev/null".into(),
            format!("Dir::Cache={folder}/cache"),
            "APT::Sandbox::User=root".into(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }

    fn update(&self) {
        // A source that has no such architecture is no reason to stop: what is asked next decides.
        let _ = run(self.command("apt-get").args(["-qq", "update"]));
    }

    fn newest(&self) -> Result<String> {
        let needs = run(self.command("apt-cache").args(["depends", NEWEST]))?;
        let image = needs.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
        Ok(image.with_context(|| format!("apt knows no {NEWEST}"))?.to_owned())
    }

    /// Fetches packages and unpacks them below a folder.
    fn unpack(&self, packages: &[String], to: &Path) -> Result<()> {
        let fetched = to.join("fetched");
        fs::create_dir_all(&fetched)?;
        run(self.command("apt-get").args(["-qq", "download"]).args(packages).current_dir(&fetched))?;
        for package in fs::read_dir(&fetched)? {
            run(Command::new("dpkg-deb").arg("-x").arg(package?.path()).arg(to))?;
        }
        Ok(fs::remove_dir_all(&fetched)?)
    }
}

fn build(apt: &Apt, folder: &Path, release: &str) -> Result<()> {
    let version: Vec<&str> = release.splitn(3, '.').collect();
    ensure!(version.len() == 3, "{release} is no kernel's release");
    let series = format!("{}.{}", version[0], version[1]);
    let common = release.strip_suffix("-arm64").with_context(|| format!("{release} is not for arm64"))?;
    let sources = folder.join("sources");
    apt.unpack(&[format!("linux-image-{release}")], folder)?;
    apt.unpack(
        &[
            format!("linux-headers-{release}"),
            format!("linux-headers-{common}-common"),
            format!("linux-kbuild-{series}:{}", apt.host),
            LOOPBACK.into(),
        ],
        &sources,
    )?;
    let usr = sources.join("usr/src");
    let headers = usr.join(format!("linux-headers-{release}"));
    let makefile = headers.join("Makefile");
    // It names the place where the package would be installed.
    fs::write(&makefile, fs::read_to_string(&makefile)?.replace("/usr/src/", &format!("{}/", usr.display())))?;
    let module = fs::read_dir(&usr)?.flatten().map(|entry| entry.path());
    let module = { module }.find(|path| path.join("v4l2loopback.c").is_file()).context("v4l2loopback has no source")?;
    run(Command::new("make").arg("-s").arg("-C").arg(&headers).arg(format!("M={}", module.display())).args([
        "ARCH=arm64",
        "CROSS_COMPILE=aarch64-linux-gnu-",
        "modules",
    ]))?;
    let extra = folder.join("lib/modules").join(release).join("extra");
    fs::create_dir_all(&extra)?;
    // Without what a debugger would want, which is most of it.
    run(Command::new("aarch64-linux-gnu-strip").arg("--strip-debug").arg(module.join("v4l2loopback.ko")))?;
    fs::copy(module.join("v4l2loopback.ko"), extra.join("v4l2loopback.ko"))?;
    fs::remove_dir_all(&sources)?;
    run(Command::new("depmod").arg("-b").arg(folder).arg(release))?;
    Ok(())
}

/// Where tools lie, some where only root looks.
pub fn path() -> String {
    std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin"
}

/// Runs a tool to its end and gives what it printed.
pub fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.env("PATH", path());
    let output = command.output().with_context(|| format!("{program} does not start"))?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
