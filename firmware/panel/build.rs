//! Hands the linker the memory of the board that is built.

use std::path::PathBuf;
use std::{env, fs};

/// Boards, by their feature, and what of their memory is ours. Of RAM above 64 KiB the rest is left alone, so that counting the
/// stack's unused bytes stays short.
const MEMORY: [(&str, &str); 4] = [
    ("MICROBIT", "MEMORY { FLASH : ORIGIN = 0x00000000, LENGTH = 256K\n RAM : ORIGIN = 0x20000000, LENGTH = 16K }\n"),
    (
        "LM3S6965EVB",
        "MEMORY { FLASH : ORIGIN = 0x00000000, LENGTH = 256K\n RAM : ORIGIN = 0x20000000, LENGTH = 64K }\n",
    ),
    ("MPS2", "MEMORY { FLASH : ORIGIN = 0x00000000, LENGTH = 256K\n RAM : ORIGIN = 0x20000000, LENGTH = 64K }\n"),
    (
        "RP2040",
        "MEMORY { BOOT2 : ORIGIN = 0x10000000, LENGTH = 0x100\n FLASH : ORIGIN = 0x10000100, LENGTH = 2048K - 0x100\n \
         RAM : ORIGIN = 0x20000000, LENGTH = 64K }\n\
         SECTIONS { .boot2 ORIGIN(BOOT2) : { KEEP(*(.boot2)); } > BOOT2 } INSERT BEFORE .text;\n",
    ),
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_built = |board: &str| env::var_os(format!("CARGO_FEATURE_{board}")).is_some();
    let Some((_, memory)) = MEMORY.iter().find(|(board, _)| is_built(board)) else { return };
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo should name it"));
    fs::write(folder.join("memory.x"), memory).expect("cargo's own folder should be writable");
    println!("cargo:rustc-link-search={}", folder.display());
}
