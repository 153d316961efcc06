#!/bin/sh
# quickstart.sh: `./quickstart serve` serves before it says so, on the port of POPPER_PORT, and says what to do when that is taken; and
# what it unpacks is whole. What it would install and build is there already. Run in the build directory. Prints TAP.
. "${srcdir:-.}/tests/tap.sh"
tree=$(cd "${srcdir:-.}" && pwd)
# Its functions without what it does.
sed '/^case /,$d' "$tree/quickstart" >"$work/functions"
script=". $work/functions; top=$(pwd); sample_site; serve_site"
# Until it has said that, for 20 s.
wait_for() {
    tries=0
    until grep -q "$1" "$work/serving"; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] && kill -0 "$served" 2>/dev/null || return 1
        sleep 0.1
    done
}
# Connects to the port, and prints the first line.
greeting='import socket, sys
print(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10).makefile("rb").readline().decode("latin-1"))'
port=$(python3 -c 'import socket
print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
export POPPER_PORT="$port" TMPDIR="$work"

sh -c "$script" "$tree/quickstart" >"$work/serving" 2>&1 &
served=$!
wait_for "^Serving .* on 127.0.0.1:$port"
result=$?
cp "$work/serving" "$work/said"
say $result 'it says that it serves on the port of POPPER_PORT'
python3 -c "$greeting" "$port" >"$work/said" 2>&1
grep -q '^+OK' "$work/said"
say $? 'and does by then'
sh -c "$script" "$tree/quickstart" >"$work/said" 2>&1
[ $? -eq 1 ] && grep -q "^popper: 127.0.0.1:$port in use" "$work/said" && ! grep -q Serving "$work/said" &&
    grep -q "^quickstart: nothing is served\. .*POPPER_PORT=8111 ./quickstart serve" "$work/said"
say $? 'a port that is taken is an error, and it is said how to take another'
kill -TERM "$served"
wait "$served"
python3 -c "$greeting" "$port" >"$work/said" 2>&1
[ $? -eq 1 ] && [ -z "$(find "$work" -name 'popper-demo.*')" ]
say $? 'when it ends nothing is left'

# A machine where packages are text files, and the first unpacking is interrupted.
mkdir "$work/bin" "$work/site"
# shellcheck disable=SC2016 # expanded when it runs
printf '#!/bin/sh\nfor p; do case $p in -*|download|update) ;; *) for v in 1 2; do echo "$p" >"${p}_$v.deb"; done ;; esac; done\n' >"$work/bin/apt-get"
# shellcheck disable=SC2016
printf '#!/bin/sh\nmkdir -p "$3" && echo half >"$3/file" && [ $# -eq 3 ] && [ -e %s/again ] && cat "$2" >"$3/file"\n' "$work" >"$work/bin/dpkg-deb"
printf '#!/bin/sh\n' >"$work/bin/dpkg-query"
chmod +x "$work"/bin/*
unpack() { (cd "$work/site" && PATH="$work/bin:$PATH" sh -euc ". $work/functions; cd $work/site; unpack_packages one two" "$tree/quickstart") >"$work/said" 2>&1; }
unpack && [ ! -e "$work/site/.work/unpacked/one" ] && grep -q 'Could not get the package one' "$work/said"
say $? 'a package that could not be unpacked whole does not count'
: >"$work/again"
unpack && [ "$(cat "$work/site/.work/unpacked/one/file" "$work/site/.work/unpacked/two/file")" = "one
two" ]
say $? 'the next run has it'
finish
