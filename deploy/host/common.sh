# shellcheck shell=bash disable=SC2154 # dir is the one who sources it has been given
# Owns: what the scripts for the servers of this host share: the port that a folder keeps, and processes found by the files that
# hold their ids. Sourced.

# choose_port DEFAULT - PORT counts the first time; the folder remembers it
choose_port() {
  [ -f "$dir/port" ] || echo "${PORT:-$1}" >"$dir/port"
  port=$(cat "$dir/port")
  [ "${PORT:-$port}" = "$port" ] || { echo "$dir has a server for port $port, not $PORT" >&2; exit 1; }
}

listens() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# need_port PORT... - before anything is started that wants them
need_port() {
  local each
  for each in "$@"; do
    ! listens "$each" || { echo "port $each of 127.0.0.1 is in use" >&2; exit 1; }
  done
}

# runs FILE WORD - the process whose id is in FILE, when it still is one with WORD in its command line; prints the id
runs() {
  local pid
  pid=$(head -n 1 "$1" 2>/dev/null) && [ -n "$pid" ] && grep -qsa "$2" "/proc/$pid/cmdline" && echo "$pid"
}

# end FILE WORD - in order; returns when it has ended
end() {
  local pid
  pid=$(runs "$1" "$2") || return 0
  kill -TERM "$pid"
  for _ in $(seq 600); do
    grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$pid/status" || return 0
    sleep 0.1
  done
  echo "process $pid has not ended after a minute" >&2
  return 1
}
