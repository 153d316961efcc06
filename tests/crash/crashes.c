/*
 * crashes: see crashes.h.
 */
#include "config.h"

#include "tests/crash/crashes.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define ITEMS_MAX 64

struct item {
    uint64_t order;
    int file; /* -1: a name */
    size_t index;
};

enum fate { LOST, KEPT, TORN };
enum tear { TEAR_HEAD, TEAR_REST, TEAR_SIZE_ONLY };

struct crash {
    const struct simdisk *at;
    struct item items[ITEMS_MAX];
    size_t count;
    enum fate fate[ITEMS_MAX];
    enum tear tear; /* of the torn one: what before the cut reached the disk, what behind it, or zeros */
    uint64_t cut;
    uint64_t *seen;
    size_t seen_count, seen_cap;
    struct simdisk disk;
    void (*visit)(struct simdisk *disk, void *context);
    void *context;
};

static int by_order(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    return x->order < y->order ? -1 : x->order > y->order;
}

static bool reachable(const struct simdisk *disk, int file)
{
    for (size_t i = 0; i < SIM_NAMES; i++)
        if (disk->now[i] == file || disk->disk[i] == file)
            return true;
    for (size_t i = 0; i < disk->dirop_count; i++)
        if (disk->dirops[i].file == file)
            return true;
    return false;
}

static void add_item(struct crash *crash, struct item item)
{
    if (crash->count == ITEMS_MAX)
        abort();
    crash->items[crash->count++] = item;
}

static void collect(struct crash *crash)
{
    for (int file = 0; file < SIM_FILES; file++)
        for (size_t i = 0; reachable(crash->at, file) && i < crash->at->files[file].op_count; i++)
            add_item(crash, (struct item){ crash->at->files[file].ops[i].order, file, i });
    for (size_t i = 0; i < crash->at->dirop_count; i++)
        add_item(crash, (struct item){ crash->at->dirops[i].order, -1, i });
    if (crash->count > 0)
        qsort(crash->items, crash->count, sizeof *crash->items, by_order);
}

static void tear(const struct crash *crash, struct simbytes *disk, const struct simop *op)
{
    size_t head = crash->cut > op->at ? (size_t)(crash->cut - op->at) : 0;

    if (crash->tear == TEAR_HEAD) {
        sim_bytes_write(disk, op->at, op->bytes, head);
    } else if (crash->tear == TEAR_REST) {
        sim_bytes_write(disk, crash->cut, op->bytes + head, op->n - head);
    } else if (disk->size < op->at + op->n) {
        sim_bytes_truncate(disk, op->at + op->n);
    }
}

static void put_on_disk(struct crash *crash, size_t i)
{
    const struct item *item = &crash->items[i];

    if (item->file < 0) {
        sim_rename(crash->disk.disk, &crash->at->dirops[item->index]);
    } else {
        const struct simop *op = &crash->at->files[item->file].ops[item->index];
        struct simbytes *bytes = &crash->disk.files[item->file].disk;

        if (crash->fate[i] == TORN)
            tear(crash, bytes, op);
        else if (op->kind == SIM_WRITE)
            sim_bytes_write(bytes, op->at, op->bytes, op->n);
        else
            sim_bytes_truncate(bytes, op->at);
    }
}

static bool is_new(struct crash *crash, uint64_t hash)
{
    for (size_t i = 0; i < crash->seen_count; i++)
        if (crash->seen[i] == hash)
            return false;
    mem_reserve(&crash->seen, &crash->seen_cap, crash->seen_count + 1, sizeof *crash->seen);
    crash->seen[crash->seen_count++] = hash;
    return true;
}

static void happen(struct crash *crash)
{
    sim_copy(&crash->disk, crash->at);
    for (size_t i = 0; i < crash->count; i++)
        if (crash->fate[i] != LOST)
            put_on_disk(crash, i);
    sim_restart(&crash->disk, true);
    if (is_new(crash, sim_hash(&crash->disk)))
        crash->visit(&crash->disk, crash->context);
}

static void set_all(struct crash *crash, enum fate fate)
{
    for (size_t i = 0; i < crash->count; i++)
        crash->fate[i] = fate;
}

static void every_subset(struct crash *crash)
{
    for (unsigned long mask = 0; mask < 1ul << crash->count; mask++) {
        for (size_t i = 0; i < crash->count; i++)
            crash->fate[i] = mask >> i & 1 ? KEPT : LOST;
        happen(crash);
    }
}

static void prefixes_and_singles(struct crash *crash)
{
    for (size_t n = 0; n <= crash->count; n++) {
        for (size_t i = 0; i < crash->count; i++)
            crash->fate[i] = i < n ? KEPT : LOST;
        happen(crash);
    }
    for (size_t single = 0; single < crash->count; single++) {
        set_all(crash, KEPT);
        crash->fate[single] = LOST;
        happen(crash);
        set_all(crash, LOST);
        crash->fate[single] = KEPT;
        happen(crash);
    }
}

/* The torn write with all others, and with only what came before it. */
static void torn(struct crash *crash, size_t which, enum tear how, uint64_t cut)
{
    crash->tear = how;
    crash->cut = cut;
    set_all(crash, KEPT);
    crash->fate[which] = TORN;
    happen(crash);
    for (size_t i = which + 1; i < crash->count; i++)
        crash->fate[i] = LOST;
    happen(crash);
}

static void tears_of(struct crash *crash, size_t which, unsigned cuts)
{
    const struct item *item = &crash->items[which];
    const struct simop *op = item->file < 0 ? NULL : &crash->at->files[item->file].ops[item->index];
    uint64_t first, last, count;

    if (op == NULL || op->kind != SIM_WRITE || op->n == 0)
        return;
    if (op->at + op->n > crash->at->files[item->file].disk.size)
        torn(crash, which, TEAR_SIZE_ONLY, 0);
    first = op->at / SIM_SECTOR + 1;
    last = (op->at + op->n - 1) / SIM_SECTOR;
    if (first > last)
        return;
    count = last - first + 1;
    for (unsigned i = 0; i < cuts && i < count; i++) {
        uint64_t cut = (first + (count <= cuts ? i : i * (count - 1) / (cuts > 1 ? cuts - 1 : 1))) * SIM_SECTOR;

        torn(crash, which, TEAR_HEAD, cut);
        torn(crash, which, TEAR_REST, cut);
    }
}

void crashes_each(const struct simdisk *at, const struct crashes_limits *limits,
                  void (*visit)(struct simdisk *disk, void *context), void *context)
{
    struct crash *crash = mem_new(1, sizeof *crash);

    crash->at = at;
    crash->visit = visit;
    crash->context = context;
    sim_init(&crash->disk);
    collect(crash);
    if (crash->count <= limits->subsets)
        every_subset(crash);
    else
        prefixes_and_singles(crash);
    for (size_t i = 0; i < crash->count; i++)
        tears_of(crash, i, limits->cuts);
    sim_free(&crash->disk);
    mem_free(crash->seen);
    mem_free(crash);
}
