# Brings a machine back to how it was after the installation, without the daemon running. Run by
# root, with the pristine configuration in /var/lib/fairshare-lab/pristine.
#
# It is run before each test in an emulated machine, so it starts as few programs as it can.
pristine=/var/lib/fairshare-lab/pristine
uids='1000 1001'
units='user@1000.service user-1000.slice user@1001.service user-1001.slice'

systemctl stop fairshared.socket fairshared.service hung-names.service lab-nslcd.service \
    lab-ldap.service 2>/dev/null
# Without its socket the directory's name service answers at once that it is not there.
rm -rf /run/nslcd*
for slice in /sys/fs/cgroup/user.slice/user-3???.slice; do
    [ -e "$slice" ] || continue
    uid=${slice##*/user-}
    uid=${uid%.slice}
    uids="$uids $uid"
    units="$units user@$uid.service user-$uid.slice"
done

# Nobody is logged in, nothing is left running or planned.
rm -f /var/spool/cron/crontabs/* /var/lib/systemd/linger/*
systemctl kill --signal=KILL $units 2>/dev/null
pkill -KILL -u alice,bob
adopted=$(systemctl list-units --plain --no-legend 'fairshare-*' 'fairshare.slice' | cut -d' ' -f1)
systemctl stop $units $adopted 2>/dev/null

# A mail system of a scenario's own: the machine has none.
rm -rf /srv/hooks /usr/sbin/sendmail

# Files as they were; systemd reads its own again only when they differ, for that takes longer than
# all the rest.
changed=
rmdir /run/systemd/system.control /etc/systemd/system.control 2>/dev/null
for path in /run/systemd/system.control /etc/systemd/system.control \
    /run/systemd/system/fairshared.* /run/systemd/system/user-*; do
    if [ -e "$path" ]; then
        changed=yes
        rm -rf "$path"
    fi
done
if [ -d "$pristine" ]; then
    cd "$pristine"
    restored=$(rsync --archive --itemize-changes --delete --relative \
        pam.d fairshare systemd/system group gshadow nsswitch.conf /etc/)
    case $restored in
    *systemd/system*) changed=yes ;;
    esac
fi
rm -rf /run/fairshare /run/fairshare.sock /var/lib/fairshare
find /tmp /var/tmp /home/alice /home/bob -mindepth 1 -maxdepth 1 \
    ! -name '.ssh' ! -name '.bash*' ! -name '.profile' ! -name 'systemd-private-*' \
    ! -name '.*-unix' -exec rm -rf {} +
if [ -n "$changed" ]; then
    systemctl daemon-reload
fi
systemctl reset-failed

# Nothing of the users may be left.
end=$(($(date +%s) + 20))
for uid in $uids; do
    while [ -e "/sys/fs/cgroup/user.slice/user-$uid.slice" ] || pgrep -u "$uid" >/dev/null; do
        if [ "$(date +%s)" -gt "$end" ]; then
            echo "user $uid is not gone:"
            systemctl status --no-pager --lines=0 "user-$uid.slice"
            pgrep -u "$uid" -a
            exit 1
        fi
        sleep 0.05
    done
done
