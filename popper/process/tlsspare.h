/*
 * tlsspare: the TLS relay that tlsmaker has made ahead, for the client who comes next: it has loaded certificates and keys, has given up its
 * rights, and waits in its sandbox for a channel (process/tlschannel). It serves one client, as any other relay does, or nobody.
 *
 * It is made only after a relay was asked for, waits TLSSPARE_LIFE seconds at most, and is let go when one of the files that it has
 * loaded is not what it was: a renewed certificate counts for the next client. Where they are files of another host, which might not answer, there
 * is none, and nobody but the relays looks at them.
 */
#ifndef PROCESS_TLSSPARE_H
#define PROCESS_TLSSPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "settings/options.h"

#define TLSSPARE_LIFE 60

struct tlsspare {
    pid_t pid;         /* 0: there is none */
    int door;          /* the channel goes there; -1 */
    bool ready;        /* it has said that it can work */
    int64_t due;       /* when one is to be made, or this one is too old (netio_now); 0: never */
    struct stat *files; /* what it has loaded, as it says that it was before; owned */
    size_t count;
};
#define TLSSPARE_NONE { .door = -1 }

/* A relay was asked for: one is to be made when there is nothing else to do. */
void tlsspare_want(struct tlsspare *s, int64_t now);

/* ns until tlsspare_turn has something to do; -1: nothing. */
int64_t tlsspare_pause(const struct tlsspare *s, int64_t now);
/* Makes it, or lets it go, when that is due. The new process closes all descriptors of the caller but the log's. */
void tlsspare_turn(struct tlsspare *s, const struct settings *settings, int64_t now);

/* Its door has something to say, or is closed. */
void tlsspare_hear(struct tlsspare *s);

/* Gives it the channel, which stays open here. Its pid, which from now on is the caller's to wait for; or -1: there is none that is ready and up to date. */
pid_t tlsspare_give(struct tlsspare *s, const struct settings *settings, int channel);

/* Lets it go: it wipes its keys and ends. The caller waits for it as for any child. */
void tlsspare_drop(struct tlsspare *s);

#endif
