#!/bin/sh
# configure_flags.sh: each configure flag that sets the default of an option does so, and those without effect warn. Configures and
# compiles the settings in directories of its own (half a minute), so it is run by hand and by CI, not by make check.
# Run it in the top directory of a source tree that is not configured itself, or of a distribution. Prints TAP.
set -u
tree=$(cd "${srcdir:-.}" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
count=0
status=0
say() { # RESULT NAME
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; tail -n 3 "$work/said" | sed 's/^/# /'; status=1; fi
}
cat >"$work/list.c" <<'END'
#include <stdio.h>
#include "settings/config.h"
int main(void)
{
    struct strbuf out = STRBUF_INIT(1 << 20);

    config_list(&out);
    config_version(&out); /* the last line, as popper -v says it */
    fputs(out.data, stdout);
    return 0;
}
END
configure() {
    rm -rf "$work/build"
    mkdir "$work/build"
    # What the system has is looked for once.
    (cd "$work/build" && "$tree/configure" --cache-file="$work/cache" "$@") >"$work/said" 2>&1
}
# The table of options of what was configured, in $work/table.
table() {
    objects=$(cd "$tree" && find popper/settings -name '*.c' | sed 's/c$/o/')
    : >"$work/table"
    libs=$(sed -n 's/^\(DIGEST_LIBS\|LIBS\) = //p' "$work/build/Makefile")
    # shellcheck disable=SC2086 # lists
    (cd "$work/build" && make -s $objects common/libcommon.a &&
        ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -I. -I"$tree" -I"$tree/popper" -o list "$work/list.c" $objects common/libcommon.a \
            $libs) \
        >>"$work/said" 2>&1 && "$work/build/list" >"$work/table"
}
default() { # NAME VALUE
    grep -qF "$(printf '\t%s' "$2")" <<END
$(awk -F '\t' -v name="$1" '$1 == name { printf "\t%s\n", $7 }' "$work/table")
END
    say $? "$1 is $2"
}
mode() { # standalone|non-standalone
    tail -n 1 "$work/table" | grep -q "^Qpopper version .* ($1)\$"
    say $? "popper -v says $1"
}
defines() { # NAME VALUE
    grep -qxF "#define $1 $2" "$work/build/config.h"
    say $? "config.h has $1 $2"
}
warns() {
    grep -q "WARNING: .*$1" "$work/said"
    say $? "configure warns about $1"
}

configure --enable-spool-dir=/s --enable-temp-drop-dir=/t --enable-temp-drop-name=t%s --enable-cache-dir=/c --enable-cache-name=c%s \
    --enable-home-dir-mail=Mailbox --enable-home-dir-misc --enable-auth-file=/a --enable-nonauth-file=/n \
    --enable-server-mode-group-include=users --enable-server-mode-group-exclude=shells --with-sendmail=/usr/lib/sendmail \
    --enable-hash-spool=2 --with-new-bulls=10 --enable-servermode --enable-shy --enable-fast-update --enable-keep-temp-drop \
    --enable-update-abort --enable-status --enable-debugging --enable-timing --enable-group-bulls --disable-reverse-lookup \
    --disable-check-hash-dir --disable-old-spool-loc --disable-check-pw-max --enable-uw-kludge --enable-auto-delete \
    --enable-chunky-writes=never --enable-log-facility=LOG_MAIL --disable-log-login --enable-standalone --enable-apop=/x/pop.auth \
    --with-pam=qpopper --enable-timeout=120 --with-popuid=mail --enable-bulletins=/b --enable-popbulldir=/p \
    --enable-specialauth --enable-ipv6 --enable-poppassd --enable-32-bit --with-sslplus --enable-drac --with-privsep-path=/e \
    --with-privsep-user=games
say $? "configure takes all flags"
table
say $? "what was configured compiles"
while read -r name value; do default "$name" "$value"; done <<'END'
spool-dir /s
temp-dir /t
temp-name t%s
cache-dir /c
cache-name c%s
home-dir-mail Mailbox
home-dir-misc true
auth-file /a
nonauth-file /n
group-server-mode users
group-no-server-mode shells
mail-command /usr/lib/sendmail
hash-spool 2
max-bulletins 10
bulldir /b
drac-host localhost
server-mode true
shy true
fast-update true
keep-temp-drop true
update-on-abort true
update-status-headers true
debug true
timing true
group-bulletins true
reverse-lookup false
check-hash-dir false
check-old-spool-loc false
check-password-expired false
UW-kluge true
auto-delete true
announce-expire 0
chunky-writes never
log-facility mail
log-login ""
apop-file /x/pop.auth
pam-service qpopper
timeout 120
END
mode standalone
defines PRIVSEP_PATH '"/e"'
defines PRIVSEP_USER '"games"'
for flag in specialauth ipv6 poppassd 32-bit sslplus; do warns "$flag"; done
grep -q 'what is in:' "$work/said"
say $? "configure ends with a table of what is in"

configure --enable-log-login --disable-update-abort --enable-log-facility=local3 --enable-uw-kludge-flag --enable-home-dir-mail
say $? "configure takes the other spellings"
table
default log-login '"(v%0) POP login by user \"%1\" at (%2) %3"'
default update-on-abort false
default log-facility local3
default UW-kluge true
default home-dir-mail .mail
default pam-service '""'
default bulldir '""'
mode non-standalone

configure --with-pam --with-kerberos5 --enable-bulldb=/q --enable-bulletins=/b
say $? "configure takes --with-pam without a name, --with-kerberos5 and --enable-bulldb"
table
default pam-service pop3
default bulldir /q
defines BULLDB_REQUIRED 1
defines WITH_KERBEROS 1
# shellcheck disable=SC2016 # a pattern
grep -q '^  Kerberos (MIT krb5) *yes' "$work/said"
say $? "and the table at its end has Kerberos"

configure --enable-static-openssl && grep -q 'TLS (OpenSSL) *yes, static' "$work/said"
say $? "configure takes --enable-static-openssl"
(cd "$work/build" && make -s popper/popper-tls.so && readelf -dW popper/popper-tls.so >needed && grep -q NEEDED needed && ! grep -E 'NEEDED.*lib(ssl|crypto)' needed) \
    >>"$work/said" 2>&1
say $? "and popper-tls.so needs neither libssl nor libcrypto"
! configure --without-openssl --enable-static-openssl && grep -q "configure: error: --enable-static-openssl" "$work/said"
say $? "configure refuses it without OpenSSL"

for flag in --enable-hash-spool=3 --enable-spool-dir=x --enable-spool-dir --enable-shy=maybe --with-new-bulls=many \
    --enable-log-facility=foo --enable-temp-drop-name=pop '--enable-cache-name=%s"' \
    --with-pam=Pop3 --with-pam=x/pop3 --without-privsep-user --with-privsep-user=root; do
    ! configure "$flag" && grep -q "configure: error: --" "$work/said"
    say $? "configure refuses $flag"
done
for flag in --enable-bulldb=/b --enable-apop=/a --enable-bulldb --enable-apop; do
    ! configure --without-gdbm "$flag" && grep -q "configure: error: ${flag%=*} needs gdbm" "$work/said"
    say $? "configure refuses $flag without gdbm"
done
echo "1..$count"
exit $status
