#!/bin/sh
# Debian for arm64 with these packages in a folder, as the root of this machine: debian.sh FOLDER PACKAGE,PACKAGE...
#
# The scripts of its packages are programs for arm64, and run here through qemu-user: the emulated machine would take many times as long.
# That the kernel starts them so is said in namespaces of their own (Linux 6.7 or later), and nobody else sees it; a system that says it to
# all is taken as it is.
set -e
# As a Debian has it, whoever starts this.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

# The second stage: first until this script's other half has said who is who in the namespaces, then as their root.
case "$1" in
--wait)
    echo ready
    read -r _
    exec "$0" --inside "$2"
    ;;
--inside)
    known=/proc/sys/fs/binfmt_misc
    if [ ! -e $known/qemu-aarch64 ]; then
        mount -t binfmt_misc none $known
        # An ELF file of 64 bits, little endian, that is a program or a shared one, for AArch64; F: opened now, and so there after chroot.
        printf %s ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F' >$known/register
    fi
    # The devices were made by the first stage. That none can be made here the installer believes a container of this kind.
    exec env container=lxc chroot "$2" /debootstrap/debootstrap --second-stage
    ;;
esac

folder=$1
debootstrap --foreign --arch=arm64 --variant=minbase --include="$2" bookworm "$folder"

talk=$(mktemp -d)
trap 'rm -rf "$talk"' EXIT
mkfifo "$talk/to" "$talk/from"
unshare --user --mount --pid --fork --net "$0" --wait "$folder" <"$talk/to" >"$talk/from" &
namespaces=$!
exec 3>"$talk/to" 4<"$talk/from"
read -r _ <&4
# Users and groups there are those here: files get the owners that the packages want.
echo '0 0 65536' >/proc/$namespaces/uid_map
echo '0 0 65536' >/proc/$namespaces/gid_map
echo >&3
cat <&4
wait $namespaces
