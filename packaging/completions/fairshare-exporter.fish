complete -c fairshare-exporter -l listen -d 'Address and port, or path of a Unix socket, to listen on instead of systemd\'s socket' -r
complete -c fairshare-exporter -l socket -d 'Socket of the daemon' -r -F
complete -c fairshare-exporter -l users -d 'Tell of this many users by name, at most 100: those with the most CPU time' -r
complete -c fairshare-exporter -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fairshare-exporter -s V -l version -d 'Print version'
