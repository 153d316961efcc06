#!/bin/sh
# layers.sh [TREE]: the rules of the design's section "Rooms", checked over the sources. Prints TAP, a case a rule.
# It reads the text of the sources and must never need a build. tests/layers_selftest.sh shows that each rule can fail.
set -u
tree=${1:-${srcdir:-.}}
cd "$tree" || { echo "Bail out! no directory $tree"; exit 1; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Two copies of every source with the same line numbers: code/ without comments (for #include), bare/ without strings too.
# shellcheck disable=SC2016 # awk programs
strip='
function put(c) { code = code c; bare = bare c }
FNR == 1 {
    if (out_code != "") { close(out_code); close(out_bare) }
    out_code = base "/code/" FILENAME; out_bare = base "/bare/" FILENAME; comment = 0
}
{
    n = length($0); code = ""; bare = ""; quote = ""
    for (i = 1; i <= n; i++) {
        c = substr($0, i, 1); two = substr($0, i, 2)
        if (comment) { if (two == "*/") { comment = 0; i++ } continue }
        if (quote != "") {
            code = code c
            if (c == "\\") { i++; code = code substr($0, i, 1) } else if (c == quote) { quote = ""; bare = bare c }
            continue
        }
        if (two == "/*") { comment = 1; i++; continue }
        if (two == "//") break
        if (c == "\"" || c == "\047") quote = c
        put(c)
    }
    print code > out_code; print bare > out_bare
}'
files=$(find common popper -name '*.[ch]' 2>/dev/null | LC_ALL=C sort)
[ -n "$files" ] || { echo "Bail out! no sources in $tree"; exit 1; }
find common popper -type d 2>/dev/null | while read -r room; do mkdir -p "$work/code/$room" "$work/bare/$room"; done
# shellcheck disable=SC2086 # a list of words
LC_ALL=C awk -v base="$work" "$strip" $files

count=0
failed=0
# rule NAME: $work/found holds the offending places, a line each; none is a pass.
rule() {
    count=$((count + 1))
    found=$(cat "$work/found")
    if [ -z "$found" ]; then
        echo "ok $count - $1"
    else
        failed=$((failed + 1))
        echo "not ok $count - $1"
        printf '%s\n' "$found" | sed 's/^/# /'
    fi
}

# in_code / in_bare PATTERN PATH...: file:line:text of extended regular expression matches; missing paths are no error.
in_code() { pattern=$1; shift; (cd "$work/code" && LC_ALL=C grep -rnE -e "$pattern" -- "$@" 2>/dev/null); }
in_bare() { pattern=$1; shift; (cd "$work/bare" && LC_ALL=C grep -rnE -e "$pattern" -- "$@" 2>/dev/null); }
# only_in REGEX: drops the places in the files that may.
only_in() { LC_ALL=C grep -vE -e "^($1):"; }

inc_here='[[:space:]]*#[[:space:]]*include[[:space:]]*'
inc="^$inc_here"

# ---- floors

floor_rule() { # FLOOR DIRECTORY ALLOWED...
    name=$1 dir=$2
    shift 2
    allowed=$(printf '|%s' "$@")
    in_code "$inc\"" "$dir" | LC_ALL=C grep -vE -e "$inc_here"'"(config\.h"|('"${allowed#|}"')/[a-z0-9_]+\.h")' -e '\.c:[0-9]+:'"$inc_here"'"[a-z_]*_filter\.inc"' >"$work/found"
    rule "$name includes only its own floor and lower ones, as \"floor/room.h\""
}
floor_rule common common common
floor_rule settings popper/settings settings common
floor_rule wire popper/wire wire settings common
floor_rule mail popper/mail mail settings common
floor_rule auth popper/auth auth wire settings common
floor_rule protocol popper/protocol protocol auth mail wire settings common
floor_rule process popper/process process protocol auth mail wire settings common

in_code 'popper/|settings/|wire/|mail/|auth/|protocol/|process/' common | LC_ALL=C grep -E ":$inc_here" >"$work/found"
rule 'common knows nothing of popper/'

in_code "$inc"'[<"](sys/socket\.h|sys/un\.h|netinet/|arpa/|netdb\.h|wire/(netio|privmsg|reply)\.h)' popper/mail popper/auth \
    | only_in 'popper/auth/drac[a-z_]*\.[ch]' >"$work/found"
rule 'mail and auth know no sockets'

(cd "$work/code" && LC_ALL=C grep -nE "$inc"'[<"](auth/|process/|openssl/|wire/privmsg\.h|.*tls)' /dev/null popper/protocol/cmd_mail*.[ch] popper/protocol/cmd_xtnd*.[ch] 2>/dev/null) >"$work/found"
rule 'cmd_mail and cmd_xtnd never see auth, TLS or privmsg'

# ---- one room for each outside library

library() { # NAME HEADERS MACROS ROOMS
    { in_code "${inc}[<\"]($2)" common popper; in_bare "^[[:space:]]*#[[:space:]]*(if|ifdef|ifndef|elif).*\\<($3)\\>" common popper; } \
        | only_in "$4" >"$work/found"
    rule "only its one room knows $1"
}
library OpenSSL 'openssl/' 'HAVE_(OPENSSL|LIBSSL|LIBCRYPTO|SSL|TLS)' '(popper/process/tls[a-z_]*|common/digest[a-z_]*)\.[ch]'
library libmd '(md[245]|sha[0-9]*|rmd160)\.h' 'HAVE_LIBMD' 'common/digest[a-z_]*\.[ch]'
library libcrypt 'crypt\.h' 'HAVE_(CRYPT|LIBCRYPT|CRYPT_R|CRYPT_H)' 'popper/auth/auth_passwd\.[ch]'
library PAM 'security/|pam/' 'HAVE_(LIB)?PAM' 'popper/auth/auth_pam\.[ch]'
library Kerberos 'krb5\.h|krb5/|com_err\.h|gssapi' 'HAVE_(LIB)?KRB5|HAVE_KERBEROS5?' 'popper/auth/auth_kerberos\.[ch]'
library gdbm '[gn]dbm\.h' 'HAVE_(LIB)?GDBM' 'common/gdbmfile\.[ch]'
library GMime 'gmime/|glib' 'HAVE_GMIME' 'popper/mail/mangle[a-z_]*\.[ch]'
library libxml2 'libxml/' 'HAVE_LIBXML' 'popper/mail/mangle(_html)?\.c'
library 'ONC RPC' 'rpc/|tirpc/' 'HAVE_(LIB)?TIRPC|HAVE_RPC|HAVE_DRAC' 'popper/auth/drac[a-z_]*\.[ch]'
library 'GNU SASL' 'gsasl\.h' 'HAVE_(LIB)?GSASL' 'popper/auth/sasl[a-z_]*\.[ch]'
library seccomp 'seccomp\.h|linux/(seccomp|filter|audit)\.h' 'HAVE_(LIB)?SECCOMP' 'popper/process/sandbox[a-z_]*\.[ch]'

# ---- names

printf '%s\n' "$files" | LC_ALL=C grep -E '/(util|utils|misc|miscellaneous|helper|helpers|common|popper|all|global|globals|defs|includes|pop3?d?|session_?struct)[a-z0-9_]*\.h$|/(util|misc|helper|global)s?[a-z0-9_]*\.c$' \
    | LC_ALL=C grep -vE '^popper/(process/session|popauth_(args|say))\.h$' >"$work/found"
rule 'no umbrella header, no util or misc file'

(cd "$work/code" && for h in $files; do
    case $h in *.c) continue ;; esac
    n=$(LC_ALL=C grep -cE "$inc\"" "$h")
    [ "$n" -le 8 ] || echo "$h includes $n of our headers: an umbrella?"
done) >"$work/found"
rule 'no header gathers more than eight of ours'

# ---- dangerous calls in their rooms

call() { # a call of one of the named functions, not a member of a table nor the tail of a longer name
    printf '(^|[^A-Za-z0-9_.>]|[^-]>)(%s)[[:space:]]*\\(' "$1"
}
in_bare "$(call 'p?writev?2?|pwrite64|sendfile|splice|copy_file_range|f?truncate|f(data)?sync|sync_file_range|syncfs|rename(at2?)?|unlink(at)?|remove|(posix_)?fallocate|file_p?write|fwrite|fprintf|fputs')" popper/mail \
    | only_in 'popper/mail/filecalls\.[ch]' >"$work/found"
rule 'mail changes files only through filecalls'

# What a session reads or sends by the gigabyte.
{ in_code "${inc}<stdio\\.h>" popper/mail popper/protocol/dotted.[ch] popper/wire; in_bare "$(call 'v?[fsd]?n?printf|f?gets|getline|getdelim|f?getc(_unlocked)?|getchar|fread|f?puts|f?putc|fopen|fdopen')" popper/mail popper/protocol popper/wire; } \
    | LC_ALL=C grep -E '^popper/(mail/(mbox|scanwindow|lines|msg|dropplan|maildrop)[a-z_]*|protocol/dotted|wire/netio)\.[ch]:' >"$work/found"
rule 'the scanner and what sends messages use no stdio'

in_bare "$(call '_?exit|_Exit|quick_exit|abort|err|errx')" common popper \
    | only_in 'popper/process/[a-z0-9_]+\.c|popper/main\.c|popper/popauth\.c|common/mem\.[ch]' >"$work/found"
rule 'only process, main, popauth and mem end the process'

in_bare "$(call 'v?fork|_Fork|clone3?|posix_spawnp?|popen|system|daemon')" common popper \
    | only_in 'popper/process/[a-z0-9_]+\.c' >"$work/found"
rule 'only the process floor forks'

# Whatever is compared with mem_equal takes the same time wherever it differs; the others are for names and for texts that stand in the program.
in_bare "$(call 'memcmp|bcmp|str(n|case|ncase)?cmp|timingsafe_bcmp|strverscmp')" popper/auth common/scram.[ch] common/apop*.[ch] common/digest*.[ch] common/prompt.[ch] \
    popper/process/checker*.[ch] popper/process/sasl*.[ch] popper/process/monitor*.[ch] popper/process/ticketkeys.[ch] popper/process/kpop.[ch] \
    | LC_ALL=C grep -vE '"|(memcmp|cmp)[[:space:]]*\([^;]*(name|version|service|realm|ending|principal|canonical)' >"$work/found"
rule 'secrets are compared by mem_equal'

# ---- what may run as root

listed=$(sed '/\*\//q' popper/process/monitor.c 2>/dev/null | grep -oE '[a-z0-9_*]+\.c')
set -f
for f in $(printf '%s\n' "$files" | grep -E '^popper/(process|auth)/[a-z0-9_]+\.c$'); do
    for pattern in $listed; do
        # shellcheck disable=SC2254 # a pattern
        case ${f##*/} in $pattern) continue 2 ;; esac
    done
    echo "$f"
done >"$work/found"
set +f
rule 'each file of process and auth is named at the head of monitor.c: it may run as root, or never does'

# ---- prototypes belong into headers

# At brace depth 0 of a .c file: a statement that ends in ';', is not static, typedef, a variable with a value, and has a
# parameter list, declares a function that another file owns.
# shellcheck disable=SC2016
prototypes='
function flush_statement() {
    if (text ~ /\(.*\)/ && text !~ /^[ \t]*(static|typedef|_Static_assert|static_assert)[^a-z_]/ && text !~ /=/ && text !~ /^[ \t]*[A-Z_0-9]+[ \t]*\(/)
        print FILENAME ":" first ":" text
    text = ""
}
FNR == 1 { depth = 0; text = ""; continued = 0 }
/^[ \t]*#/ || continued { continued = ($0 ~ /\\$/); next }
{
    n = length($0)
    for (i = 1; i <= n; i++) {
        c = substr($0, i, 1)
        if (c == "{") { depth++; text = "" }
        else if (c == "}") { depth--; text = "" }
        else if (depth == 0 && c == ";") flush_statement()
        else if (depth == 0) { if (text == "") { if (c == " ") continue; first = FNR } text = text c }
    }
    if (text != "") text = text " "
}'
# shellcheck disable=SC2046 # a list of words
(cd "$work/bare" && LC_ALL=C awk "$prototypes" $(printf '%s\n' "$files" | grep '\.c$')) >"$work/found"
rule 'no prototypes in .c files'

echo "1..$count"
[ "$failed" -eq 0 ]
