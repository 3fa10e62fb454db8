#!/bin/sh
# The pins of the program on two emulated boards: rppal on QEMU's raspi3b, gpiocdev on the PL061 of its virt machine. Ends with 0 if
# both did what they should. Each machine has ten minutes, and takes some seconds on a host that has time; where QEMU ends by itself, that
# is told at once with its words. `cargo xtask test-pins` installs what it needs, and names Debian's kernel for arm64, unpacked, by
# PINS_KERNEL.
set -eu
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
work=$root/target/pins
mkdir -p "$work"

kernel=$PINS_KERNEL
image=$(ls "$kernel"/boot/vmlinuz-*)

CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    cargo build --quiet --release --target aarch64-unknown-linux-gnu --target-dir "$work/build"

# rppal does not link statically, so the C library comes along.
tree=$work/tree
rm -rf "$tree"
mkdir -p "$tree/lib" "$tree/proc" "$tree/sys" "$tree/dev"
cp "$work/build/aarch64-unknown-linux-gnu/release/ocelli-pins" "$tree/init"
for library in ld-linux-aarch64.so.1 libc.so.6 libm.so.6 libgcc_s.so.1; do
    cp -L "/usr/aarch64-linux-gnu/lib/$library" "$tree/lib/"
done
cp "$(find "$kernel" -name bcm2835_wdt.ko)" "$tree/watchdog.ko"
(cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0) > "$work/initrd"
# Where no console is bound, Rust wants /dev/null at its start: a character device (mode 20666 in octal digits) with the numbers 1 and 3, as
# an entry of that archive (Linux, Documentation/driver-api/early-userspace/buffer-format.rst), as only root may make one to be packed.
{
    printf 070701
    printf %08X 1 0020666 0 0 1 0 0 0 0 1 3 9 0
    printf 'dev/null\0\0'
} >> "$work/initrd"

# Waits until the machine asks for its button, and presses it until it was felt: each press lasts a tenth of a second.
press() {
    while :; do
        if grep -aq '@ press' "$1" 2>/dev/null; then
            echo system_powerdown
        fi
        grep -aqE '@ (the button is on|failed)' "$1" 2>/dev/null && return
        sleep 2
    done
}

say() {
    grep -aso '@ .*' "$2" | tr -d '\r' | sed "s/^@/$1/"
    grep -aqs '@ done' "$2" || { echo "$1 failed; see $2"; cat "$2.qemu"; exit 1; }
}

log=$work/virt.log
monitor=$work/virt.monitor
rm -f "$log" "$monitor"
mkfifo "$monitor"
timeout 600 qemu-system-aarch64 -M virt -cpu cortex-a72 -m 256M -no-reboot -net none -display none \
    -monitor stdio -serial "file:$log" -kernel "$image" -initrd "$work/initrd" \
    -append "console=ttyAMA0 printk.devkmsg=on panic=-1" <"$monitor" >"$log.qemu" 2>&1 &
machine=$!
press "$log" >"$monitor" &
presser=$!
# Until it is done, or QEMU has ended by itself.
while kill -0 "$machine" 2>/dev/null && ! grep -aqE '@ (done|failed)' "$log" 2>/dev/null; do
    sleep 0.5
done
kill "$machine" "$presser" 2>/dev/null || true
say virt "$log"

log=$work/raspi3b.log
rm -f "$log"
timeout 600 qemu-system-aarch64 -M raspi3b -no-reboot -display none -monitor none -serial "file:$log" -serial null \
    -kernel "$image" -initrd "$work/initrd" -dtb "$(find "$kernel" -name bcm2837-rpi-3-b.dtb)" \
    -append 'earlycon=pl011,mmio32,0x3f201000 keep_bootcon console=ttyAMA1 loglevel=8 printk.devkmsg=on panic=-1 iomem=relaxed' \
    </dev/null >"$log.qemu" 2>&1 || true
say raspi3b "$log"
