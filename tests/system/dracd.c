/*
 * dracd: a DRAC server for drac.py, on libtirpc, registered with the rpcbind of the moment: prints each address that it is told (facts page
 * section 7) and answers with the result given as its argument; "silent" does not answer. Ends with its standard input.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <rpc/rpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAC_PROGRAM 900101
#define DRAC_VERSION 1
#define DRAC_ADD 1

static const char *how;

static bool_t take_address(XDR *xdr, uint32_t *address)
{
    return xdr_u_int32_t(xdr, address);
}

static bool_t give_nothing(XDR *xdr, void *nothing)
{
    (void)xdr, (void)nothing;
    return TRUE;
}

static bool_t give_result(XDR *xdr, int32_t *result)
{
    return xdr_int32_t(xdr, result);
}

static void dispatch(struct svc_req *request, SVCXPRT *transport)
{
    int32_t result = atoi(how);
    uint32_t address = 0;

    if (request->rq_proc == NULLPROC) {
        svc_sendreply(transport, (xdrproc_t)give_nothing, NULL);
        return;
    }
    if (request->rq_proc != DRAC_ADD) {
        svcerr_noproc(transport);
        return;
    }
    if (!svc_getargs(transport, (xdrproc_t)take_address, (caddr_t)&address)) {
        svcerr_decode(transport);
        return;
    }
    /* In the order of an unsigned number of this machine, as the C library of old programs had it. */
    printf("add %u.%u.%u.%u\n", address >> 24, (address >> 16) & 255, (address >> 8) & 255, address & 255);
    fflush(stdout);
    if (strcmp(how, "silent") != 0)
        svc_sendreply(transport, (xdrproc_t)give_result, (caddr_t)&result);
}

int main(int argc, char **argv)
{
    SVCXPRT *transport = svcudp_create(RPC_ANYSOCK);

    how = argc > 1 ? argv[1] : "0";
    pmap_unset(DRAC_PROGRAM, DRAC_VERSION);
    if (!transport || !svc_register(transport, DRAC_PROGRAM, DRAC_VERSION, dispatch, IPPROTO_UDP)) {
        fprintf(stderr, "dracd: cannot register with rpcbind\n");
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        struct pollfd p[2] = { { .fd = 0, .events = POLLIN }, { .fd = transport->xp_fd, .events = POLLIN } };

        if (poll(p, 2, -1) > 0 && p[0].revents)
            break;
        if (p[1].revents)
            svc_getreq_common(transport->xp_fd);
    }
    pmap_unset(DRAC_PROGRAM, DRAC_VERSION);
    return 0;
}
