# tap.sh: what the tests that are shell scripts print TAP with; they source it. $work is a directory that goes when they do.
# shellcheck shell=sh
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
count=0
status=0
say() { # RESULT NAME: the case failed unless RESULT is 0; what $work/said holds then is shown
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        sed 's/^/# /' "$work/said"
        status=1
    fi
}
finish() {
    echo "1..$count"
    exit $status
}
