#!/bin/sh
# In the installed Debian, by systemd: the package is installed, lives, is reached, is upgraded, removed and purged. A line a step
# for the host.
say() { printf '@ {"at_s":%s,"what":"%s","more":{%s}}\n' "$(cut -d' ' -f1 /proc/uptime)" "$1" "$2"; }
# What was written to the console must have left it.
off() { sync; sleep 1; poweroff -f; }
die() { say failed "\"why\":\"$1\""; journalctl -u ocelli --no-pager -n 30; off; }
trap 'die "a command of the test failed"' EXIT
set -e
show() { systemctl show ocelli -p "$1" --value; }
# Waits for half of a minute until what follows is true.
until_true() { n=0; until "$@"; do n=$((n + 1)); [ $n -lt 60 ] || return 1; sleep 0.5; done; }
restarted() { [ "$(show NRestarts)" -ge 1 ] && systemctl -q is-active ocelli; }

mkdir -p /etc/systemd/system/ocelli.service.d
printf '[Service]\nWatchdogSec=10\nRestartSec=1\n' > /etc/systemd/system/ocelli.service.d/test.conf
dpkg -i /root/ocelli_1.deb || die "dpkg -i"
systemctl -q is-active ocelli || die "not active after its installation"
systemctl -q is-enabled ocelli || die "not enabled"
pid=$(show MainPID)
say installed "\"uid\":$(stat -c %u "/proc/$pid"),\"status\":\"$(show StatusText)\",\"memory_max\":$(show MemoryMax),\"exposure\":\"$(systemd-analyze security ocelli 2>/dev/null | tail -1 | tr -cd '[:alnum:]. :')\""

# Fed by pictures, for longer than the watchdog waits.
sleep 25
[ "$(show NRestarts)" = 0 ] && [ "$(show MainPID)" = "$pid" ] || die "the watchdog was not fed"
say fed "\"status\":\"$(show StatusText)\",\"memory_peak\":$(cat /sys/fs/cgroup/system.slice/ocelli.service/memory.peak)"

# A camera that goes away and comes back is no reason to restart.
echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind
sleep 15
case "$(show StatusText)" in *blind*) ;; *) die "not told as blind: $(show StatusText)" ;; esac
echo vivid.0 > /sys/bus/platform/drivers/vivid/bind
seeing() { show StatusText | grep -q 'seeing again'; }
until_true seeing || die "not seeing again: $(show StatusText)"
[ "$(show NRestarts)" = 0 ] || die "restarted because of its camera"
say replugged "\"status\":\"$(show StatusText)\""

# One that hangs is ended and started again.
kill -STOP "$pid"
until_true restarted || die "a program that hangs was not restarted"
say restarted "\"result\":\"$(journalctl -u ocelli --no-pager | grep -c 'Watchdog timeout')\""

# What is of this machine works without more: the page, and a broker that knows nobody else.
page() { timeout 10 bash -c "exec 3<>/dev/tcp/$1/8971 && printf 'GET / HTTP/1.1\r\nHost: $1:8971\r\nConnection: close\r\n\r\n' >&3 && head -n 1 <&3" 2>/dev/null | grep -q ' 200 '; }
online() { [ "$(mosquitto_sub -t "ocelli/home/$1/available" -C 1 -W 10)" = online ]; }
# debootstrap leaves it out, which no installer does.
echo '127.0.0.1 localhost' >> /etc/hosts
printf 'listener 1883\nallow_anonymous true\n' > /etc/mosquitto/conf.d/test.conf
systemctl restart mosquitto
cat >> /etc/ocelli/ocelli.toml <<END

[gateway]
listen = "127.0.0.1:8971"
users = "/var/lib/ocelli/users"

[mqtt]
broker = "mqtt://localhost"
device = "local"
END
systemctl restart ocelli || die "it does not start with gateway and broker"
until_true page 127.0.0.1 || die "the page is not there"
until_true online local || die "the broker heard nothing"
say local "\"status\":\"$(show StatusText)\""

# A network card with an address of a home, and one of the internet: the service is neither reached nor reaches anybody there.
home=192.168.77.1 internet=203.0.113.1
ip addr add $home/24 dev dummy0
ip addr add $internet/24 dev dummy0
ip link set dummy0 up
printf 'a long password' > /etc/ocelli/admin
sed -i "s/^listen = .*/listen = \"0.0.0.0:8971\"\npassword_file = \"\/etc\/ocelli\/admin\"/; s/localhost/$home/; s/^device = \"local\"/device = \"lan\"/" /etc/ocelli/ocelli.toml
systemctl restart ocelli || die "it does not start with a network"
until_true page 127.0.0.1 || die "the page is gone"
! page $home || die "it is reached from a network that nobody allowed"
! online lan || die "it reached a broker of a network that nobody allowed"
say refused ""

# The drop-in of the package allows a home's addresses, and no others.
install -D -m 644 /usr/share/ocelli/network.conf /etc/systemd/system/ocelli.service.d/network.conf
systemctl daemon-reload
systemctl restart ocelli || die "it does not start with the drop-in"
until_true page $home || die "the page is not reached at $home"
until_true online lan || die "the broker at $home heard nothing"
! page $internet || die "it is reached at $internet"
say network ""

# A pin of its GPIO chip, which is root's: refused, told with the drop-in to take, and had with it once its groups and rule are there.
cat >> /etc/ocelli/ocelli.toml <<END

[gpio]
driver = "cdev"
chip = "/dev/gpiochip0"
alert = [5]
END
# While one start fails the next comes of itself.
fails() { ! systemctl restart ocelli 2>/dev/null && systemctl stop ocelli; }
fails || die "it has a pin that nobody gave it"
journalctl -u ocelli --no-pager -n 20 | grep -q '/dev/gpiochip0: permission denied' || die "not told that the chip is refused"
install -D -m 644 /usr/share/ocelli/pins.conf /etc/systemd/system/ocelli.service.d/pins.conf
systemctl daemon-reload
fails || die "it starts with groups that there are not"
[ "$(show ExecMainStatus)" = 216 ] || die "groups that there are not end it with $(show ExecMainStatus)"
for group in gpio i2c spi; do groupadd --system $group; done
grep -o 'SUBSYSTEM=="gpio".*' /usr/share/ocelli/pins.conf > /etc/udev/rules.d/60-pins.rules
udevadm control --reload
udevadm trigger --settle --action=add --subsystem-match=gpio
systemctl restart ocelli || die "it does not start with its pin: $(ls -l /dev/gpiochip0)"
mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
grep -q 'ocelli.*out' /sys/kernel/debug/gpio || die "the kernel knows of no pin of it: $(cat /sys/kernel/debug/gpio)"
# What no device here shows: that the other groups are its own, and that each kind of device that this kernel has is called or numbered so.
for group in gpio i2c spi dialout video; do
    id=$(getent group $group | cut -d: -f3)
    grep -q "^Groups:.*\<$id\>" "/proc/$(show MainPID)/status" || die "it is not of the group $group"
done
for kind in gpiochip ttyAMA; do
    grep -q " $kind\$" /proc/devices && show DeviceAllow | grep -q "char-$kind rw" || die "no device is called $kind"
done
for kind in 'video4linux 81' 'spi 153'; do
    number=${kind#* } name=${kind% *}
    grep -q "^ *$number $name\$" /proc/devices && show DeviceAllow | grep -q "char-$number rw" || die "no device $name is numbered $number"
done
say pins "\"chip\":\"$(grep -c ocelli /sys/kernel/debug/gpio)\""

# The drop-in for a camera module: the service starts with it, and may have what the module's commands need.
install -D -m 644 /usr/share/ocelli/rpicam.conf /etc/systemd/system/ocelli.service.d/rpicam.conf
systemctl daemon-reload
systemctl restart ocelli || die "it does not start with rpicam.conf"
show RestrictAddressFamilies | grep -q AF_NETLINK && show DeviceAllow | grep -q 'char-dma_heap rw' || die "rpicam.conf allows nothing"
say rpicam "\"memory_max\":$(show MemoryMax)"

# An upgrade keeps what was configured and what was said.
echo '# mine' >> /etc/ocelli/ocelli.toml
before=$(show MainPID)
dpkg -i /root/ocelli_2.deb || die "the upgrade failed"
until_true systemctl -q is-active ocelli || die "not active after the upgrade"
grep -q '^# mine' /etc/ocelli/ocelli.toml || die "the upgrade took the config"
[ "$(show MainPID)" != "$before" ] || die "the upgrade did not restart it"
events=$(ocelli events --config /etc/ocelli/ocelli.toml --json --limit 1000 | wc -l)
[ "$events" -ge 3 ] || die "the journal has $events events"
say upgraded "\"events\":$events,\"version\":\"$(dpkg-query -W -f '${Version}' ocelli)\""

# An upgrade whose config is another too: nobody is there to be asked, so it is not done; with --force-confold the config stays and the
# new one lies beside it.
dpkg-deb -R /root/ocelli_2.deb /root/ocelli_3
echo '# theirs' >> /root/ocelli_3/etc/ocelli/ocelli.toml
sed -i 's/^Version: .*/&.1/' /root/ocelli_3/DEBIAN/control
rm -f /root/ocelli_3/DEBIAN/md5sums
dpkg-deb -Znone -b /root/ocelli_3 /root/ocelli_3.deb
rm -r /root/ocelli_3
dpkg -i /root/ocelli_3.deb </dev/null && die "the config was chosen without asking"
dpkg --force-confold -i /root/ocelli_3.deb || die "the upgrade with another config failed"
until_true systemctl -q is-active ocelli || die "not active after the upgrade with another config"
grep -q '^# mine' /etc/ocelli/ocelli.toml || die "the upgrade took the config"
grep -q '^# theirs' /etc/ocelli/ocelli.toml.dpkg-dist || die "the new config is not beside it"
say conffile "\"version\":\"$(dpkg-query -W -f '${Version}' ocelli)\""

rm /etc/ocelli/admin
dpkg -r ocelli || die "dpkg -r"
systemctl -q is-active ocelli && die "active after its removal"
[ ! -e /usr/bin/ocelli ] && [ -e /etc/ocelli/ocelli.toml ] && [ -e /var/lib/private/ocelli/journal ] || die "removed too much or too little"
dpkg -P ocelli || die "dpkg -P"
left=$(find / -xdev -path /proc -prune -o -path '*ocelli*' -print | grep -v -e '^/root/' -e '^/etc/systemd/system/ocelli.service.d' -e '^/run/' || true)
[ -z "$left" ] || die "left after purge: $(echo $left)"
say removed ""
trap - EXIT
say done ""
off
