/*
 * systemd: what a service manager hands over by environment and tells by a socket: sd_listen_fds(3) and sd_notify(3), by
 * hand, so that nothing is linked for them.
 */
#ifndef PROCESS_SYSTEMD_H
#define PROCESS_SYSTEMD_H

#define SYSTEMD_FIRST_FD 3
#define SYSTEMD_SOCKETS_MAX 64

/* To be called before the environment is replaced and descriptors are closed. Remembers the notification socket.
   A single connected socket (Accept=yes without StandardInput=socket) becomes descriptors 0 and 1. Returns how many
   listening sockets were handed over, from SYSTEMD_FIRST_FD on; they are close-on-exec then. */
int systemd_inherit(void);

/* What systemd_inherit returned. */
int systemd_sockets(void);

/* Tells the manager ("READY=1", several lines allowed). Without one: nothing. Never waits, never fails. */
void systemd_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
