# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_fairshare_global_optspecs
    string join \n json socket= timeout= h/help V/version
end

function __fish_fairshare_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_fairshare_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_fairshare_using_subcommand
    set -l cmd (__fish_fairshare_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c fairshare -n "__fish_fairshare_needs_command" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_needs_command" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_needs_command" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare -n "__fish_fairshare_needs_command" -s V -l version -d 'Print version'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "status" -d 'Show what you have, what you use of it and what you may ask for'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "top" -d 'Show what all users use now, over the whole terminal; press ? there for its keys'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "why" -d 'Show what has happened to you because of your limits, the newest first'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "resize" -d 'Ask for more, or change the grant that you hold'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "renew" -d 'Keep the grant for longer: its lease ends so long from now'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "release" -d 'Give the grant back; what you have is the default again'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "list" -d 'Show who holds what: administrators see everybody, others see themselves'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "queue" -d 'Show which requests wait for their turn'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "strays" -d 'Show processes that run outside of their user\'s slice, where no limit holds'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "report" -d 'Show what was used, by user, group or day'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "policy" -d 'Show what policy says and what a reload would change, and reload it'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "set" -d 'Set a user\'s grant, for root and administrators'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "doctor" -d 'Check this installation and say how to mend it'
complete -c fairshare -n "__fish_fairshare_needs_command" -f -a "session" -d 'Open or close a session, for a login hook that runs as root'
complete -c fairshare -n "__fish_fairshare_using_subcommand status" -l watch -d 'Show it again every so many seconds, or every 2, until Ctrl-C' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand status" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand status" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand status" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand status" -s h -l help -d 'Print help'
complete -c fairshare -n "__fish_fairshare_using_subcommand top" -l every -d 'Look again every so many seconds' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand top" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand top" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand top" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare -n "__fish_fairshare_using_subcommand why" -l since -d 'Only what happened in the last so long, such as 2h or 7d' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand why" -l user -d 'What happened to this user, for root and administrators: name or UID' -r -f -a "(__fish_complete_users)"
complete -c fairshare -n "__fish_fairshare_using_subcommand why" -s n -l number -d 'At most so many, up to 100' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand why" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand why" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand why" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand why" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare -n "__fish_fairshare_using_subcommand resize" -l cpu -d 'CPUs, such as 4 or 0.5' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand resize" -l mem -d 'Memory, such as 8G or 512M (K, M, G and T are powers of 1024)' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand resize" -l tasks -d 'Processes and threads' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand resize" -l for -d 'Have the grant end by itself after so long, such as 2h, 90m or 1d12h' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand resize" -l wait -d 'Where it does not fit now, wait for your turn: at most so long, or as long as policy allows' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand resize" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand resize" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand resize" -l force -d 'Shrink memory even below what is in use; processes may be killed'
complete -c fairshare -n "__fish_fairshare_using_subcommand resize" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand resize" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare -n "__fish_fairshare_using_subcommand renew" -l for -d 'How long from now, such as 1h, 90m or 1d12h' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand renew" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand renew" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand renew" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand renew" -s h -l help -d 'Print help'
complete -c fairshare -n "__fish_fairshare_using_subcommand release" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand release" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand release" -l force -d 'Shrink memory even below what is in use; processes may be killed'
complete -c fairshare -n "__fish_fairshare_using_subcommand release" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare -n "__fish_fairshare_using_subcommand list" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand list" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand list" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand list" -s h -l help -d 'Print help'
complete -c fairshare -n "__fish_fairshare_using_subcommand queue" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand queue" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand queue" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand queue" -s h -l help -d 'Print help'
complete -c fairshare -n "__fish_fairshare_using_subcommand strays" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand strays" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand strays" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand strays" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare -n "__fish_fairshare_using_subcommand report" -l user -d 'Only this user: name or UID. Others than you are for root and administrators' -r -f -a "(__fish_complete_users)"
complete -c fairshare -n "__fish_fairshare_using_subcommand report" -l since -d 'The last so long, such as 24h or 30d; seven days, if left out' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand report" -l by -d 'What a row is; a day is one in UTC' -r -f -a "user\t''
group\t''
day\t''"
complete -c fairshare -n "__fish_fairshare_using_subcommand report" -l html -d 'Write a page with charts, to this file or fairshare-report.html; - is standard output' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand report" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand report" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand report" -l csv -d 'Print comma-separated values: whole numbers, with the unit in each column\'s name'
complete -c fairshare -n "__fish_fairshare_using_subcommand report" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and not __fish_seen_subcommand_from explain diff reload" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and not __fish_seen_subcommand_from explain diff reload" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and not __fish_seen_subcommand_from explain diff reload" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and not __fish_seen_subcommand_from explain diff reload" -s h -l help -d 'Print help'
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and not __fish_seen_subcommand_from explain diff reload" -f -a "explain" -d 'Show what policy comes to for a user, and which line of which file says so'
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and not __fish_seen_subcommand_from explain diff reload" -f -a "diff" -d 'Show what a reload would change, and for whom; for root and administrators'
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and not __fish_seen_subcommand_from explain diff reload" -f -a "reload" -d 'Have the daemon read its policy files again, as root'
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from explain" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from explain" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from explain" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help'
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from diff" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from diff" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from diff" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help'
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from reload" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from reload" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from reload" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand policy; and __fish_seen_subcommand_from reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare -n "__fish_fairshare_using_subcommand set" -l cpu -d 'CPUs, such as 4 or 0.5' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand set" -l mem -d 'Memory, such as 8G or 512M (K, M, G and T are powers of 1024)' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand set" -l tasks -d 'Processes and threads' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand set" -l for -d 'Have the grant end by itself after so long, such as 2h, 90m or 1d12h' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand set" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand set" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand set" -l force -d 'Shrink memory even below what is in use; processes may be killed'
complete -c fairshare -n "__fish_fairshare_using_subcommand set" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare -n "__fish_fairshare_using_subcommand doctor" -l user -d 'Try the session as this user\'s instead: name or UID' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand doctor" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand doctor" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand doctor" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and not __fish_seen_subcommand_from open close" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and not __fish_seen_subcommand_from open close" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and not __fish_seen_subcommand_from open close" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and not __fish_seen_subcommand_from open close" -s h -l help -d 'Print help'
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and not __fish_seen_subcommand_from open close" -f -a "open" -d 'Tell the daemon that a user has logged in, so that the limits are set'
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and not __fish_seen_subcommand_from open close" -f -a "close" -d 'Tell the daemon that a session has ended'
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from open" -l uid -d 'User who has logged in' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from open" -l pid -d 'The session\'s leader: the process whose end ends the session' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from open" -l service -d 'Name of what opened it, for the log' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from open" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from open" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from open" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from open" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from close" -l session -d 'Number of the session, as `session open` printed it' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from close" -l uid -d 'User of the session' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from close" -l pid -d 'The session\'s leader' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from close" -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from close" -l timeout -d 'Wait at most so long for the answer' -r
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from close" -l json -d 'Print the reply as one line of JSON'
complete -c fairshare -n "__fish_fairshare_using_subcommand session; and __fish_seen_subcommand_from close" -s h -l help -d 'Print help'
