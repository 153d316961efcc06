#!/bin/sh
# sanity.sh: the unit tests of common/ outside of make: each compiler that is here (gcc, clang) with all warnings as errors and
# ASan+UBSan, with libmd and with libcrypto; then under valgrind. Needs a configured tree in the current directory
# (config.h). Not part of make check: it takes minutes. Exit status 0 when all is well.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
[ -f config.h ] || { echo "sanity.sh: run ./configure first, then this from the build directory"; exit 2; }
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
mkdir "$work/libmd" "$work/libcrypto"
{ grep -v HAVE_LIBMD config.h; echo '#define HAVE_LIBMD 1'; } >"$work/libmd/config.h"
grep -v HAVE_LIBMD config.h >"$work/libcrypto/config.h"
failed=0

# build COMPILER DIGEST ROOM FLAGS...
build() {
    cc=$1 digest=$2 room=$3
    shift 3
    [ "$room" != maillock ] || set -- "$@" -Wl,--wrap=renameat
    # All rooms but apopdb, which needs gdbm.
    # shellcheck disable=SC2046 # words wanted
    $cc -std=gnu11 -g -O1 -Wall -Wextra -Werror "$@" -I"$work/$digest" -I"$top" "$top"/common/[!a]*.c \
        "$top/tests/unit/test_$room.c" -o "$work/test" "-l${digest#lib}" $(pkg-config --cflags --libs check)
}

# verdict NAME COMMAND...
verdict() {
    name=$1
    shift
    if CK_DEFAULT_TIMEOUT=120 "$@" >"$work/out" 2>&1; then
        echo "ok $name ($(grep -c '^ok' "$work/out") cases)"
    else
        failed=1
        echo "not ok $name"
        grep -E '^not ok|^==|ERROR|runtime error' "$work/out" | head -n 20
    fi
}

for room in digest file identity log maillock mem strbuf; do
    for cc in gcc clang; do
        command -v "$cc" >/dev/null || continue
        for digest in libmd libcrypto; do
            build "$cc" "$digest" "$room" -fsanitize=address,undefined -fno-sanitize-recover=all || { failed=1; continue; }
            verdict "$room, $cc, $digest, ASan and UBSan" "$work/test"
        done
    done
    command -v valgrind >/dev/null || continue
    build gcc libmd "$room" || { failed=1; continue; }
    verdict "$room, valgrind" valgrind -q --error-exitcode=9 --leak-check=no "$work/test"
done
exit $failed
