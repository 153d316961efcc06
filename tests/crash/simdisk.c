/*
 * simdisk: see simdisk.h.
 */
#include "config.h"

#include "tests/crash/simdisk.h"

#include <string.h>

#include "common/digest.h"
#include "common/mem.h"

/* ---- bytes */

static void bytes_reserve(struct simbytes *b, size_t size)
{
    if (size > b->cap) {
        b->cap = size + size / 2 + 64;
        b->bytes = mem_resize(b->bytes, b->cap, 1);
    }
}

void sim_bytes_truncate(struct simbytes *b, uint64_t size)
{
    bytes_reserve(b, (size_t)size);
    if (size > b->size)
        memset(b->bytes + b->size, 0, (size_t)size - b->size);
    b->size = (size_t)size;
}

void sim_bytes_write(struct simbytes *b, uint64_t at, const void *bytes, size_t n)
{
    if (at + n > b->size)
        sim_bytes_truncate(b, at + n);
    if (n > 0)
        memcpy(b->bytes + at, bytes, n);
}

static void bytes_copy(struct simbytes *to, const struct simbytes *from)
{
    bytes_reserve(to, from->size);
    if (from->size > 0)
        memcpy(to->bytes, from->bytes, from->size);
    to->size = from->size;
}

/* ---- files */

static void ops_clear(struct simfile *file, bool doomed_too)
{
    size_t kept = 0;

    for (size_t i = 0; i < file->op_count; i++) {
        if (file->ops[i].doomed && !doomed_too)
            file->ops[kept++] = file->ops[i];
        else
            mem_free(file->ops[i].bytes);
    }
    file->op_count = kept;
}

uint64_t sim_next_order(void)
{
    static uint64_t order; /* the same for all disks: only the sequence counts */

    return order++;
}

static void add_op(struct simfile *file, enum simkind kind, uint64_t at, const void *bytes, size_t n)
{
    struct simop *op;

    mem_reserve(&file->ops, &file->op_cap, file->op_count + 1, sizeof *file->ops);
    op = &file->ops[file->op_count++];
    *op = (struct simop){ .kind = kind, .at = at, .n = n, .order = sim_next_order() };
    if (n > 0) {
        op->bytes = mem_new(n, 1);
        memcpy(op->bytes, bytes, n);
    }
}

void sim_file_write(struct simfile *file, uint64_t at, const void *bytes, size_t n)
{
    sim_bytes_write(&file->now, at, bytes, n);
    add_op(file, SIM_WRITE, at, bytes, n);
    if (file->now.size > file->room)
        file->room = file->now.size;
}

void sim_file_truncate(struct simfile *file, uint64_t size)
{
    sim_bytes_truncate(&file->now, size);
    add_op(file, SIM_TRUNCATE, size, NULL, 0);
    file->room = (size_t)size;
}

/* What was cut off does not come back, whatever became of it. */
static void clip_doomed(struct simfile *file, const struct simop *cut)
{
    for (size_t i = 0; i < file->op_count; i++) {
        struct simop *op = &file->ops[i];

        if (op->doomed && op->order < cut->order && op->at + op->n > cut->at)
            op->n = op->at < cut->at ? (size_t)(cut->at - op->at) : 0;
    }
}

/* Nor does what was written again. */
static void overwrite_doomed(struct simfile *file, const struct simop *write)
{
    for (size_t i = 0; i < file->op_count; i++) {
        struct simop *op = &file->ops[i];
        uint64_t from = op->at > write->at ? op->at : write->at;
        uint64_t to = op->at + op->n < write->at + write->n ? op->at + op->n : write->at + write->n;

        if (op->doomed && op->order < write->order && from < to)
            memcpy(op->bytes + (from - op->at), write->bytes + (from - write->at), (size_t)(to - from));
    }
}

void sim_file_sync(struct simfile *file)
{
    for (size_t i = 0; i < file->op_count; i++) {
        const struct simop *op = &file->ops[i];

        if (op->doomed)
            continue;
        if (op->kind == SIM_WRITE) {
            sim_bytes_write(&file->disk, op->at, op->bytes, op->n);
            overwrite_doomed(file, op);
        } else {
            sim_bytes_truncate(&file->disk, op->at);
            clip_doomed(file, op);
        }
    }
    ops_clear(file, false);
}

void sim_init(struct simdisk *disk)
{
    *disk = (struct simdisk){ .next_inode = 100 };
    for (size_t i = 0; i < SIM_NAMES; i++)
        disk->now[i] = disk->disk[i] = -1;
}

static void file_free(struct simfile *file)
{
    ops_clear(file, true);
    mem_free(file->ops);
    mem_free(file->now.bytes);
    mem_free(file->disk.bytes);
    *file = (struct simfile){ 0 };
}

void sim_free(struct simdisk *disk)
{
    for (size_t i = 0; i < SIM_FILES; i++)
        file_free(&disk->files[i]);
}

/* to is a disk already (perhaps sim_init'ed): its memory is used again. */
void sim_copy(struct simdisk *to, const struct simdisk *from)
{
    static struct simfile mine[SIM_FILES];

    memcpy(mine, to->files, sizeof mine);
    *to = *from;
    memcpy(to->files, mine, sizeof mine);
    for (size_t i = 0; i < SIM_FILES; i++) {
        struct simfile *file = &to->files[i];
        const struct simfile *other = &from->files[i];

        ops_clear(file, true);
        file->used = other->used;
        file->inode = other->inode;
        file->room = other->room;
        bytes_copy(&file->now, &other->now);
        bytes_copy(&file->disk, &other->disk);
        for (size_t k = 0; k < other->op_count; k++) {
            add_op(file, other->ops[k].kind, other->ops[k].at, other->ops[k].bytes, other->ops[k].n);
            file->ops[k].doomed = other->ops[k].doomed;
            file->ops[k].order = other->ops[k].order;
        }
    }
}

int sim_new_file(struct simdisk *disk)
{
    for (int i = 0; i < SIM_FILES; i++) {
        if (!disk->files[i].used) {
            disk->files[i].used = true;
            disk->files[i].inode = disk->next_inode++;
            disk->files[i].now.size = disk->files[i].disk.size = disk->files[i].room = 0;
            return i;
        }
    }
    return -1;
}

int sim_put(struct simdisk *disk, enum simname name, const void *bytes, size_t n)
{
    int file = sim_new_file(disk);

    sim_file_write(&disk->files[file], 0, bytes, n);
    sim_file_sync(&disk->files[file]);
    disk->now[name] = disk->disk[name] = file;
    return file;
}

struct simfile *sim_file(struct simdisk *disk, enum simname name)
{
    return disk->now[name] < 0 ? NULL : &disk->files[disk->now[name]];
}

int sim_fd(const struct simdisk *disk, enum simname name)
{
    return disk->now[name] < 0 ? -1 : SIM_FD + disk->now[name];
}

bool sim_has_room(const struct simdisk *disk, const struct simfile *file, uint64_t end)
{
    size_t taken = 0;

    if (disk->capacity == 0 || end <= file->room)
        return true;
    for (size_t i = 0; i < SIM_FILES; i++)
        if (disk->files[i].used && &disk->files[i] != file)
            taken += (disk->files[i].room + SIM_SECTOR - 1) / SIM_SECTOR * SIM_SECTOR;
    return taken + end <= disk->capacity;
}

void sim_rename(int names[SIM_NAMES], const struct simdirop *op)
{
    names[op->name] = op->file;
    if (op->gone >= 0)
        names[op->gone] = -1;
}

void sim_restart(struct simdisk *disk, bool power_lost)
{
    if (power_lost) {
        memcpy(disk->now, disk->disk, sizeof disk->now);
        disk->dirop_count = 0;
        for (size_t i = 0; i < SIM_FILES; i++) {
            ops_clear(&disk->files[i], true);
            bytes_copy(&disk->files[i].now, &disk->files[i].disk);
            disk->files[i].room = disk->files[i].now.size;
        }
    }
    for (size_t i = 0; i < SIM_FILES; i++) { /* what no name leads to any more is gone */
        bool named = false;

        for (size_t k = 0; k < SIM_NAMES; k++)
            named = named || disk->now[k] == (int)i || disk->disk[k] == (int)i;
        if (!named && disk->files[i].used) {
            ops_clear(&disk->files[i], true);
            disk->files[i].used = false;
            disk->files[i].now.size = disk->files[i].disk.size = disk->files[i].room = 0;
        }
    }
    disk->calls = disk->all_calls = disk->stop_after = disk->fail_at = 0;
    disk->stopped = false;
    disk->failed = '\0';
    disk->lock_lost = false;
}

uint64_t sim_hash(const struct simdisk *disk)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < SIM_NAMES; i++) {
        const struct simfile *file = disk->now[i] < 0 ? NULL : &disk->files[disk->now[i]];
        uint64_t head[4] = { i, file != NULL ? file->inode : 0, file != NULL ? file->op_count : 0,
                             (uint64_t)(disk->disk[i] == disk->now[i]) };

        hash = digest_sum64(hash, head, sizeof head);
        if (file != NULL)
            hash = digest_sum64(hash, file->now.bytes, file->now.size);
        if (file != NULL && file->op_count > 0)
            hash = digest_sum64(hash, file->disk.bytes, file->disk.size);
    }
    return hash;
}
