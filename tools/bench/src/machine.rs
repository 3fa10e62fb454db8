//! The caches of this machine and a thread's time, as Linux states them.

use std::fs;
use std::path::Path;

/// Time that this thread had a CPU: what a search takes where nothing else runs.
pub fn cpu_ns() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// A level of the memory that data goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// `L1`, `L2`, `L3` or `DRAM`.
    pub name: String,
    /// What it holds; `usize::MAX` for the memory itself.
    pub bytes: usize,
    /// Size of a buffer by which its speed is measured.
    pub probe_bytes: usize,
}

/// Where Linux states them, for the first core.
const CACHES: &str = "/sys/devices/system/cpu/cpu0/cache";

/// Data caches and the memory, smallest first.
pub fn caches() -> Vec<Cache> {
    let stated = fs::read_dir(CACHES).into_iter().flatten().flatten().filter_map(|entry| stated(&entry.path()));
    let mut sizes: Vec<(String, usize)> = stated.collect();
    if sizes.is_empty() {
        // Some boards state none (a device tree without caches); these are sizes of a Cortex-A72.
        sizes = vec![("L1".into(), 32 << 10), ("L2".into(), 1 << 20)];
    }
    sizes.sort_by_key(|(_, bytes)| *bytes);
    let mut below = 0;
    let mut levels = Vec::new();
    for (name, bytes) in sizes {
        // In the middle of what this level holds and the one below does not. A cache that many cores share belongs to us
        // in part only.
        let probe_bytes = if below == 0 { bytes / 2 } else { (bytes / 2).clamp(below + below / 2, below * 8) };
        levels.push(Cache { name, bytes, probe_bytes: probe_bytes.min(bytes) });
        below = bytes;
    }
    let most = 1 << 30;
    levels.push(Cache { name: "DRAM".into(), bytes: usize::MAX, probe_bytes: (below * 4).clamp(64 << 20, most) });
    levels
}

/// The smallest level that so many bytes fit into.
///
/// # Panics
/// If `levels` does not end with one that holds everything.
pub fn holder(levels: &[Cache], bytes: usize) -> &Cache {
    levels.iter().find(|level| bytes <= level.bytes).expect("the memory should hold everything")
}

fn stated(folder: &Path) -> Option<(String, usize)> {
    let text = |file: &str| fs::read_to_string(folder.join(file)).ok().map(|text| text.trim().to_owned());
    let size = text("size")?;
    let bytes = size.strip_suffix('K')?.parse::<usize>().ok()? << 10;
    (text("type")? != "Instruction").then_some((format!("L{}", text("level")?), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_grow_and_each_is_measured_by_a_buffer_that_only_it_holds() {
        let levels = caches();
        for pair in levels.windows(2) {
            assert!(pair[0].bytes < pair[1].bytes, "{levels:?}");
            assert!(pair[1].probe_bytes > pair[0].bytes && pair[1].probe_bytes <= pair[1].bytes, "{levels:?}");
        }
        assert_eq!(holder(&levels, 1).name, levels[0].name);
        assert_eq!(holder(&levels, usize::MAX).name, "DRAM");
    }
}
