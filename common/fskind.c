/*
 * fskind: see fskind.h. By the magic numbers of statfs(2); linux/magic.h does not have all of them.
 */
#include "common/fskind.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/vfs.h>

static const struct {
    uint32_t magic;
    enum fskind kind;
    const char *name;
} kinds[] = {
    { 0xef53, FSKIND_LOCAL, "ext4" }, /* and ext2, ext3 */
    { 0x58465342, FSKIND_LOCAL, "xfs" },
    { 0x9123683e, FSKIND_LOCAL, "btrfs" },
    { 0x2fc12fc1, FSKIND_LOCAL, "zfs" },
    { 0xf2f52010, FSKIND_LOCAL, "f2fs" },
    { 0x794c7630, FSKIND_LOCAL, "overlayfs" },
    { 0x01021994, FSKIND_MEMORY, "tmpfs" },
    { 0x858458f6, FSKIND_MEMORY, "ramfs" },
    { 0x6969, FSKIND_NETWORK, "NFS" },
    { 0xff534d42, FSKIND_NETWORK, "CIFS" },
    { 0xfe534d42, FSKIND_NETWORK, "SMB" },
    { 0x00c36400, FSKIND_NETWORK, "CephFS" },
    { 0x5346414f, FSKIND_NETWORK, "AFS" },
    { 0x01161970, FSKIND_NETWORK, "GFS2" },
    { 0x7461636f, FSKIND_NETWORK, "OCFS2" },
};

enum fskind fskind_of(int fd, const char **name_r)
{
    struct statfs fs;
    const char *name = "unknown";
    enum fskind kind = FSKIND_UNKNOWN;

    if (fstatfs(fd, &fs) == 0) {
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            if ((uint32_t)fs.f_type != kinds[i].magic)
                continue;
            kind = kinds[i].kind;
            name = kinds[i].name;
        }
    }
    if (name_r)
        *name_r = name;
    return kind;
}
