/*
 * saslticket: see saslticket.h.
 *
 * Rights of this role: until saslticket_enter returns those of the monitor, with which it loads popper-krb5.so and
 * popper-gsasl.so with their libraries, reads krb5.conf and copies the keys of pop/HOST from the keytab into memory; it is not
 * dumpable before it does. It has no descriptor of the client. Then those of process/kpop: the privsep user, in the sandbox
 * "gssapi", locked into the directory that holds the replay cache. Its memory is limited there. The keys go with the process.
 */
#include "process/saslticket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "auth/sasl_gssapi.h"
#include "common/file.h"
#include "common/identity.h"
#include "process/privsep.h"

#define REPLAY_FILE "replay" /* the same as that of process/kpop */

static struct {
    const struct auth_kerberos_calls *kerberos;
    struct auth_kerberos *keys;
    const struct sasl_gssapi_calls *gssapi;
    struct sasl_gssapi *exchange;
} ours;

static int read_keys(const struct settings *settings, struct strbuf *why)
{
    struct strbuf replay = STRBUF_INIT(OPTION_VALUE_MAX + sizeof REPLAY_FILE + 1);

    strbuf_addf(&replay, "%s/" REPLAY_FILE, identity_privileged() ? "" : settings->kerberos_replay_dir);
    ours.keys = ours.kerberos->open(SASLTICKET_SERVICE, settings->kerberos_keytab, replay.data, why);
    strbuf_free(&replay);
    return ours.keys ? setenv("KRB5_KTNAME", AUTH_KERBEROS_MEMORY, 1) : -1;
}

/* The library would ask the DNS for the name of this host, and whatever answers is not to be read with these rights. What stands
   in front of krb5.conf counts before it. Stays open as long as the process lives. */
static int forbid_names(struct strbuf *why)
{
    static const char text[] = "[libdefaults]\n    dns_canonicalize_hostname = false\n    rdns = false\n    qualify_shortname = \"\"\n";
    int fd = memfd_create("krb5.conf", MFD_CLOEXEC);
    char paths[80];

    if (fd < 0 || file_write(fd, text, sizeof text - 1) != (ssize_t)sizeof text - 1)
        return strbuf_fail(why, "no memory file for Kerberos");
    snprintf(paths, sizeof paths, "/proc/self/fd/%d:/etc/krb5.conf", fd);
    return setenv("KRB5_CONFIG", paths, 1);
}

int saslticket_enter(const struct settings *settings, pid_t parent, struct strbuf *why)
{
    const struct rlimit none = { 0, 0 };

    if (!settings->gssapi || !settings->kerberos_replay_dir)
        return strbuf_fail(why, "gssapi and kerberos-replay-dir must be set");
    ours.kerberos = auth_kerberos_load(why);
    ours.gssapi = ours.kerberos ? sasl_gssapi_load(why) : NULL;
    if (!ours.gssapi)
        return -1;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
    if (read_keys(settings, why) < 0)
        return -1;
    if (forbid_names(why) < 0)
        return -1;
    ours.exchange = ours.gssapi->begin(SASLTICKET_SERVICE, why);
    if (!ours.exchange)
        return -1;
    return privsep_enter_with_file(settings->kerberos_replay_dir, REPLAY_FILE, SANDBOX_GSSAPI, settings->sandbox, parent, why);
}

enum sasl_outcome saslticket_step(const char *token, size_t n, struct strbuf *reply, struct auth_kerberos_client *client_r,
                                  char authzid_r[SASL_NAME_MAX + 1], struct strbuf *why)
{
    struct sasl_gssapi_client client = { .authzid = "" };
    enum sasl_outcome outcome = ours.gssapi->step(ours.exchange, token, n, reply, &client, why);

    if (outcome == SASL_PROVED && ours.kerberos->name(ours.keys, client.principal, client_r, why) < 0)
        return SASL_DISPROVED;
    memcpy(authzid_r, client.authzid, sizeof client.authzid);
    return outcome;
}
