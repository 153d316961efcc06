/*
 * check_network: the part of --check that looks at what stands between popper and strangers: TLS, names of clients, the user and
 * directory of the processes that meet them. See check.h.
 */
#include "process/check_parts.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "common/identity.h"
#include "process/privsep.h"
#include "process/resolver.h"
#include "process/tlslinger.h"
#include "process/tlstrial.h"
#include "wire/netio.h"
#include "wire/peer.h"

#define SLOW_MS 1000

void check_tls(struct check *c)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);

    if (c->settings->tls_support == TLS_SUPPORT_NONE)
        check_say(CHECK_OK, "tls-support is off: passwords and mail cross the network in clear text");
    else {
        check_hear_infos(true);
        if (tlstrial_examine(c->settings, c->host, &why) < 0)
            check_say(CHECK_ERROR, "TLS: %s", why.data);
        else
            check_say(CHECK_OK, "TLS: versions, ciphers, certificates and keys can be used");
        check_hear_infos(false);
        if (tlslinger_wanted(c->settings) && tlslinger_look(c->settings, &why) < 0)
            check_say(CHECK_WARNING, "tls-linger: no process can be left behind that has the TLS library ready: %s", why.data);
    }
    strbuf_free(&why);
}

/* ---- privsep */

void check_privsep(struct check *c)
{
    struct strbuf why = STRBUF_INIT(STRBUF_WHY_MAX);
    const char *jail;
    uid_t uid;

    (void)c;
    if (!identity_privileged()) {
        check_say(CHECK_OK, "not started as root: sessions have uid %ld and can serve only that user", (long)geteuid());
        return;
    }
    if (privsep_look(&uid, &jail, &why) < 0)
        check_say(CHECK_ERROR, "%s", why.data);
    else if (why.len)
        check_say(CHECK_OK, "%s, so processes that meet clients (uid %ld) are locked into %s, where nothing can be made either; to mend it: "
                  "popper's make install, or an empty directory of root's with mode 755", why.data, (long)uid, jail);
    else
        check_say(CHECK_OK, "processes that meet clients have uid %ld and are locked into %s", (long)uid, jail);
    strbuf_free(&why);
}

/* ---- names of clients */

/* What a session would wait for the name of this address. */
static void time_lookup(const struct settings *s, const struct sockaddr *address, socklen_t length)
{
    int64_t begun = netio_now();
    struct resolver resolver = { 0 };
    struct peer peer;
    long ms;

    peer_of_address(&peer, address, length);
    resolver_start(&resolver, s, &peer);
    resolver_finish(&resolver, &peer);
    ms = (long)((netio_now() - begun) / 1000000);
    if (ms >= SLOW_MS)
        check_say(CHECK_WARNING, "reverse-lookup: the name of %s took %ld ms to look up, and each login waits for such a name up to %d s; "
                  "mend the resolver (/etc/resolv.conf), or reset reverse-lookup (-R)", peer.ip, ms, RESOLVER_SECONDS);
    else if (strcmp(peer.host, peer.ip) == 0)
        check_say(CHECK_OK, "reverse-lookup: %s has no name (looked up in %ld ms)", peer.ip, ms);
    else
        check_say(CHECK_OK, "reverse-lookup: %s is %s (looked up in %ld ms)", peer.ip, peer.host, ms);
}

/* The first address of this host that is none of the loopback's. */
static void time_own_address(const struct settings *s)
{
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) < 0)
        return;
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a->ifa_addr;

        if (!in || in->sin_family != AF_INET || (ntohl(in->sin_addr.s_addr) >> 24) == 127)
            continue;
        time_lookup(s, a->ifa_addr, sizeof *in);
        break;
    }
    freeifaddrs(all);
}

void check_resolver(struct check *c)
{
    const struct sockaddr_in loopback = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    if (!c->settings->reverse_lookup) {
        check_say(CHECK_OK, "names of clients are not looked up");
        return;
    }
    time_lookup(c->settings, (const struct sockaddr *)&loopback, sizeof loopback);
    time_own_address(c->settings);
}
