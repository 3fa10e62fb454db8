//! `ocelli run --enforce`: the budget is held by the system and the allocator, and not by the plan alone.
//!
//! Where the program may make cgroups (v2) below its own, it moves into one with `memory.max`, which counts what the plan
//! counts: the resident set. Where its own cgroup has a limit within the budget already, that one holds. Else
//! `RLIMIT_DATA` does: private writable memory, touched or not, whoever asked for it; what it does not see is code, which
//! is left out of it. Not `RLIMIT_AS`, which also counts code that is never touched, mapped files, and the 64 MiB of
//! addresses that the system's allocator sets apart for each thread. In each case the allocator has a ceiling of its own,
//! what the budget leaves for the heap: it is reached first and can say so, while a cgroup kills without a word.
//!
//! Commands that the program starts (`--command`, ffmpeg) are not held: they have memory of their own.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use ocelli_drivers::{Release, release_commands};
use ocelli_heap::CountingAlloc;

use crate::error::{Error, note};
use crate::plan::{Plan, mebibytes};

/// Where cgroups of version 2 are: alone, or beside those of version 1.
const CGROUP_ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// Cgroups of this program begin with it.
const PREFIX: &str = "ocelli-";

/// A budget that is about to be held: from [`Fence::enter`] what is allocated is counted where it will be, and
/// [`Fence::close`] sets the limits, once the plan is known to fit.
#[derive(Debug)]
pub struct Fence {
    budget_bytes: u64,
    holder: Holder,
}

#[derive(Debug)]
enum Holder {
    /// A cgroup of our own, in which we are.
    Own(Cgroup),
    /// The cgroup in which we were started has a limit within the budget.
    Given { name: String, bytes: u64 },
    /// No cgroup can, for this reason; with what to do.
    Data { why: String },
}

impl Fence {
    /// Chooses what will hold the budget. The heap may not grow above it from here on, be the pack as large as it will.
    pub fn enter(budget_bytes: u64) -> Self {
        CountingAlloc::set_ceiling(budget_bytes, budget_bytes);
        let root = CGROUP_ROOTS.into_iter().map(Path::new).find(|root| root.join("cgroup.controllers").is_file());
        let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let holder = match root {
            Some(root) => Holder::find(root, &membership, budget_bytes, std::process::id()),
            None => Holder::data("this system has no cgroups of version 2", budget_bytes),
        };
        let Holder::Given { name, bytes } = &holder else { return Self { budget_bytes, holder } };
        if *bytes < budget_bytes {
            let (bytes, budget) = (mebibytes(*bytes), mebibytes(budget_bytes));
            note(format_args!("the cgroup {name} has memory.max {bytes}: that is the budget, and not {budget}"));
        }
        CountingAlloc::set_ceiling(*bytes, *bytes);
        Self { budget_bytes: *bytes, holder }
    }

    /// What may be planned for: the budget, or less where the cgroup that the program was started in has less.
    pub fn budget_bytes(&self) -> u64 {
        self.budget_bytes
    }

    /// Holds the budget from here on, with the commands outside, and says what does.
    pub fn close(self, plan: &Plan) -> Result<String, Error> {
        let budget_bytes = self.budget_bytes;
        // Commands have the rest of it, and limits of their own.
        let own_bytes = budget_bytes.saturating_sub(plan.command_bytes());
        let refused = |what, source| Error::Enforce { what, source, advice: advice(budget_bytes) };
        let by = match self.holder {
            Holder::Own(cgroup) => {
                let commands = cgroup.close(own_bytes).map_err(|source| refused("memory.max of its cgroup", source))?;
                release_commands(Release { cgroup: Some(commands), data_limit: None });
                format!("memory.max of the cgroup {}", cgroup.name)
            }
            Holder::Given { name, .. } => format!("memory.max of the cgroup {name}, which holds commands too"),
            Holder::Data { why } => {
                let most = own_bytes.saturating_sub(plan.code_bytes());
                let before = limit_data(most).map_err(|source| refused("RLIMIT_DATA", source))?;
                release_commands(Release { cgroup: None, data_limit: Some(before) });
                let code = mebibytes(plan.code_bytes());
                let most = mebibytes(most.min(before));
                format!("RLIMIT_DATA, {most} beside {code} of code, since no cgroup is ours ({why})")
            }
        };
        let heap_bytes = budget_bytes.saturating_sub(plan.beside_heap_bytes());
        CountingAlloc::set_ceiling(heap_bytes, budget_bytes);
        let (budget, heap) = (mebibytes(budget_bytes), mebibytes(heap_bytes));
        Ok(format!("budget of {budget} enforced by a heap of at most {heap}, and by {by}"))
    }
}

/// What a person can do for a cgroup.
fn advice(budget_bytes: u64) -> String {
    format!("start it in a systemd unit with MemoryMax={}M or Delegate=yes", budget_bytes >> 20)
}

/// Lowers the soft limit of private writable memory to `most` bytes, unless it is lower already. The hard one stays, so that
/// commands can be given back what was, which is the answer.
#[expect(unsafe_code, reason = "the limits of a process are set by a system call")]
fn limit_data(most: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live rlimit that the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_cur.min(most);
    // SAFETY: `limit` is a live rlimit; lowering it touches no memory.
    if unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    match crate::pulse::status_bytes("VmData:") {
        Some(held) if held > limit.rlim_cur => {
            let (held, most) = (mebibytes(held), mebibytes(limit.rlim_cur));
            Err(io::Error::other(format!("{held} are held already, and it may be {most}")))
        }
        _ => Ok(before),
    }
}

/// A cgroup of our own with a sibling for commands.
#[derive(Debug)]
struct Cgroup {
    /// As `/proc/self/cgroup` writes it.
    name: String,
    folder: PathBuf,
    commands: PathBuf,
}

impl Holder {
    /// What can hold the budget below `root`, for a process that is where `membership` (`/proc/self/cgroup`) says.
    fn find(root: &Path, membership: &str, budget_bytes: u64, pid: u32) -> Self {
        let Some(name) = membership.lines().find_map(|line| line.strip_prefix("0::")) else {
            return Self::data("it is in no cgroup of version 2", budget_bytes);
        };
        let folder = root.join(name.trim_start_matches('/'));
        let given = fs::read_to_string(folder.join("memory.max")).ok().and_then(|text| text.trim().parse().ok());
        if let Some(bytes) = given.filter(|bytes| *bytes <= budget_bytes) {
            return Self::Given { name: name.to_owned(), bytes };
        }
        let counts_memory = |cgroup: &Path| {
            let controllers = fs::read_to_string(cgroup.join("cgroup.controllers")).unwrap_or_default();
            controllers.split_whitespace().any(|controller| controller == "memory")
        };
        if !counts_memory(root) {
            // No unit brings what its kernel was started without, as Raspberry Pi's is.
            let why = "the kernel has no memory controller: put cgroup_enable=memory on its command line, in \
                       /boot/firmware/cmdline.txt of a Raspberry Pi, and boot";
            return Self::Data { why: why.into() };
        }
        if !counts_memory(&folder) {
            return Self::data(&format!("{name} has no memory controller"), budget_bytes);
        }
        match Cgroup::enter(&folder, name, pid) {
            Ok(cgroup) => Self::Own(cgroup),
            Err(error) => Self::data(&format!("{name}: {error}"), budget_bytes),
        }
    }

    fn data(why: &str, budget_bytes: u64) -> Self {
        Self::Data { why: format!("{why}; for one, {}", advice(budget_bytes)) }
    }
}

impl Cgroup {
    /// Makes a cgroup below `parent` and moves the process `pid` into it; leaves all as it was where that fails.
    fn enter(parent: &Path, name: &str, pid: u32) -> io::Result<Self> {
        // Earlier runs could not remove the cgroup that they were in.
        for entry in fs::read_dir(parent)?.flatten().filter(|entry| is_stale(&entry.file_name().to_string_lossy())) {
            let _ = fs::remove_dir(entry.path());
        }
        let own = format!("{PREFIX}{pid}");
        let name = format!("{}/{own}", name.trim_end_matches('/'));
        let (folder, commands) = (parent.join(&own), parent.join(format!("{own}-commands")));
        let cgroup = Self { name, folder, commands };
        let entered = cgroup.make(parent, pid);
        if entered.is_err() {
            let _ = fs::write(parent.join("cgroup.procs"), pid.to_string());
            let _ = fs::remove_dir(&cgroup.folder);
            let _ = fs::remove_dir(&cgroup.commands);
        }
        entered.map(|()| cgroup)
    }

    /// In this order: a cgroup that hands a controller on may hold no process of its own.
    fn make(&self, parent: &Path, pid: u32) -> io::Result<()> {
        fs::create_dir(&self.folder)?;
        fs::create_dir(&self.commands)?;
        fs::write(self.folder.join("cgroup.procs"), pid.to_string())?;
        fs::write(parent.join("cgroup.subtree_control"), "+memory")?;
        // Whether it can be written is found out now, while there is another way.
        fs::write(self.folder.join("memory.max"), "max")
    }

    /// Limits it, and gives the file with which commands move out.
    fn close(&self, budget_bytes: u64) -> io::Result<File> {
        let commands =
            File::options().write(true).create(true).truncate(false).open(self.commands.join("cgroup.procs"))?;
        let swap = self.folder.join("memory.swap.max");
        // A kernel without swap has no such file.
        match fs::write(swap, "0") {
            Err(error)
                if error.kind() != io::ErrorKind::NotFound && error.kind() != io::ErrorKind::PermissionDenied =>
            {
                return Err(error);
            }
            _ => {}
        }
        fs::write(self.folder.join("memory.max"), budget_bytes.to_string())?;
        Ok(commands)
    }
}

/// Whether a cgroup of this name is ours, of a process that is no more.
fn is_stale(name: &str) -> bool {
    let pid = name.strip_prefix(PREFIX).map(|rest| rest.trim_end_matches("-commands"));
    pid.and_then(|pid| pid.parse::<u32>().ok()).is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: u64 = 128 << 20;

    /// A tree of files as the kernel shows one; `controllers` of the cgroup `/unit`.
    fn tree(controllers: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("there is a temporary folder");
        fs::write(root.path().join("cgroup.controllers"), "cpu memory pids\n").expect("it is writable");
        let unit = root.path().join("unit");
        fs::create_dir(&unit).expect("it is writable");
        fs::write(unit.join("cgroup.controllers"), controllers).expect("it is writable");
        root
    }

    fn find(root: &tempfile::TempDir) -> Holder {
        Holder::find(root.path(), "4:memory:/elsewhere\n0::/unit\n", BUDGET, 12)
    }

    fn read(root: &tempfile::TempDir, path: &str) -> String {
        fs::read_to_string(root.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    #[test]
    fn a_delegated_cgroup_gets_one_for_us_and_one_for_commands() {
        let root = tree("cpu memory pids\n");
        // No process has this number; one has that of this test.
        let [stale, used] = ["ocelli-4200000-commands".to_owned(), format!("ocelli-{}-commands", std::process::id())]
            .map(|name| root.path().join("unit").join(name));
        [&stale, &used].iter().for_each(|folder| fs::create_dir(folder).expect("it is writable"));
        let Holder::Own(cgroup) = find(&root) else { panic!("it is ours") };
        assert!(!stale.exists() && used.exists(), "what an earlier run left is gone, and no other");
        assert_eq!(cgroup.name, "/unit/ocelli-12");
        assert_eq!(read(&root, "unit/ocelli-12/cgroup.procs"), "12");
        assert_eq!(read(&root, "unit/cgroup.subtree_control"), "+memory");
        assert_eq!(read(&root, "unit/ocelli-12/memory.max"), "max", "until the plan fits");

        cgroup.close(BUDGET).expect("it is writable");
        assert_eq!(read(&root, "unit/ocelli-12/memory.max"), BUDGET.to_string());
        assert_eq!(read(&root, "unit/ocelli-12/memory.swap.max"), "0");
        assert_eq!(read(&root, "unit/ocelli-12-commands/cgroup.procs"), "", "nothing was started yet");
    }

    #[test]
    fn a_limit_within_the_budget_holds_as_it_is() {
        let root = tree("memory\n");
        fs::write(root.path().join("unit/memory.max"), "67108864\n").expect("it is writable");
        let Holder::Given { name, bytes } = find(&root) else { panic!("it is there") };
        assert_eq!((name.as_str(), bytes), ("/unit", 64 << 20));
        assert!(!root.path().join("unit/ocelli-12").exists());
        for wider in ["max\n", "1073741824\n"] {
            fs::write(root.path().join("unit/memory.max"), wider).expect("it is writable");
            assert!(matches!(find(&root), Holder::Own(_)), "{wider}");
            fs::remove_dir_all(root.path().join("unit/ocelli-12")).expect("it is there");
            fs::remove_dir_all(root.path().join("unit/ocelli-12-commands")).expect("it is there");
        }
    }

    #[test]
    fn what_is_not_ours_is_left_as_it_was_with_the_reason() {
        let no_memory = tree("cpu pids\n");
        // A folder in place of a file: it cannot be written, as a file of somebody else.
        let (busy, no_limit) = (tree("memory\n"), tree("memory\n"));
        fs::create_dir(busy.path().join("unit/cgroup.subtree_control")).expect("it is writable");
        fs::create_dir(no_limit.path().join("unit/ocelli-12")).expect("it is writable");
        fs::write(no_limit.path().join("unit/ocelli-12/kept"), "in use").expect("it is writable");
        for (root, word) in [(&no_memory, "/unit has no memory controller"), (&busy, "/unit: "), (&no_limit, "/unit: ")]
        {
            let Holder::Data { why } = find(root) else { panic!("{word}: it is not ours") };
            assert!(why.starts_with(word) && why.ends_with("MemoryMax=128M or Delegate=yes"), "{why}");
        }
        assert_eq!(read(&busy, "unit/cgroup.procs"), "12", "we are back where we were");
        assert!(!busy.path().join("unit/ocelli-12-commands").exists());
        let nowhere = Holder::find(busy.path(), "4:memory:/elsewhere\n", BUDGET, 12);
        assert!(matches!(nowhere, Holder::Data { why } if why.contains("no cgroup")));
        // As with cgroup_disable=memory: neither the system nor its units have it.
        fs::write(no_memory.path().join("cgroup.controllers"), "cpu pids\n").expect("it is writable");
        let Holder::Data { why } = find(&no_memory) else { panic!("it is not ours") };
        assert!(why.contains("cgroup_enable=memory") && !why.contains("unit"), "{why}");
    }
}
