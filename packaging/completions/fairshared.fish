# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_fairshared_global_optspecs
    string join \n policy= socket= state-dir= history-dir= cgroup-root= systemd-dir= h/help V/version
end

function __fish_fairshared_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_fairshared_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_fairshared_using_subcommand
    set -l cmd (__fish_fairshared_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c fairshared -n "__fish_fairshared_needs_command" -l policy -d 'The same as POLICY' -r -F
complete -c fairshared -n "__fish_fairshared_needs_command" -l socket -d 'The same as SOCKET' -r -F
complete -c fairshared -n "__fish_fairshared_needs_command" -l state-dir -d 'Folder for what must survive a restart of the daemon, but not of the machine' -r -F
complete -c fairshared -n "__fish_fairshared_needs_command" -l history-dir -d 'Folder for what has happened and what was used, which survives the machine\'s restarts' -r -F
complete -c fairshared -n "__fish_fairshared_needs_command" -l cgroup-root -d 'Where the kernel\'s cgroup v2 tree is mounted' -r -F
complete -c fairshared -n "__fish_fairshared_needs_command" -l systemd-dir -d 'Where systemd keeps its files at run time' -r -F
complete -c fairshared -n "__fish_fairshared_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshared -n "__fish_fairshared_needs_command" -s V -l version -d 'Print version'
complete -c fairshared -n "__fish_fairshared_needs_command" -a "check" -d 'Checks a policy and says what it comes to on this machine, without a change to anything'
complete -c fairshared -n "__fish_fairshared_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
