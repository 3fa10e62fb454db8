//! A Debian of its own, which takes over with a unit that does the test.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chroot};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::machine::{become_root, mount, report, sleep_s};

const DISK: &str = "/dev/vda";
const ROOT: &str = "/disk";

/// What is done there, and the unit that does it when all else is up.
const SCRIPT: &str = "usr/local/bin/install-test";
const UNIT: &str = "[Unit]\nAfter=multi-user.target\n[Service]\nType=idle\nExecStart=/usr/local/bin/install-test\n\
    StandardOutput=tty\nStandardError=tty\nTTYPath=/dev/console\n[Install]\nWantedBy=multi-user.target\n";

pub fn run() -> ! {
    while !Path::new(DISK).exists() {
        sleep_s(0.02);
    }
    mount(DISK, ROOT, "ext4");
    let root = Path::new(ROOT);
    fs::copy("/install.sh", root.join(SCRIPT)).expect("there is room");
    fs::set_permissions(root.join(SCRIPT), fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::write(root.join("etc/systemd/system/install-test.service"), UNIT).expect("there is room");
    let mut enable = Command::new("/usr/bin/systemctl");
    inside(enable.args(["enable", "install-test.service"]));
    assert!(enable.status().is_ok_and(|status| status.success()), "systemd is there");
    report("takes over", &json!({}));
    become_root(root);
    let error = Command::new("/sbin/init").env_clear().exec();
    panic!("systemd does not start: {error}");
}

#[expect(unsafe_code, reason = "a child changes its root before it becomes another program")]
fn inside(command: &mut Command) {
    let change = || chroot(ROOT).and_then(|()| std::env::set_current_dir("/"));
    // SAFETY: the child makes two system calls and allocates nothing that another thread could hold.
    unsafe { command.pre_exec(change) };
}
