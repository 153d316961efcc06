#!/bin/sh
# lint.sh: the checkers of other people over our sources, a case each; who is not installed is skipped. Prints TAP.
set -u
here=$(pwd)
cd "${srcdir:-.}" || exit 1
count=0
failed=0
# judge NAME COMMAND...: output or a bad status is a failure.
judge() {
    name=$1
    shift
    count=$((count + 1))
    if ! command -v "$1" >/dev/null 2>&1; then
        echo "ok $count - $name # SKIP no $1 here"
    elif out=$("$@" 2>&1) && [ -z "$out" ]; then
        echo "ok $count - $name"
    else
        failed=$((failed + 1))
        echo "not ok $count - $name"
        printf '%s\n' "$out" | sed 's/^/# /' | head -n 60
    fi
}

# Of an optional library that is not here the headers are not here either.
absent=
without() { # PART FILES...: they are not looked at in a build without the part
    grep -q "^#define WITH_$1 1" "$here/config.h" 2>/dev/null && return
    shift
    for file in "$@"; do absent="$absent ! -name $file"; done
}
without TLS tls.c 'tls_*.c'
without DRAC drac.c
without KERBEROS auth_kerberos.c
without GMIME mangle.c 'mangle_*.c'
# Where configure found those that are not in the usual place.
places=$(sed -n 's/^\(TIRPC\|MANGLE\|KRB5\)_CFLAGS = //p' "$here/Makefile" 2>/dev/null)
# clang sees things that gcc does not; generated headers are in the build tree.
# shellcheck disable=SC2046,SC2086 # a list of files, words
judge 'clang has nothing to warn about' clang -fsyntax-only -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DHAVE_CONFIG_H \
    -I"$here" -I"$here/popper" -I. -Ipopper $places $(find common popper -name '*.c' ! -name sandbox_gen.c $absent | LC_ALL=C sort)
# The others look at the sources alone: not again at those of an archive that were looked at before.
if [ "${POPPER_TESTS:-}" = short ]; then
    echo "1..$count"
    [ "$failed" -eq 0 ]
    exit
fi
# What newer ones take for errors: __has_include of a header, and an array that is passed with its length, 0.
judge 'cppcheck has nothing to say' cppcheck -q -j2 --enable=warning,performance,portability --std=c11 --inline-suppr --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
    --suppress=preprocessorErrorDirective:*vectors.c --suppress=uninitvar:*proxyreader.c \
    -I"$here" -I. -Ipopper common popper
judge 'shellcheck has nothing to say' shellcheck quickstart .ci/run tests/*.sh tests/bench/*.sh
judge 'pyflakes has nothing to say' pyflakes3 tests/guide.py tests/records.py tests/wire tests/system samples/maildir2mbox tests/bench
echo "1..$count"
[ "$failed" -eq 0 ]
