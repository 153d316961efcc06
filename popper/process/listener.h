/*
 * listener: the sockets that standalone mode listens on: the addresses of the command line (facts page section 3), and
 * those that a service manager opened. Numbers only: it never asks a resolver.
 */
#ifndef PROCESS_LISTENER_H
#define PROCESS_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/strbuf.h"

#define LISTENERS_MAX 128

struct listener {
    int fd;
    char name[64]; /* ADDR:PORT, for the log */
};

struct listeners {
    struct listener item[LISTENERS_MAX];
    size_t count;
};

/* One address of the command line: ADDR, PORT, :PORT, ADDR:PORT, [V6], [V6]:PORT. ss_family AF_UNSPEC: all addresses
   of this host at that port. 0, or -1 and why. */
int listener_parse(const char *text, struct sockaddr_storage *address_r, uint16_t *port_r, struct strbuf *why);

/* Opens all of them; none given: all addresses at the default port. 0, or -1 and why ("ADDR:PORT in use"); what was
   opened before stays open. */
int listeners_open(struct listeners *l, char *const *addresses, size_t count, struct strbuf *why);

bool listener_listens(int fd);

/* Takes over sockets that listen already. 0, or -1 and why: one of them is none such. */
int listeners_adopt(struct listeners *l, int first, size_t count, struct strbuf *why);

void listeners_close(struct listeners *l);

#endif
