# Tells a person who logs in what they may use. It goes to /etc/profile.d/fairshare.sh.
#
# It speaks in an interactive shell on a terminal only: scp, sftp and rsync must not see a byte. It
# starts no process, and says nothing where pam_fairshare did not set the figures, nor in each new
# window of tmux or screen.

case $- in
*i*)
    if [ -t 0 ] && [ -t 1 ] && [ -z "${TMUX-}${STY-}" ] &&
        [ -n "${FAIRSHARE_CPUS-}" ] && [ -n "${FAIRSHARE_MEMORY-}" ]; then
        case $FAIRSHARE_CPUS in
        1) printf 'Your share of this machine: %s CPU' "$FAIRSHARE_CPUS" ;;
        *) printf 'Your share of this machine: %s CPUs' "$FAIRSHARE_CPUS" ;;
        esac
        printf ' and %s memory.\nTo see it: fairshare   To ask for more: fairshare resize --help\n' \
            "$FAIRSHARE_MEMORY"
    fi
    ;;
esac
