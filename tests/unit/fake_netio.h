/*
 * fake_netio: a client in place of wire/netio: what it says is scripted, what it hears is kept, and time passes only
 * when somebody sleeps or the test says so. Linked by tests of rooms above wire; the real one has tests of its own.
 */
#ifndef TESTS_FAKE_NETIO_H
#define TESTS_FAKE_NETIO_H

#include "common/strbuf.h"
#include "wire/netio.h"

struct netio *fake_netio_new(void);

/* The client says this: lines end in LF, CRLF or not. A piece without LF waits for the next one. */
void fake_say(struct netio *io, const char *text);
void fake_say_bytes(struct netio *io, const char *bytes, size_t n);

/* The client says this once the descriptors are replaced; what it said before and nobody read is dropped then. */
void fake_say_behind(struct netio *io, const char *text);

/* What netio_line says once all lines are read (at first NETIO_EOF). */
void fake_then(struct netio *io, enum netio_status status);
/* Says NETIO_INTERRUPTED that many times before each line. */
void fake_interrupt(struct netio *io, int times);

/* All that the client heard, flushed or not. */
const char *fake_heard(struct netio *io);
/* Of that, what was flushed: bytes. */
size_t fake_flushed(struct netio *io);
/* Output fails once the client has heard n bytes. */
void fake_deaf_after(struct netio *io, size_t n);
/* netio_settle fails: the client does not take what was sent. */
void fake_never_settles(struct netio *io);
/* The client hangs up while somebody sleeps. */
void fake_hang_up(struct netio *io);

/* How often the consumed input was wiped, and where the last sleep went to (0: nobody slept). */
int fake_wipes(struct netio *io);
int64_t fake_slept_until(struct netio *io);
/* The deadline now, and the first one that was set. */
int64_t fake_deadline(struct netio *io);
int64_t fake_first_deadline(struct netio *io);

/* What the time of day is, for X-LOCALTIME. */
#define FAKE_DATE "Thu, 26 Nov 2026 16:30:00 -0330"

/* The clock of netio_now. It starts at 1000 s. */
void fake_clock_add(double seconds);

#endif
