/*
 * simdisk: a disk in memory for the crash matrix. Files have what a program sees ("now") and what the disk holds;
 * between them stands a list of writes and cuts that no sync has made durable. Names are durable only after sync_dir:
 * fsync of a new file does not keep its name. It offers the table of file calls and a mailhost, can stop the machine
 * after any call, fail any call, and run full.
 *
 * A failed fsync does what Linux does: what it should have written counts as clean from then on, so that no later fsync
 * writes it.
 */
#ifndef TESTS_CRASH_SIMDISK_H
#define TESTS_CRASH_SIMDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mail/filecalls.h"
#include "mail/mailhost.h"

#define SIM_FILES 24
#define SIM_SECTOR 512
#define SIM_FD 1000000 /* descriptors are SIM_FD + file */

enum simname { SIM_DROP, SIM_JOURNAL, SIM_TEMPDROP, SIM_POPBULL, SIM_INDEX, SIM_ORPHAN, SIM_NAMES = SIM_ORPHAN + 8 };

enum simkind { SIM_WRITE, SIM_TRUNCATE };

struct simop {
    enum simkind kind;
    uint64_t order; /* of all writes and name changes */
    bool doomed;    /* its fsync failed: the disk may or may not have it, for good */
    uint64_t at;    /* truncate: the new size */
    size_t n;
    unsigned char *bytes; /* owned */
};

struct simbytes {
    unsigned char *bytes; /* owned */
    size_t size, cap;
};

struct simfile {
    bool used;
    uint64_t inode;
    struct simbytes now, disk;
    size_t room; /* bytes that the file takes up of the capacity */
    struct simop *ops;
    size_t op_count, op_cap;
};

struct simdirop {
    enum simname name;
    int file; /* -1: the name goes */
    int gone; /* name that goes at the same time (rename), or -1 */
    uint64_t order;
};

struct simdisk {
    struct simfile files[SIM_FILES];
    int now[SIM_NAMES], disk[SIM_NAMES];
    struct simdirop dirops[64];
    size_t dirop_count;
    int next; /* a file without a name that is to replace M */
    uint64_t next_inode;
    size_t capacity;      /* bytes for all files, 0: without end */
    size_t longest_write; /* a call moves at most so many bytes, 0: all */

    /* Counting and stopping. */
    unsigned calls;      /* calls that change something */
    unsigned stop_after; /* 0: never */
    bool stopped;        /* the machine stands: every call fails and does nothing */
    unsigned all_calls;  /* reads too */
    unsigned fail_at;    /* of all_calls; 0: none */
    int fail_errno;
    char failed;    /* first letter of the call that failed; 0: none did */
    bool interrupt; /* EINTR once before every read and write */
    bool interrupted;
    bool lock_lost;
    bool keeps_call_kinds;
    char kinds[4096]; /* what each counted call was: w M, W J, c copy..., for messages and for mutants */
    void (*before_call)(struct simdisk *disk, const char *what, int file); /* may deliver mail meanwhile */
};

/* The disk that the calls below work on. */
extern struct simdisk *sim;
extern const struct filecalls sim_filecalls;
extern const struct mailhost sim_host;

void sim_init(struct simdisk *disk);
void sim_free(struct simdisk *disk);
void sim_copy(struct simdisk *to, const struct simdisk *from);

/* Makes a durable file of that name. Its index. */
int sim_put(struct simdisk *disk, enum simname name, const void *bytes, size_t n);

/* The file that now has the name, or NULL. */
struct simfile *sim_file(struct simdisk *disk, enum simname name);
int sim_fd(const struct simdisk *disk, enum simname name);

/* What the calls do to a file, and what other programs do. */
int sim_new_file(struct simdisk *disk);
void sim_file_write(struct simfile *file, uint64_t at, const void *bytes, size_t n);
void sim_file_truncate(struct simfile *file, uint64_t size);
void sim_file_sync(struct simfile *file);
uint64_t sim_next_order(void);

/* Whether the file may reach up to `end`, as full as the disk is. */
bool sim_has_room(const struct simdisk *disk, const struct simfile *file, uint64_t end);

/* Carries out one change of a name. */
void sim_rename(int names[SIM_NAMES], const struct simdirop *op);

/* For making crashes: changes bytes; everything is durable and nothing is pending afterwards, and counters start anew.
 */
void sim_bytes_write(struct simbytes *b, uint64_t at, const void *bytes, size_t n);
void sim_bytes_truncate(struct simbytes *b, uint64_t size);
void sim_restart(struct simdisk *disk, bool power_lost);

/* A hash of everything that a restart would see. */
uint64_t sim_hash(const struct simdisk *disk);

#endif
