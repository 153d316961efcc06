/*
 * visitors: see visitors.h.
 */
#include "process/visitors.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

void visitors_source(const char *ip, char source_r[VISITORS_SOURCE_MAX])
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN];

    source_r[0] = '\0';
    if (inet_pton(AF_INET6, ip, &address) == 1) {
        memset(address.s6_addr + 8, 0, 8);
        snprintf(source_r, VISITORS_SOURCE_MAX, "%s/64", inet_ntop(AF_INET6, &address, text, sizeof text));
    } else if (inet_pton(AF_INET, ip, &address) == 1)
        snprintf(source_r, VISITORS_SOURCE_MAX, "%s", ip);
}

/* ---- who is there */

struct visitor *visitors_add(struct visitors *v, pid_t pid, int end, const char *source)
{
    struct visitor *new;

    if (v->count == v->room) {
        v->room = v->room ? v->room * 2 : 64;
        v->item = mem_resize(v->item, v->room, sizeof *v->item);
    }
    new = &v->item[v->count++];
    *new = (struct visitor){ .pid = pid, .end = end, .state = VISITOR_PREAUTH, .number = v->clock++ };
    snprintf(new->source, sizeof new->source, "%s", source);
    return new;
}

struct visitor *visitors_of_pid(struct visitors *v, pid_t pid)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->item[i].pid == pid)
            return &v->item[i];
    return NULL;
}

void visitors_remove(struct visitors *v, struct visitor *gone)
{
    *gone = v->item[--v->count];
}

void visitors_free(struct visitors *v)
{
    mem_free(v->item);
    mem_free(v->failures);
    *v = (struct visitors){ 0 };
}

size_t visitors_total(const struct visitors *v)
{
    size_t n = 0;

    for (size_t i = 0; i < v->count; i++)
        n += !v->item[i].ending;
    return n;
}

size_t visitors_from(const struct visitors *v, const char *source)
{
    size_t n = 0;

    for (size_t i = 0; source[0] && i < v->count; i++)
        n += !v->item[i].ending && strcmp(v->item[i].source, source) == 0;
    return n;
}

size_t visitors_preauth(const struct visitors *v)
{
    size_t n = 0;

    for (size_t i = 0; i < v->count; i++)
        n += !v->item[i].ending && v->item[i].state != VISITOR_SESSION;
    return n;
}

/* ---- who has to go */

static int by_source(const void *a, const void *b)
{
    const struct visitor *x = *(struct visitor *const *)a, *y = *(struct visitor *const *)b;
    int order = strcmp(x->source, y->source);

    return order ? order : (x->number > y->number) - (x->number < y->number);
}

static bool may_be_ended(const struct visitor *who)
{
    return !who->ending && (who->state == VISITOR_PREAUTH || who->state == VISITOR_WAITING);
}

struct visitor *visitors_greediest(struct visitors *v)
{
    struct visitor **some = mem_new(v->count, sizeof *some), *found = NULL;
    size_t n = 0, longest = 0;

    for (size_t i = 0; i < v->count; i++)
        if (may_be_ended(&v->item[i]))
            some[n++] = &v->item[i];
    qsort(some, n, sizeof *some, by_source);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && strcmp(some[i]->source, some[j]->source) == 0;)
            j++;
        if (j - i > longest || (j - i == longest && some[i]->number < found->number)) {
            longest = j - i;
            found = some[i];
        }
    }
    mem_free(some);
    return found;
}

/* ---- whose password is checked */

static size_t checks_of(const struct visitors *v, const char *source)
{
    size_t n = 0;

    for (size_t i = 0; i < v->count; i++)
        n += v->item[i].state == VISITOR_CHECKING && (!source || strcmp(v->item[i].source, source) == 0);
    return n;
}

void visitors_ask(struct visitors *v, struct visitor *who)
{
    who->state = VISITOR_WAITING;
    who->asked = v->clock++;
}

struct visitor *visitors_next_check(struct visitors *v, size_t max)
{
    struct visitor *found = NULL;
    size_t fewest = 0;

    if (checks_of(v, NULL) >= max)
        return NULL;
    for (size_t i = 0; i < v->count; i++) {
        struct visitor *who = &v->item[i];
        size_t running;

        if (who->state != VISITOR_WAITING || who->ending)
            continue;
        running = checks_of(v, who->source);
        if (!found || running < fewest || (running == fewest && who->asked < found->asked)) {
            found = who;
            fewest = running;
        }
    }
    return found;
}

/* ---- who failed */

static bool is_forgotten(const struct visitors_failure *f, int64_t now)
{
    return now - f->last > VISITORS_FAILURE_SECONDS * INT64_C(1000000000);
}

static struct visitors_failure *failure_of(const struct visitors *v, const char *source)
{
    for (size_t i = 0; i < v->failure_count; i++)
        if (strcmp(v->failures[i].source, source) == 0)
            return &v->failures[i];
    return NULL;
}

/* A place for one more: a new one, or that of the source which failed longest ago. */
static struct visitors_failure *failure_place(struct visitors *v)
{
    struct visitors_failure *oldest;

    if (!v->failures)
        v->failures = mem_new(VISITORS_FAILURES_MAX, sizeof *v->failures);
    if (v->failure_count < VISITORS_FAILURES_MAX)
        return &v->failures[v->failure_count++];
    oldest = &v->failures[0];
    for (size_t i = 1; i < v->failure_count; i++)
        if (v->failures[i].last < oldest->last)
            oldest = &v->failures[i];
    return oldest;
}

void visitors_failed(struct visitors *v, const char *source, int64_t now)
{
    struct visitors_failure *f;

    if (!source[0])
        return;
    f = failure_of(v, source);
    if (!f) {
        f = failure_place(v);
        *f = (struct visitors_failure){ .count = 0 };
        snprintf(f->source, sizeof f->source, "%s", source);
    } else if (is_forgotten(f, now))
        f->count = 0;
    f->count++;
    f->last = now;
}

int visitors_delay(const struct visitors *v, const char *source, int base, int64_t now)
{
    const struct visitors_failure *f = failure_of(v, source);
    int most = base > VISITORS_DELAY_MAX ? base : VISITORS_DELAY_MAX;
    int delay = base;

    if (base == 0 || !f || is_forgotten(f, now))
        return base;
    for (unsigned n = VISITORS_FREE_FAILURES; n <= f->count && delay < most; n++)
        delay *= 2;
    return delay < most ? delay : most;
}
