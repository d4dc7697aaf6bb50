#!/usr/bin/env bash
# Runs a program on several hosts of one machine: network namespaces with a name and an address each, joined by a bridge.
# usage: namespaces.sh NAME RANKS[,RANKS...] PROGRAM [ARGUMENT...]
#   NAME   of the namespaces, with -1, -2, ... behind it
#   RANKS  of each host: 3,2 are five on two hosts
# Exits with the code of mpirun, or with 77 where this machine does not allow it.
set -euo pipefail

# As mpirun's remote shell: [-options] HOST COMMAND...
if [ "${1:-}" = --agent ]; then
  shift
  while [[ $1 == -* ]]; do shift; done
  host=$1
  shift
  exec ip netns exec "$TUTTI_TEST_HOSTS-${host##*.}" unshare --uts sh -c "hostname host-${host##*.}; $*"
fi

export TUTTI_TEST_HOSTS=$1
IFS=, read -ra ranks <<<"$2"
shift 2
subnet=10.$((RANDOM % 100 + 100)).$((RANDOM % 200))
bridge=ttbr$$

remove() {
  for i in "${!ranks[@]}"; do
    for process in $(ip netns pids "$TUTTI_TEST_HOSTS-$((i + 1))" 2>/dev/null); do kill -9 "$process" 2>/dev/null || true; done
    ip netns del "$TUTTI_TEST_HOSTS-$((i + 1))" 2>/dev/null || true
  done
  ip link del "$bridge" 2>/dev/null || true
  rm -rf "$TMPDIR" || true
}

allowed() {
  [ "$(id -u)" -eq 0 ] && command -v ip >/dev/null && unshare --uts --net true 2>/dev/null &&
    ip netns add "$TUTTI_TEST_HOSTS-1" 2>/dev/null && ip link add "$bridge" type bridge 2>/dev/null
}

# Open MPI has a directory for each name of a host, and runs beside this one have hosts of the same names.
TMPDIR=$(mktemp -d)
export TMPDIR
trap remove EXIT
trap 'exit 143' TERM INT
allowed || { echo "network namespaces are not allowed here, or there is no iproute2"; exit 77; }

ip link set "$bridge" up
hosts=()
for i in "${!ranks[@]}"; do
  n=$((i + 1)) host=$TUTTI_TEST_HOSTS-$((i + 1))
  [ $n -eq 1 ] || ip netns add "$host"
  ip link add "ttv$$-$n" type veth peer name eth0 netns "$host"
  ip link set "ttv$$-$n" master "$bridge" up
  ip -n "$host" addr add "$subnet.$n/24" dev eth0
  ip -n "$host" link set lo up
  ip -n "$host" link set eth0 up
  hosts+=("$subnet.$n:${ranks[$i]}")
done
total=$((${ranks[@]/%/+} 0))
passed=()
for name in TUTTI_TIMEOUT TUTTI_MPI_SHARED_MEMORY; do
  [ -z "${!name+set}" ] || passed+=(-x "$name")
done
list=$(IFS=,; echo "${hosts[*]}")

ip netns exec "$TUTTI_TEST_HOSTS-1" unshare --uts sh -c 'hostname host-1; exec "$@"' sh \
  "${MPIRUN:-mpirun}" -n "$total" -H "$list" --map-by slot --bind-to none \
  --mca plm rsh --mca plm_rsh_agent "$(realpath "$0") --agent" "${passed[@]}" \
  --mca oob_tcp_if_include "$subnet.0/24" --mca btl vader,tcp,self --mca btl_tcp_if_include "$subnet.0/24" --mca pml ob1 \
  "$@"
