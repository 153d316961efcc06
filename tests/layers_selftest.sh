#!/bin/sh
# layers_selftest.sh: shows that every rule of layers.sh can fail: a clean little tree passes, and for each rule the same
# tree with one offence fails in that rule and in no other. A rule without an offence here fails the test.
set -u
[ "${POPPER_TESTS:-}" != short ] || { echo '1..0 # SKIP not in the short form'; exit 0; }
here=$(cd "${srcdir:-.}/tests" && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
count=0
failed=0
say() { # STATUS NAME
    count=$((count + 1))
    [ "$1" = ok ] || failed=$((failed + 1))
    echo "$1 $count - $2"
}

put() { # FILE TEXT (printf escapes)
    mkdir -p "$work/tree/${1%/*}"
    printf '%b' "$2" >"$work/tree/$1"
}

# What looks like an offence and is none.
clean_tree() {
    rm -rf "$work/tree"
    put common/mem.c '#include "common/mem.h"\nvoid mem_die(void)\n{\n    _exit(75);\n}\n'
    put common/mem.h '/* never exit() nor fork() here */\nvoid mem_die(void);\n'
    put common/digest.c '#include "config.h"\n#ifdef HAVE_LIBMD\n#include <md5.h>\n#else\n#include <openssl/evp.h>\n#endif\n'
    put popper/settings/options.c '#include "common/mem.h"\nstatic const char text[] = "fork(2) and exit(3); /* \\" */ unlink(x)";\nstatic int twice(int (*f)(int));\n'
    put popper/wire/netio.h '#include "settings/options.h"\n#include <sys/socket.h>\n'
    put popper/mail/journal.c '#include "mail/filecalls.h"\nint journal_put(struct filecalls *calls)\n{\n    // unlink(path)\n    return calls->fsync(3) + calls[0].unlink("x");\n}\n'
    put popper/mail/filecalls.c '#include "mail/filecalls.h"\nint filecalls_sync(int fd)\n{\n    return fsync(fd);\n}\n'
    put popper/auth/auth_passwd.c '#include <crypt.h>\n#include "auth/auth_passwd.h"\n#include "wire/peer.h"\n'
    put popper/protocol/cmd_mail.c '#include "mail/msglist.h"\n#include "wire/netio.h"\nint (*cmd_mail_hook)(int) = 0;\nint cmd_mail_x(int exited)\n{\n    return after_exit(exited);\n}\n'
    put popper/process/session.h '#include "protocol/command.h"\n'
    put popper/process/monitor.c '/* session.c auth*.c monitor.c: root; never: keeper*.c */\n#include "auth/auth.h"\n#include "process/session.h"\nvoid monitor_go(void)\n{\n    if (fork() == 0)\n        _exit(0);\n}\n'
    put popper/main.c '#include "process/monitor.h"\nint main(void)\n{\n    exit(monitor_run());\n}\n'
}

clean_tree
if "$here/layers.sh" "$work/tree" >"$work/out"; then say ok 'a clean tree passes'; else
    say 'not ok' 'a clean tree passes'
    sed 's/^/# /' "$work/out"
fi
sed -n 's/^ok [0-9]* - //p' "$work/out" | LC_ALL=C sort >"$work/rules"
: >"$work/broken"

offence() { # RULE FILE TEXT: adding this file breaks exactly this rule
    clean_tree
    put "$2" "$3"
    "$here/layers.sh" "$work/tree" >"$work/out"
    status=$?
    names=$(sed -n 's/^not ok [0-9]* - //p' "$work/out")
    if [ $status -ne 0 ] && [ "$names" = "$1" ]; then say ok "$2: $1"; else
        say 'not ok' "$2: $1"
        sed 's/^/# /' "$work/out"
    fi
    echo "$1" >>"$work/broken"
}

f='includes only its own floor and lower ones, as "floor/room.h"'
offence "common $f" common/log.c '#include "log.h"\n'
offence "settings $f" popper/settings/config.c '  #  include "wire/netio.h"\n'
offence "wire $f" popper/wire/reply.c '#include "mail/msglist.h"\n'
offence "mail $f" popper/mail/uidl.c '#include "auth/auth.h"\n'
offence "auth $f" popper/auth/auth.c '#include "mail/maildrop.h"\n'
offence "protocol $f" popper/protocol/stats.c '#include "process/session.h"\n'
offence "process $f" popper/process/keeper.c '#include "../mail/maildrop.h"\n'
offence 'common knows nothing of popper/' common/file.c '#include <popper/options.h>\n'
offence 'mail and auth know no sockets' popper/mail/msgsend.c '#include <sys/socket.h>\n'
offence 'mail and auth know no sockets' popper/auth/auth.c '#include "wire/netio.h"\n'
offence 'cmd_mail and cmd_xtnd never see auth, TLS or privmsg' popper/protocol/cmd_mail.c '#include "auth/auth.h"\n'
offence 'cmd_mail and cmd_xtnd never see auth, TLS or privmsg' popper/protocol/cmd_xtnd.c '#include "wire/privmsg.h"\n'
offence 'only its one room knows OpenSSL' popper/process/session.c '#include <openssl/ssl.h>\n'
offence 'only its one room knows OpenSSL' popper/protocol/command.c '#if defined(HAVE_OPENSSL)\n#endif\n'
offence 'only its one room knows libmd' popper/mail/uidl.c '#include <md5.h>\n'
offence 'only its one room knows libmd' popper/mail/uidl.c '#ifndef HAVE_LIBMD\n#endif\n'
offence 'only its one room knows libcrypt' popper/auth/auth.c '#include <crypt.h>\n'
offence 'only its one room knows PAM' popper/auth/auth.c '#include <security/pam_appl.h>\n'
offence 'only its one room knows PAM' popper/process/session.c '#ifdef HAVE_PAM\n#endif\n'
offence 'only its one room knows Kerberos' popper/auth/auth.c '#include <krb5.h>\n'
offence 'only its one room knows gdbm' popper/popauth.c '#include <gdbm.h>\n'
offence 'only its one room knows GMime' popper/mail/msgsend.c '#include <gmime/gmime.h>\n'
offence 'only its one room knows libxml2' popper/mail/mangle_text.c '#include <libxml/parser.h>\n'
offence 'only its one room knows ONC RPC' popper/auth/auth.c '#include <rpc/rpc.h>\n'
offence 'only its one room knows GNU SASL' popper/protocol/cmd_auth.c '#include <gsasl.h>\n'
offence 'only its one room knows seccomp' popper/process/session.c '#include <linux/seccomp.h>\n'
offence 'no umbrella header, no util or misc file' popper/mail/util.c 'int x;\n'
offence 'no umbrella header, no util or misc file' popper/process/popper.h 'extern int x;\n'
many=
for h in a b c d e f g h i; do many="$many#include \"mail/$h.h\"\\n"; done
offence 'no header gathers more than eight of ours' popper/mail/maildrop.h "$many"
offence 'mail changes files only through filecalls' popper/mail/tempdrop.c 'int tempdrop_x(int fd)\n{\n    return ftruncate(fd, 0);\n}\n'
offence 'mail changes files only through filecalls' popper/mail/tempdrop.c 'int tempdrop_x(int fd)\n{\n    return (int)pwrite (fd, "", 0, 0);\n}\n'
offence 'the scanner and what sends messages use no stdio' popper/mail/mboxscan.c '#include <stdio.h>\n'
offence 'the scanner and what sends messages use no stdio' popper/mail/msgsend.c 'int msgsend_x(char *line, int n, void *f)\n{\n    return fgets(line, n, f) != 0;\n}\n'
offence 'secrets are compared by mem_equal' popper/auth/auth_secrets.c 'int auth_secrets_x(const char *a, const char *digest)\n{\n    return strcmp(a, digest);\n}\n'
offence 'secrets are compared by mem_equal' common/scram.c 'int scram_x(const char *a, const char *key)\n{\n    return a[0] == 1 && memcmp(a, key, 20) == 0;\n}\n'
offence 'only process, main, popauth and mem end the process' popper/wire/netio.c 'void netio_x(void)\n{\n    exit(1);\n}\n'
offence 'only process, main, popauth and mem end the process' popper/wire/netio.c 'void netio_x(void)\n{\n    _exit(1);\n}\n'
offence 'only the process floor forks' popper/auth/auth.c 'int auth_x(void)\n{\n    return fork();\n}\n'
offence 'only the process floor forks' popper/protocol/cmd_xtnd.c 'void *cmd_xtnd_x(void)\n{\n    return popen("x", "r");\n}\n'
offence 'each file of process and auth is named at the head of monitor.c: it may run as root, or never does' popper/process/nobody.c 'int x;\n'
offence 'no prototypes in .c files' popper/mail/uidl.c 'int uidl_other(const char *name,\n               int n);\n'
offence 'no prototypes in .c files' popper/main.c 'extern void monitor_run(void);\n'

LC_ALL=C sort -u "$work/broken" >"$work/seen"
untested=$(LC_ALL=C comm -23 "$work/rules" "$work/seen")
if [ -z "$untested" ]; then say ok 'every rule was seen to fail'; else
    say 'not ok' 'every rule was seen to fail'
    printf '%s\n' "$untested" | sed 's/^/# never failed: /'
fi
echo "1..$count"
[ "$failed" -eq 0 ]
