/*
 * drac: the module popper-drac.so, see drac.h. Runs in a process without rights (process/dracteller), because the name
 * service, rpcbind and the DRAC server answer it over the network.
 */
#include "auth/drac.h"

#include <config.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <rpc/rpc.h>
#include <string.h>

#define DRAC_PROGRAM 900101
#define DRAC_VERSION 1
#define DRAC_ADD 1
#define RETRY_MS 1000

/* The results of DRAC_ADD. */
enum { ADDED, NO_PERMISSION, SYSTEM_ERROR };

static struct timeval interval(int ms)
{
    return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

static bool_t put_address(XDR *xdr, ...)
{
    va_list ap;
    uint32_t *address;

    va_start(ap, xdr);
    address = va_arg(ap, uint32_t *);
    va_end(ap);
    return xdr_u_int32_t(xdr, address);
}

static bool_t get_result(XDR *xdr, ...)
{
    va_list ap;
    int32_t *result;

    va_start(ap, xdr);
    result = va_arg(ap, int32_t *);
    va_end(ap);
    return xdr_int32_t(xdr, result);
}

/* The host as the library wants it: it would say of a name that nobody knows that rpcbind does not answer. */
static int resolve(const char *host, char address_r[INET_ADDRSTRLEN], struct strbuf *why)
{
    const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM };
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, NULL, &hints, &list);

    if (error)
        return strbuf_fail(why, "no IPv4 address of drac-host %s can be found: %s; correct drac-host or the name service", host,
                           gai_strerror(error));
    inet_ntop(AF_INET, &((struct sockaddr_in *)list->ai_addr)->sin_addr, address_r, INET_ADDRSTRLEN);
    freeaddrinfo(list);
    return 0;
}

static int explain_no_server(const char *host, struct strbuf *why)
{
    switch (rpc_createerr.cf_stat) {
    case RPC_PROGNOTREGISTERED:
    case RPC_PROGUNAVAIL:
    case RPC_PROGVERSMISMATCH:
        return strbuf_fail(why, "rpcbind on drac-host %s knows no DRAC server (program 900101 version 1 over UDP); start it there", host);
    case RPC_UNKNOWNPROTO:
        return strbuf_fail(why, "there is no line for udp in /etc/netconfig: install libtirpc's configuration (libtirpc-common)");
    default:
        return strbuf_fail(why, "rpcbind on drac-host %s does not answer (%s); start it there, and let UDP to port 111 through", host,
                           clnt_sperrno(rpc_createerr.cf_stat));
    }
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

static int add(const char *host, uint32_t address, int timeout_ms, struct strbuf *why)
{
    struct timeval timeout = interval(timeout_ms), retry = interval(RETRY_MS);
    char server[INET_ADDRSTRLEN];
    enum clnt_stat status;
    int32_t result = -1;
    CLIENT *client;

    if (resolve(host, server, why) < 0)
        return -1;
    client = clnt_create_timed(server, DRAC_PROGRAM, DRAC_VERSION, "udp", &timeout);
    if (!client)
        return explain_no_server(host, why);
    clnt_control(client, CLSET_RETRY_TIMEOUT, (char *)&retry);
    status = clnt_call(client, DRAC_ADD, (xdrproc_t)put_address, (caddr_t)&address, (xdrproc_t)get_result, (caddr_t)&result, timeout);
    clnt_destroy(client);
    return status == RPC_SUCCESS ? explain_result(host, result, why) : explain_failure(host, status, why);
}

__attribute__((visibility("default"))) const struct drac_calls drac_module = { .version = PACKAGE_VERSION, .add = add };
