#!/bin/sh
# options_covered.sh: every option of the table is set in a test that shows its effect: in a transcript (tests/wire/*.wire, by name in
# a config: line or by switch in an args: line), or by a comment "option: NAME" in another test.
# Prints TAP, a case an option. An option that nothing obeys yet stands in `not_yet`; it must go from there with its first test.
set -u
here=$(cd "${srcdir:-.}/tests" && pwd) || exit 1
popper=${POPPER:-popper/popper}
not_yet=' bulldb-max-tries bulldb-nonfatal chunky-writes drac-host fast-update kerberos kerberos-service mail-lock-check
 pam-service pam-session reverse-lookup tls-cipher-list tls-ciphersuites tls-identity-file tls-options tls-passphrase
 tls-private-key-file tls-server-cert-file tls-support tls-ticket-key-file tls-version tls-workarounds apop-file '

list=$("$popper" --list-options) || { echo "Bail out! $popper --list-options failed"; exit 1; }
count=0
failed=0
say() { # STATUS TEXT
    count=$((count + 1))
    [ "$1" = ok ] || failed=$((failed + 1))
    echo "$1 $count - $2"
}

# covered NAME SWITCH: where it is tested, if anywhere.
covered() {
    grep -lE "^config: (set|reset) $1( |\$)" "$here"/wire/*.wire && return
    letter=${2%% *}
    [ "$letter" = - ] || { grep -lE "^args: (.* )?$letter( |\$)" "$here"/wire/*.wire && return; }
    grep -lE "option: $1( |\$)" "$here"/system/*.py "$here"/unit/*.c
}

IFS='	'
while read -r name type letter rest; do
    : "$type" "$rest"
    where=$(covered "$name" "$letter" | head -n 1)
    listed=no
    case " $(printf %s "$not_yet" | tr '\n' ' ') " in *" $name "*) listed=yes ;; esac
    if [ -n "$where" ]; then
        if [ $listed = no ]; then say ok "$name: ${where##*/}"; else say 'not ok' "$name is tested in ${where##*/}: take it from the list of those that are not"; fi
    elif [ $listed = yes ]; then
        say ok "$name: nothing obeys it yet"
    else
        say 'not ok' "$name: no test shows an effect"
    fi
done <<END
$list
END
echo "1..$count"
[ "$failed" -eq 0 ] && [ "$count" -gt 60 ]
