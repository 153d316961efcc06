/*
 * drac: the module popper-drac.so, see drac.h. Runs in a process without rights (process/dracteller), because the name
 * service, rpcbind and the DRAC server answer it over the network; once the name is known, closed in. So the library's
 * convenient calls are not for us: they read /etc/netconfig and make sockets whenever they like.
 */
#include "auth/drac.h"

#include <config.h>

#include "common/mem.h" /* before the macros of RPC that have names of its functions */

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <rpc/rpc.h>
#include <rpc/pmap_prot.h>
#include <string.h>
#include <sys/socket.h>

#define DRAC_PROGRAM 900101
#define DRAC_VERSION 1
#define DRAC_ADD 1
#define RETRY_MS 1000

/* The results of DRAC_ADD. */
enum { ADDED, NO_PERMISSION, SYSTEM_ERROR };

struct drac {
    char *host; /* as it was given, for messages */
    struct in_addr address;
    int socket;
    CLIENT *rpcbind, *server;
};

static struct timeval interval(int ms)
{
    return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

static bool_t put_number(XDR *xdr, ...)
{
    va_list ap;
    bool_t well;

    va_start(ap, xdr);
    well = xdr_u_int32_t(xdr, va_arg(ap, uint32_t *));
    va_end(ap);
    return well;
}

static bool_t put_mapping(XDR *xdr, ...)
{
    va_list ap;
    bool_t well;

    va_start(ap, xdr);
    well = xdr_pmap(xdr, va_arg(ap, struct pmap *));
    va_end(ap);
    return well;
}

static int explain_failure(const char *host, enum clnt_stat status, struct strbuf *why)
{
    if (status == RPC_TIMEDOUT)
        return strbuf_fail(why, "the DRAC server on %s is registered with rpcbind but does not answer; restart it", host);
    return strbuf_fail(why, "the DRAC server on %s could not be asked: %s; restart it", host, clnt_sperrno(status));
}

static int explain_result(const char *host, int32_t result, struct strbuf *why)
{
    switch (result) {
    case ADDED:
        return 0;
    case NO_PERMISSION:
        return strbuf_fail(why, "the DRAC server on %s takes nothing from this host (permission); list this host in its file of "
                           "allowed hosts", host);
    case SYSTEM_ERROR:
        return strbuf_fail(why, "the DRAC server on %s had a system error; its own log says more", host);
    default:
        return strbuf_fail(why, "the DRAC server on %s answered with an unknown error (%d); its own log may say more", host, (int)result);
    }
}

/* ---- before the process is closed in */

static int resolve(const char *host, struct in_addr *address_r, struct strbuf *why)
{
    const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM };
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, NULL, &hints, &list);

    if (error)
        return strbuf_fail(why, "no IPv4 address of drac-host %s can be found: %s; correct drac-host or the name service", host,
                           gai_strerror(error));
    *address_r = ((struct sockaddr_in *)list->ai_addr)->sin_addr;
    freeaddrinfo(list);
    return 0;
}

/* All over one socket, which is not connected: the port of the server is not known yet. */
static CLIENT *make_client(struct drac *d, uint16_t port, rpcprog_t program, rpcvers_t version)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = d->address };
    const struct netbuf address = { .maxlen = sizeof to, .len = sizeof to, .buf = &to };
    struct timeval retry = interval(RETRY_MS);
    CLIENT *client = clnt_dg_create(d->socket, &address, program, version, 0, 0);

    if (client)
        clnt_control(client, CLSET_RETRY_TIMEOUT, (char *)&retry);
    return client;
}

static struct drac *prepare(const char *host, struct strbuf *why)
{
    struct drac *d = mem_new(1, sizeof *d);

    if (resolve(host, &d->address, why) < 0)
        return NULL;
    d->host = mem_strdup(host);
    d->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (d->socket >= 0) {
        d->rpcbind = make_client(d, PMAPPORT, PMAPPROG, PMAPVERS);
        d->server = make_client(d, 0, DRAC_PROGRAM, DRAC_VERSION);
    }
    if (d->rpcbind && d->server)
        return d;
    strbuf_fail(why, "no socket for talking to drac-host %s: %s", host, strerror(errno));
    return NULL;
}

/* ---- and then */

static int find_server(struct drac *d, struct timeval timeout, struct strbuf *why)
{
    struct pmap wanted = { .pm_prog = DRAC_PROGRAM, .pm_vers = DRAC_VERSION, .pm_prot = IPPROTO_UDP };
    struct sockaddr_storage space = { .ss_family = AF_INET }; /* the library takes nothing smaller */
    struct netbuf to = { .maxlen = sizeof space, .len = sizeof space, .buf = &space };
    struct sockaddr_in *server = (struct sockaddr_in *)&space;
    uint32_t port = 0;
    enum clnt_stat status =
        clnt_call(d->rpcbind, PMAPPROC_GETPORT, (xdrproc_t)put_mapping, (caddr_t)&wanted, (xdrproc_t)put_number, (caddr_t)&port, timeout);

    if (status != RPC_SUCCESS)
        return strbuf_fail(why, "rpcbind on drac-host %s does not answer (%s); start it there, and let UDP to port 111 through", d->host,
                           clnt_sperrno(status));
    if (port == 0 || port > UINT16_MAX)
        return strbuf_fail(why, "rpcbind on drac-host %s knows no DRAC server (program 900101 version 1 over UDP); start it there", d->host);
    server->sin_addr = d->address;
    server->sin_port = htons((uint16_t)port);
    return clnt_control(d->server, CLSET_SVC_ADDR, (char *)&to) ? 0 : strbuf_fail(why, "the RPC library does not take the DRAC server's port");
}

static int tell(struct drac *d, uint32_t address, int timeout_ms, struct strbuf *why)
{
    struct timeval timeout = interval(timeout_ms);
    enum clnt_stat status;
    uint32_t result = UINT32_MAX;

    if (find_server(d, timeout, why) < 0)
        return -1;
    status = clnt_call(d->server, DRAC_ADD, (xdrproc_t)put_number, (caddr_t)&address, (xdrproc_t)put_number, (caddr_t)&result, timeout);
    return status == RPC_SUCCESS ? explain_result(d->host, (int32_t)result, why) : explain_failure(d->host, status, why);
}

__attribute__((visibility("default"))) const struct drac_calls drac_module = { .version = PACKAGE_VERSION, .prepare = prepare, .tell = tell };
