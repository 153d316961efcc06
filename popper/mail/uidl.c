/*
 * uidl: see uidl.h. It sees bytes that the scanner hands over, never files; telling duplicates apart works on the ids
 * alone, so that nothing is read again.
 */
#include "mail/uidl.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"

#define BASE 80
#define BASE_DIGITS 5 /* for each four bytes of the digest */
#define QPOPPER_LENGTH (DIGEST_MD5_SIZE / 4 * BASE_DIGITS)

void uidl_init(struct uidl *u, enum uidl_format format, struct msglist *list)
{
    u->format = format;
    u->list = list;
    u->waiting = 0;
}

void uidl_begin(struct uidl *u, const char *from, size_t n)
{
    if (u->waiting == MD5LANES_MAX)
        uidl_flush(u);
    u->texts[u->waiting].n = 0;
    u->from_len = n + 1;
    u->is_long = false;
    u->stored[0] = '\0';
    u->imap_uid = 0;
    uidl_hash(u, from, n);
    uidl_hash(u, "\n", 1);
}

void uidl_hash(struct uidl *u, const char *bytes, size_t n)
{
    struct uidl_text *text = &u->texts[u->waiting];

    if (!u->is_long && n <= UIDL_TEXT - text->n) {
        memcpy(text->bytes + text->n, bytes, n);
        text->n += n;
        return;
    }
    if (!u->is_long) {
        digest_md5_begin(&u->hash);
        digest_md5_add(&u->hash, text->bytes, text->n);
        u->is_long = true;
    }
    digest_md5_add(&u->hash, bytes, n);
}

bool uidl_valid(const char *id, size_t n)
{
    if (n < 1 || n > UIDL_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (id[i] < 0x21 || id[i] > 0x7e)
            return false;
    return true;
}

void uidl_stored(struct uidl *u, const char *value, size_t n)
{
    while (n > 0 && (value[0] == ' ' || value[0] == '\t')) {
        value++;
        n--;
    }
    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t' || value[n - 1] == '\r'))
        n--;
    if (u->stored[0] || !uidl_valid(value, n))
        return;
    memcpy(u->stored, value, n);
    u->stored[n] = '\0';
}

/* 20 characters: facts page 5.2. The groups are folded by 16, not 256, as they always were. */
static void write_qpopper(const unsigned char *digest, char *id)
{
    for (int group = 0; group < DIGEST_MD5_SIZE; group += 4) {
        uint32_t number = 0;

        for (int i = 0; i < 4; i++)
            number = number * 16 + digest[group + i];
        for (int i = 0; i < BASE_DIGITS; i++, number /= BASE) {
            char c = (char)(0x21 + number % BASE);

            *id++ = c == '.' ? '~' : c;
        }
    }
    *id = '\0';
}

static void write_hex(const unsigned char *digest, char *id)
{
    static const char hex[] = "0123456789abcdef";

    for (int i = 0; i < DIGEST_MD5_SIZE; i++) {
        *id++ = hex[digest[i] >> 4];
        *id++ = hex[digest[i] & 15];
    }
    *id = '\0';
}

static void write_id(enum uidl_format format, const unsigned char *digest, char *id)
{
    if (format == UIDL_MD5)
        write_hex(digest, id);
    else
        write_qpopper(digest, id);
}

bool uidl_is_of_imap(enum uidl_format format)
{
    return format == UIDL_DOVECOT || format == UIDL_UW;
}

bool uidl_end(struct uidl *u, uint32_t imap_validity, char id[UIDL_MAX + 1])
{
    size_t length = u->format == UIDL_MD5 ? 2 * DIGEST_MD5_SIZE : QPOPPER_LENGTH;
    unsigned char digest[DIGEST_MD5_SIZE];

    if (u->stored[0]) {
        memcpy(id, u->stored, strlen(u->stored) + 1);
        return true;
    }
    if (uidl_is_of_imap(u->format) && u->imap_uid && imap_validity) {
        bool uw = u->format == UIDL_UW;

        snprintf(id, UIDL_MAX + 1, "%08x%08x", uw ? imap_validity : u->imap_uid, uw ? u->imap_uid : imap_validity);
        return true;
    }
    if (u->format != UIDL_MD5)
        uidl_hash(u, (const char *)u->texts[u->waiting].bytes, u->from_len);
    if (u->is_long) {
        digest_md5_end(&u->hash, digest);
        write_id(u->format, digest, id);
    } else {
        u->texts[u->waiting++].index = u->list->count;
        memset(id, '-', length);
        id[length] = '\0';
    }
    return false;
}

void uidl_flush(struct uidl *u)
{
    struct md5lanes_text texts[MD5LANES_MAX];
    unsigned char digests[MD5LANES_MAX][16];
    char id[UIDL_MAX + 1];

    for (size_t i = 0; i < u->waiting; i++)
        texts[i] = (struct md5lanes_text){ u->texts[i].bytes, u->texts[i].n };
    if (u->waiting > 0)
        md5lanes(texts, u->waiting, digests);
    for (size_t i = 0; i < u->waiting; i++) {
        write_id(u->format, digests[i], id);
        msglist_set_uid(u->list, u->texts[i].index, id);
    }
    u->waiting = 0;
}

/* ---- duplicates
 *
 * Most lists have none, and memory shall not grow for looking: a filter of a few bits a message finds the ids that may
 * occur more than once, and only those enter a table. A base is an id without an ordinal at its end, at most
 * UIDL_BASE_MAX bytes of it: what an ordinal is put behind.
 */

struct entry {
    uint32_t at;          /* the key: bytes of the pool */
    uint32_t length;      /* 0: free slot */
    uint32_t next;        /* as a base: above all ordinals seen */
    bool taken;           /* as an id: some message has it */
};

struct table {
    struct entry *slots;
    size_t mask, used;
    uint64_t seed;        /* secret, so that nobody can write ids that all meet in one slot */
};

struct filter {
    uint8_t *once, *twice;
    uint64_t mask;        /* bits - 1 */
    uint64_t seed;
};

/* Length of the base; *ordinal_r is N for ids that end in ".N" (N from 2, no leading zero, at most 9 digits), otherwise
   1. */
static size_t base_length(const char *id, size_t n, uint32_t *ordinal_r)
{
    size_t i = n;
    uint32_t ordinal = 0, unit = 1;

    while (i > 0 && n - i < 9 && id[i - 1] >= '0' && id[i - 1] <= '9') {
        ordinal += unit * (uint32_t)(id[--i] - '0');
        unit *= 10;
    }
    *ordinal_r = 1;
    if (i < n && i >= 2 && id[i - 1] == '.' && id[i] != '0' && ordinal >= 2) {
        *ordinal_r = ordinal;
        n = i - 1;
    }
    return n < UIDL_BASE_MAX ? n : UIDL_BASE_MAX;
}

size_t uidl_base_length(const char *id, bool stored)
{
    uint32_t ordinal;
    size_t n = strlen(id);

    if (stored)
        return n < UIDL_BASE_MAX ? n : UIDL_BASE_MAX;
    return base_length(id, n, &ordinal);
}

static bool bit_is_set(const uint8_t *bits, uint64_t bit)
{
    return bits[bit / 8] >> bit % 8 & 1;
}

static void filter_add(struct filter *f, const char *id, size_t n)
{
    uint64_t bit = digest_sum64(f->seed, id, n) & f->mask;
    uint8_t value = (uint8_t)(1u << bit % 8);

    f->twice[bit / 8] |= f->once[bit / 8] & value;
    f->once[bit / 8] |= value;
}

/* True when some id or base may occur twice. */
static bool filter_fill(struct filter *f, const struct msglist *list)
{
    size_t bytes = 64;
    uint8_t any = 0;

    while (bytes < list->count)
        bytes *= 2;
    f->mask = (uint64_t)bytes * 8 - 1;
    f->once = mem_new(bytes, 1);
    f->twice = mem_new(bytes, 1);
    for (size_t i = 0; i < list->count; i++) {
        const char *id = msglist_uid(list, &list->messages[i]);
        uint32_t ordinal;
        size_t n = strlen(id), base = base_length(id, n, &ordinal);

        filter_add(f, id, n);
        if (base < n)
            filter_add(f, id, base);
    }
    for (size_t i = 0; i < bytes; i++)
        any |= f->twice[i];
    return any != 0;
}

static bool filter_says_twice(const struct filter *f, const char *id, size_t n)
{
    return bit_is_set(f->twice, digest_sum64(f->seed, id, n) & f->mask);
}

static struct entry *table_slot(const struct table *t, const struct msglist *list, const char *key, size_t n)
{
    size_t i = digest_sum64(t->seed, key, n) & t->mask;

    while (t->slots[i].length && (t->slots[i].length != n || memcmp(list->uids + t->slots[i].at, key, n) != 0))
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

static void table_grow(struct table *t, const struct msglist *list)
{
    struct entry *old = t->slots;
    size_t old_size = old ? t->mask + 1 : 0;

    t->mask = old ? t->mask * 2 + 1 : 255;
    t->slots = mem_new(t->mask + 1, sizeof *t->slots);
    for (size_t i = 0; i < old_size; i++)
        if (old[i].length)
            *table_slot(t, list, list->uids + old[i].at, old[i].length) = old[i];
    mem_free(old);
}

/* The entry for the n bytes at offset `at` of the pool, made when there is none. It moves when the next one is made. */
static struct entry *table_get(struct table *t, const struct msglist *list, uint32_t at, size_t n)
{
    struct entry *e;

    if (t->used * 2 >= t->mask)
        table_grow(t, list);
    e = table_slot(t, list, list->uids + at, n);
    if (!e->length) {
        *e = (struct entry){ .at = at, .length = (uint32_t)n, .next = 2 };
        t->used++;
    }
    return e;
}

/* Notes that message i has its id. */
static void take(struct table *t, const struct msglist *list, size_t i)
{
    uint32_t at = list->messages[i].uid_at, ordinal;
    size_t n = strlen(list->uids + at), base = base_length(list->uids + at, n, &ordinal);
    struct entry *e;

    table_get(t, list, at, n)->taken = true;
    e = table_get(t, list, at, base);
    if (ordinal >= e->next)
        e->next = ordinal + 1;
}

/* A computed id is free only if no duplicate of it is there either: the message that had it first may have been
   deleted. */
static bool is_free(struct table *t, const struct msglist *list, const struct message *m)
{
    const struct entry *e = table_get(t, list, m->uid_at, strlen(list->uids + m->uid_at));

    return !e->taken && (e->next == 2 || (m->flags & MSG_UID_STORED));
}

static void give_ordinal(struct table *t, struct msglist *list, size_t i)
{
    struct message *m = &list->messages[i];
    char id[UIDL_MAX + 1];
    uint32_t ordinal;
    /* The number at the end of a stored one may be another server's, and the next number another message's. */
    size_t n = strlen(msglist_uid(list, m)), base = uidl_base_length(msglist_uid(list, m), m->flags & MSG_UID_STORED);

    do {
        ordinal = table_get(t, list, m->uid_at, base)->next++;
        snprintf(id, sizeof id, "%.*s.%u", (int)base, msglist_uid(list, m), ordinal);
    } while (table_slot(t, list, id, strlen(id))->taken);
    if (m->flags & MSG_EDITED)
        m->octets = m->octets + strlen(id) - n; /* += would add a difference of 32 bits where size_t has no more */
    m->flags &= (uint8_t)~MSG_UID_STORED;
    msglist_set_uid(list, i, id);
}

#define FEW 4 /* new ids that are compared with all others one by one */

/* Whether some other id begins with the base of message i's: only such ones can be equal to it, or be given to a duplicate of it. */
static bool has_kin(const struct msglist *list, size_t i)
{
    const char *id = msglist_uid(list, &list->messages[i]);
    size_t n = uidl_base_length(id, false);

    for (size_t k = 0; k < list->count; k++)
        if (k != i && strncmp(msglist_uid(list, &list->messages[k]), id, n) == 0)
            return true;
    return false;
}

static bool any_has_kin(const struct msglist *list, size_t first)
{
    for (size_t i = first; i < list->count; i++)
        if (has_kin(list, i))
            return true;
    return false;
}

void uidl_resolve_duplicates(struct msglist *list, size_t settled)
{
    struct filter f = { .once = NULL };
    struct table t = { .slots = NULL };

    if (settled >= list->count || (list->count - settled <= FEW && !any_has_kin(list, settled)))
        return;
    digest_random(&f.seed, sizeof f.seed);
    t.seed = ~f.seed;
    if (filter_fill(&f, list)) {
        for (size_t i = 0; i < list->count; i++) {
            const char *id = msglist_uid(list, &list->messages[i]);
            uint32_t ordinal;
            size_t n = strlen(id), base = base_length(id, n, &ordinal);

            if (!filter_says_twice(&f, id, n) && (base == n || !filter_says_twice(&f, id, base)))
                continue;
            if (i >= settled && !is_free(&t, list, &list->messages[i]))
                give_ordinal(&t, list, i);
            take(&t, list, i);
        }
    }
    mem_free(f.once);
    mem_free(f.twice);
    mem_free(t.slots);
}
