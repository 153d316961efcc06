#!/bin/sh
# update-docs.sh OPTDOC TREE [OUT]: writes the parts of the documentation that come from the option table, into TREE or, for the
# test that compares them, into the directory OUT.
set -eu
optdoc=$1 tree=$2 out=${3:-$2}
mkdir -p "$out/man" "$out/samples"

# What stands between the markers of a page is replaced.
splice() { # SECTION PAGE
    "$optdoc" "$1" >"$out/$1.tmp"
    awk -v part="$out/$1.tmp" '
        /^\.\\" end of generated part/ { skip = 0 }
        !skip { print }
        /^\.\\" begin of generated part/ { skip = 1; found++; while ((getline line < part) > 0) print line }
        END { exit found != 1 || skip }' "$tree/man/$2" >"$out/$2.tmp"
    rm "$out/$1.tmp"
    mv "$out/$2.tmp" "$out/man/$2"
}
splice switches popper.8
splice options popper.conf.5
"$optdoc" sample >"$out/popper.conf.tmp"
mv "$out/popper.conf.tmp" "$out/samples/popper.conf"
