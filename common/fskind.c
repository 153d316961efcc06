/*
 * fskind: see fskind.h. By the magic numbers of statfs(2); linux/magic.h does not have all of them.
 */
#include "common/fskind.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/vfs.h>

static const struct kind {
    uint32_t magic;
    enum fskind kind;
    const char *name;
    bool plain;
} kinds[] = {
    { 0xef53, FSKIND_LOCAL, "ext4", true }, /* and ext2, ext3 */
    { 0x58465342, FSKIND_LOCAL, "xfs", false },
    { 0x9123683e, FSKIND_LOCAL, "btrfs", false },
    { 0x2fc12fc1, FSKIND_LOCAL, "zfs", false },
    { 0xf2f52010, FSKIND_LOCAL, "f2fs", true },
    { 0x794c7630, FSKIND_LOCAL, "overlayfs", false },
    { 0x01021994, FSKIND_MEMORY, "tmpfs", true },
    { 0x858458f6, FSKIND_MEMORY, "ramfs", true },
    { 0x6969, FSKIND_NETWORK, "NFS", false },
    { 0xff534d42, FSKIND_NETWORK, "CIFS", false },
    { 0xfe534d42, FSKIND_NETWORK, "SMB", false },
    { 0x00c36400, FSKIND_NETWORK, "CephFS", false },
    { 0x5346414f, FSKIND_NETWORK, "AFS", false },
    { 0x01161970, FSKIND_NETWORK, "GFS2", false },
    { 0x7461636f, FSKIND_NETWORK, "OCFS2", false },
};

/* The row of fd's file system, or NULL. */
static const struct kind *find(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((uint32_t)fs.f_type == kinds[i].magic)
            return &kinds[i];
    return NULL;
}

enum fskind fskind_of(int fd, const char **name_r)
{
    const struct kind *kind = find(fd);

    if (name_r)
        *name_r = kind ? kind->name : "unknown";
    return kind ? kind->kind : FSKIND_UNKNOWN;
}

bool fskind_copies_plainly(int fd)
{
    const struct kind *kind = find(fd);

    return kind && kind->plain;
}
