/*
 * ticketkeys: see ticketkeys.h. Runs with root's rights; reads nothing but the kernel's random numbers.
 */
#include "process/ticketkeys.h"

#include <stdint.h>
#include <string.h>

#include "common/digest.h"
#include "common/mem.h"
#include "process/tls.h"
#include "wire/netio.h"

#define LIFE (4 * 3600 * INT64_C(1000000000)) /* tickets live for less, and the two keys before still open theirs */
#define KEPT (TLS_TICKET_KEYS - 1)

static unsigned char keys[KEPT][TLS_TICKET_KEY];
static size_t count;
static int64_t made;

bool ticketkeys_renew(void)
{
    if (count > 0 && netio_now() - made < LIFE)
        return false;
    made = netio_now();
    memmove(keys[1], keys[0], sizeof keys - TLS_TICKET_KEY);
    digest_random(keys[0], TLS_TICKET_KEY);
    if (count < KEPT)
        count++;
    return true;
}

void ticketkeys_forget(void)
{
    mem_wipe(keys, sizeof keys);
    count = 0;
}

const unsigned char *ticketkeys_get(size_t *count_r)
{
    *count_r = count;
    return keys[0];
}
