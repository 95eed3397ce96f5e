#!/bin/sh
# Runs in the image after the packages: a directory server and the name service that asks it. Both
# stay off until a scenario starts them, and nsswitch.conf does not mention them, so that they cost
# no other scenario anything. $1 is the public key that may log in.
#
# The directory holds carol (UID 3001) in the group chemists (GID 3100), to which the local user
# alice belongs too; a group 'few' of 20 members and a group 'crowd' of 20 000, twenty of each with
# an account (UIDs 3200 to 3219 and 3300 to 3319).
set -eu
key=$1

# The packages' own services and their edit of nsswitch.conf.
systemctl mask slapd.service nslcd.service 2>/dev/null
sed -i 's/ ldap\>//' /etc/nsswitch.conf

cat > /etc/ldap/lab.conf <<'CONF'
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
sortvals memberUid
loglevel 0
database mdb
suffix "dc=lab"
directory /var/lib/lab-ldap
maxsize 16777216
index objectClass,cn,uid,uidNumber,gidNumber,memberUid eq
access to * by * read
CONF

cat > /etc/systemd/system/lab-ldap.service <<'CONF'
[Unit]
Description=Directory server of the lab

[Service]
User=openldap
RuntimeDirectory=lab-ldap
ExecStart=/usr/sbin/slapd -d 0 -f /etc/ldap/lab.conf -h ldapi://%%2Frun%%2Flab-ldap%%2Fldapi
CONF

cat > /etc/systemd/system/lab-nslcd.service <<'CONF'
[Unit]
Description=Name service of the lab, which asks the directory
Requires=lab-ldap.service
After=lab-ldap.service

[Service]
ExecStartPre=/usr/bin/install -d -o nslcd -g nslcd /run/nslcd
ExecStart=/usr/sbin/nslcd --nofork
CONF

cat > /etc/nslcd.conf <<'CONF'
uid nslcd
gid nslcd
threads 2
uri ldapi://%2Frun%2Flab-ldap%2Fldapi
base dc=lab
CONF
chmod 644 /etc/nslcd.conf

person() { # name uid gid
    printf 'dn: uid=%s,dc=lab\nobjectClass: account\nobjectClass: posixAccount\nuid: %s\ncn: %s\n' \
        "$1" "$1" "$1"
    printf 'uidNumber: %s\ngidNumber: %s\nhomeDirectory: /home/%s\nloginShell: /bin/bash\n\n' \
        "$2" "$3" "$1"
}
group() { # name gid, then members on standard input
    printf 'dn: cn=%s,dc=lab\nobjectClass: posixGroup\ncn: %s\ngidNumber: %s\n' "$1" "$1" "$2"
    sed 's/^/memberUid: /'
    echo
}
{
    printf 'dn: dc=lab\nobjectClass: dcObject\nobjectClass: organization\ndc: lab\no: lab\n\n'
    person carol 3001 3100
    echo alice | group chemists 3100
    for i in $(seq 0 19); do
        person "few$i" $((3200 + i)) 3101
        person "crowd$i" $((3300 + i)) 3101
    done
    : | group others 3101
    seq -f 'few%.0f' 0 19 | group few 3102
    seq -f 'crowd%.0f' 0 19999 | group crowd 3103
} > /tmp/lab.ldif
install -d -o openldap -g openldap -m 700 /var/lib/lab-ldap
slapadd -q -f /etc/ldap/lab.conf -l /tmp/lab.ldif
chown -R openldap:openldap /var/lib/lab-ldap
rm /tmp/lab.ldif

# carol can log in, once the name service knows her.
install -d -m 755 -o 3001 -g 3100 /home/carol
install -d -m 700 -o 3001 -g 3100 /home/carol/.ssh
echo "$key" > /home/carol/.ssh/authorized_keys
chown 3001:3100 /home/carol/.ssh/authorized_keys
chmod 600 /home/carol/.ssh/authorized_keys
