# A PostgreSQL server in a folder of its own: `server.sh BIN FOLDER PORT USER PASSWORD FSYNC`. It obeys
# the lines that it reads and answers each with one. When nobody can write to it any more, because
# the process that started it has ended in whatever way, it ends the server and removes the folder.
set -u
bin=$1 folder=$2 port=$3 user=$4 password=$5 fsync=$6

control() {
    "$bin/pg_ctl" -D "$folder/data" -w -t 60 "$@" </dev/null >>"$folder/control.log" 2>&1
}

# For tests nothing is forced to disk: what is in it ends with them.
start() {
    control start -l "$folder/server.log" -o "-p $port -k $folder -h 127.0.0.1 -c fsync=$fsync \
        -c max_connections=200 -c shared_buffers=64MB -c max_wal_size=2GB"
}

# Stops every process of the server where it stands (STOP), or lets them go on (CONT). The first
# process stands still while the others are told, so that it starts none and ends none meanwhile.
signal() {
    first=$(head -n 1 "$folder/data/postmaster.pid") && kill -STOP "$first" || return 1
    for child in $(cat "/proc/$first/task/$first/children"); do
        # One that has just ended is still listed.
        kill "-$1" "$child" || true
    done
    kill "-$1" "$first"
}

end() {
    signal CONT 2>/dev/null
    control stop -m immediate
    rm -rf "$folder"
}
trap 'end; exit' TERM
trap '' INT HUP

answer() {
    if "$@"; then
        echo done
    else
        tail -n 5 "$folder/control.log" "$folder/server.log" 2>/dev/null | tr '\n' ' '
        echo
    fi
}

make() {
    mkdir -p "$folder" && chmod 700 "$folder" && echo "$password" >"$folder/password" &&
        "$bin/initdb" -D "$folder/data" -U "$user" -A scram-sha-256 --pwfile="$folder/password" \
            -E UTF8 --locale=C.UTF-8 --no-sync </dev/null >"$folder/control.log" 2>&1 && start
}

while read -r line; do
    case $line in
        make) answer make ;;
        start) answer start ;;
        stop) answer control stop -m fast ;;
        freeze) answer signal STOP ;;
        thaw) answer signal CONT ;;
        kill) answer control stop -m immediate ;;
        *) echo "what is $line?" ;;
    esac
done
end
