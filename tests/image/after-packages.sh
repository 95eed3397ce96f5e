#!/bin/sh
# Runs in the image when all packages are installed: users, ssh, network, and a machine that is
# quiet when nobody uses it. $1 is the name of the release, $2 the public key that may log in.
set -eu
name=$1
key=$2

echo "$name" > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" > /etc/hosts
: > /etc/fstab
# There is no name server to be reached; an empty file answers at once.
rm -f /etc/resolv.conf
: > /etc/resolv.conf

# --- who may log in -----------------------------------------------------------------------------
authorise() { # user home
    install -d -m 700 -o "$1" -g "$1" "$2/.ssh"
    echo "$key" > "$2/.ssh/authorized_keys"
    chown "$1:$1" "$2/.ssh/authorized_keys"
    chmod 600 "$2/.ssh/authorized_keys"
}
useradd --create-home --shell /bin/bash --uid 1000 --user-group alice
useradd --create-home --shell /bin/bash --uid 1001 --user-group bob
authorise root /root
authorise alice /home/alice
authorise bob /home/bob
echo 'alice ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/lab
chmod 440 /etc/sudoers.d/lab

# --- ssh: many logins at once, nothing said to them -----------------------------------------------
cat > /etc/ssh/sshd_config.d/lab.conf <<'CONF'
UseDNS no
UsePAM yes
MaxStartups 500:30:1000
MaxSessions 200
PermitRootLogin prohibit-password
PasswordAuthentication no
PrintMotd no
PrintLastLog no
CONF
# A newer sshd shuts out an address that many faulty connections came from; all come from one here.
mkdir -p /run/sshd
if /usr/sbin/sshd -t -o PerSourcePenalties=no 2>/dev/null; then
    echo 'PerSourcePenalties no' >> /etc/ssh/sshd_config.d/lab.conf
fi
: > /etc/motd
rm -f /etc/update-motd.d/*

# --- network: the emulator's, whose addresses are known ---------------------------------------------
cat > /etc/systemd/network/lab.network <<'CONF'
[Match]
Type=ether

[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
IPv6AcceptRA=no
LinkLocalAddressing=no
CONF
systemctl enable systemd-networkd.service

# --- the journal holds everything of one boot, in memory ------------------------------------------
mkdir -p /etc/systemd/journald.conf.d
cat > /etc/systemd/journald.conf.d/lab.conf <<'CONF'
[Journal]
Storage=volatile
RateLimitIntervalSec=0
RateLimitBurst=0
Audit=no
CONF

# --- a user who has logged out is gone after two seconds and not after ten: tests wait for it -----------
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\nUserStopDelaySec=2s\n' > /etc/systemd/logind.conf.d/lab.conf

# --- nothing wakes up by itself ------------------------------------------------------------------------
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer man-db.timer logrotate.timer systemd-tmpfiles-clean.timer \
    systemd-networkd-wait-online.service systemd-resolved.service systemd-timesyncd.service \
    systemd-pstore.service getty@tty1.service serial-getty@ttyS0.service; do
    systemctl mask "$unit" 2>/dev/null
done
# Profiles are loaded by the scenario that looks at them: reading Debian's own at each boot takes an
# emulated machine its time.
systemctl mask apparmor.service 2>/dev/null

# The scenario that needs it runs it by itself.
systemctl mask prometheus.service 2>/dev/null

# --- what the packages left behind -----------------------------------------------------------------------
# pam_env looks for it at each login, and complains.
: > /etc/default/locale
rm -f /etc/apt/apt.conf.d/99mmdebstrap
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
