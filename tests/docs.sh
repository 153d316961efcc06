#!/bin/sh
# docs.sh: the committed documentation agrees with the option table, and the pages are clean mdoc. Prints TAP.
tree=${srcdir:-.}
. "$tree/tests/tap.sh"

${SHELL:-sh} "$tree/tests/tools/update-docs.sh" tests/tools/optdoc "$tree" "$work/new" >"$work/said" 2>&1
say $? "the documentation can be made"
for f in man/popper.8 man/popper.conf.5 samples/popper.conf; do
    diff "$tree/$f" "$work/new/$f" >"$work/said" 2>&1
    say $? "$f agrees with the option table (otherwise: make update-docs)"
done
! tail -n +4 "$tree/samples/popper.conf" | grep '^#.\{98\}' >"$work/said"
say $? "samples/popper.conf has no line that is too long below its head"
for f in "$tree"/man/*.[1-8]; do
    if command -v mandoc >/dev/null; then
        # Whether the pages that it refers to are installed is no fault of the page.
        mandoc -T lint -W all "$f" 2>&1 | grep -v -e 'referenced manual not found' -e 'outdated mandoc.db' >"$work/said"
        [ ! -s "$work/said" ]
        say $? "${f##*/} is clean mdoc"
    elif [ "${CI:-}" = true ]; then
        echo "mandoc is not installed" >"$work/said"
        say 1 "${f##*/} is clean mdoc"
    else
        count=$((count + 1))
        echo "ok $count - ${f##*/} is clean mdoc # SKIP mandoc is not installed"
    fi
done
finish
