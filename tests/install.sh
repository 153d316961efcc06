#!/bin/sh
# install.sh: `make install` with DESTDIR puts everything where the guide says, the empty directory for the processes that meet clients
# among it, and `make uninstall` takes all but that away. Run in the build directory. Prints TAP.
. "${srcdir:-.}/tests/tap.sh"
# The flags of the make that runs the tests mean its own jobs.
run_make() {
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "${MAKE:-make}" -s "$@" DESTDIR="$work/dest" >"$work/said" 2>&1
}
# The value of a directory variable of the Makefile.
value() {
    # shellcheck disable=SC2016 # make expands it
    printf 'include Makefile\nvalue_of:\n\t@echo "$(%s)"\n' "$1" | env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "${MAKE:-make}" -s -f - value_of
}

run_make install
say $? "make install"
for f in "$(value popperdir)/popper" "$(value popperdocdir)/samples/maildir2mbox"; do
    present=1
    if [ -f "$work/dest$f" ] && [ -x "$work/dest$f" ]; then present=0; fi
    say $present "$f is there and can be run"
done
for f in "$(value man8dir)/popper.8" "$(value man5dir)/popper.conf.5" "$(value popperdocdir)/GUIDE.md" "$(value popperdocdir)/samples/popper.conf"; do
    present=1
    if [ -s "$work/dest$f" ]; then present=0; fi
    say $present "$f is there"
done
jail=$(sed -n 's/^#define PRIVSEP_PATH "\(.*\)"$/\1/p' config.h)
jail=$work/dest${jail:-/var/empty}
{ ls -ld "$jail" && [ "$(find "$jail" -prune -type d -perm 755 -empty)" = "$jail" ]; } >"$work/said" 2>&1
say $? "${jail#"$work"/dest} is an empty directory of mode 755"
run_make uninstall
say $? "make uninstall"
find "$work/dest" ! -type d >"$work/said"
[ ! -s "$work/said" ]
say $? "it leaves no file"
[ -d "$jail" ]
say $? "but ${jail#"$work"/dest}, which others may use"
finish
