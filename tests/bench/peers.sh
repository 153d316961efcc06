#!/bin/sh
# peers.sh: unpacks the other POP3 servers from Debian packages under .work/unpacked, with the libraries that are not installed. Nothing is
# installed or started. Where there is no apt, or no network, the benchmark runs without them.
set -u
peers='popa3d solid-pop3d mailutils-pop3d dovecot-core dovecot-pop3d openbsd-inetd'
libraries='libapparmor1 libexttextcat-2.0-0 liblua5.4-0 libsodium23 libstemmer0d libunwind8 liblockfile1 libkyotocabinet16v5 libmu-dbm9
    libmailutils9 libgsasl18 libwrap0 libtirpc3 libevent-2.1-7 libbsd0 libicu72 libnsl2 libgssglue1 libntlm0'

command -v apt-get >/dev/null 2>&1 || exit 0
mkdir -p .work/unpacked .work/debs
for p in $peers $libraries; do
    [ ! -d ".work/unpacked/$p" ] || continue
    case " $peers " in
    *" $p "*) ;;
    *) [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" != installed ] || continue ;;
    esac
    if (cd .work/debs && apt-get download -qq "$p") >/dev/null 2>&1; then
        dpkg-deb -x .work/debs/"$p"_*.deb ".work/unpacked/$p"
    else
        echo "peers.sh: could not get the package $p"
    fi
done
exit 0
