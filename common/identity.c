/*
 * identity: see identity.h. The only room that changes uids, gids and groups.
 *
 * Nothing here trusts a return value: what the kernel says afterwards counts. It must never leave a process half
 * changed without telling the caller to end it.
 */
#include "config.h" /* system extensions, 64-bit offsets */

#include "common/identity.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/mem.h"

#define KEEP ((gid_t)-1) /* setres*id: leave this one as it is */

struct groups {
    gid_t *list; /* owned */
    int n;
};

static struct {
    gid_t own_gid;    /* what identity_become made the effective gid */
    gid_t extra_gid;
    bool held;
} self = { .extra_gid = IDENTITY_NO_GID };

bool identity_privileged(void)
{
    return getauxval(AT_EUID) == 0;
}

static void groups_free(struct groups *g)
{
    mem_free(g->list);
    *g = (struct groups){ 0 };
}

/* The groups of name in the group database and gid; only gid when name is NULL. */
static int groups_of(const char *name, gid_t gid, struct groups *g_r, struct strbuf *why)
{
    int room = IDENTITY_GROUPS_MAX;
    int max = IDENTITY_GROUPS_MAX;

    g_r->n = 1;
    g_r->list = mem_new((size_t)room, sizeof *g_r->list);
    g_r->list[0] = gid;
    if (!name)
        return 0;
    for (;;) {
        g_r->n = room;
        if (getgrouplist(name, gid, g_r->list, &g_r->n) >= 0)
            break;
        max = (int)sysconf(_SC_NGROUPS_MAX); /* reads a file; no system allows fewer than the first room */
        room = g_r->n > room ? g_r->n : room * 2;
        if (room > 2 * max)
            break;
        g_r->list = mem_resize(g_r->list, (size_t)room, sizeof *g_r->list);
    }
    if (g_r->n <= max)
        return 0;
    strbuf_fail(why, "user %s is in %d groups, more than the %d that the system allows; take him out of some", name,
                g_r->n, max);
    groups_free(g_r);
    return -1;
}

void identity_look_up(const char *name, gid_t gid, struct identity_groups *groups_r)
{
    groups_r->n = IDENTITY_GROUPS_MAX;
    if (getgrouplist(name, gid, groups_r->list, &groups_r->n) < 0)
        groups_r->n = 0;
}

static int groups_current(struct groups *g_r, struct strbuf *why)
{
    int n;

    g_r->list = mem_new(IDENTITY_GROUPS_MAX, sizeof *g_r->list);
    g_r->n = getgroups(IDENTITY_GROUPS_MAX, g_r->list);
    if (g_r->n < 0 && errno == EINVAL && (n = getgroups(0, NULL)) > IDENTITY_GROUPS_MAX) {
        g_r->list = mem_resize(g_r->list, (size_t)n, sizeof *g_r->list);
        g_r->n = getgroups(n, g_r->list);
    }
    if (g_r->n >= 0)
        return 0;
    strbuf_fail(why, "getgroups: %s", strerror(errno));
    groups_free(g_r);
    return -1;
}

static bool groups_have(const struct groups *g, gid_t gid)
{
    for (int i = 0; i < g->n; i++) {
        if (g->list[i] == gid)
            return true;
    }
    return false;
}

/* The kernel's list holds nothing that is not in g. (Duplicates in g may have been dropped.) */
static int prove_groups(const struct groups *g, struct strbuf *why)
{
    struct groups now;
    int result = 0;

    if (groups_current(&now, why) < 0)
        return -1;
    for (int i = 0; i < now.n && result == 0; i++) {
        if (!groups_have(g, now.list[i]))
            result = strbuf_fail(why, "still in group %ld after setgroups", (long)now.list[i]);
    }
    for (int i = 0; i < g->n && result == 0; i++) {
        if (!groups_have(&now, g->list[i]))
            result = strbuf_fail(why, "not in group %ld after setgroups", (long)g->list[i]);
    }
    groups_free(&now);
    return result;
}

static int prove_uids(uid_t uid, struct strbuf *why)
{
    uid_t r, e, s;

    if (getresuid(&r, &e, &s) < 0)
        return strbuf_fail(why, "getresuid: %s", strerror(errno));
    if (r != uid || e != uid || s != uid)
        return strbuf_fail(why, "uids are %ld %ld %ld (real, effective, saved), not %ld", (long)r, (long)e, (long)s,
                           (long)uid);
    return 0;
}

static int prove_gids(gid_t gid, gid_t saved, struct strbuf *why)
{
    gid_t r, e, s;

    if (getresgid(&r, &e, &s) < 0)
        return strbuf_fail(why, "getresgid: %s", strerror(errno));
    if (r != gid || e != gid || s != saved)
        return strbuf_fail(why, "gids are %ld %ld %ld (real, effective, saved), not %ld %ld %ld", (long)r, (long)e,
                           (long)s, (long)gid, (long)gid, (long)saved);
    return 0;
}

/* No capability is left: with the secure bit "no setuid fixup" or kept capabilities they survive the change of uid. */
static int prove_no_capabilities(struct strbuf *why)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { 0 } };

    if (syscall(SYS_capset, &head, data) < 0)
        return strbuf_fail(why, "capset: %s", strerror(errno));
    if (syscall(SYS_capget, &head, data) < 0)
        return strbuf_fail(why, "capget: %s", strerror(errno));
    if (data[0].effective || data[1].effective || data[0].permitted || data[1].permitted)
        return strbuf_fail(why, "capabilities %08x%08x are left", data[1].permitted, data[0].permitted);
    return 0;
}

/* The proof by trying: none of the ways back to root may work. */
static int prove_no_way_back(struct strbuf *why)
{
    if (setuid(0) == 0 || setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setreuid(0, 0) == 0)
        return strbuf_fail(why, "could become root again");
    return 0;
}

static int become(const struct groups *g, uid_t uid, gid_t gid, gid_t saved_gid, struct strbuf *why)
{
    if (setgroups((size_t)g->n, g->list) < 0)
        return strbuf_fail(why, "setgroups: %s", strerror(errno));
    if (setresgid(gid, gid, saved_gid) < 0)
        return strbuf_fail(why, "setresgid: %s", strerror(errno));
    if (setresuid(uid, uid, uid) < 0)
        return strbuf_fail(why, "setresuid: %s", strerror(errno));
    if (prove_no_capabilities(why) < 0 || prove_uids(uid, why) < 0 || prove_gids(gid, saved_gid, why) < 0 ||
        prove_groups(g, why) < 0)
        return -1;
    return prove_no_way_back(why);
}

/* As groups_of, where somebody may have asked already. */
static int groups_from(const struct identity_groups *known, const char *name, gid_t gid, struct groups *g_r, struct strbuf *why)
{
    if (!known || known->n <= 0)
        return groups_of(name, gid, g_r, why);
    g_r->n = known->n;
    g_r->list = mem_new((size_t)known->n, sizeof *g_r->list);
    memcpy(g_r->list, known->list, (size_t)known->n * sizeof *g_r->list);
    return 0;
}

static int become_from_root(const struct identity_groups *known, const char *name, uid_t uid, gid_t gid, gid_t extra_gid, struct strbuf *why)
{
    struct groups g;
    int result;

    if (uid == 0 || uid == (uid_t)-1 || gid == (gid_t)-1 || extra_gid == 0)
        return strbuf_fail(why, "uid %ld, gid %ld, extra gid %ld are not for this", (long)uid, (long)gid,
                           (long)extra_gid);
    if (groups_from(known, name, gid, &g, why) < 0)
        return -1;
    result = become(&g, uid, gid, extra_gid == IDENTITY_NO_GID ? gid : extra_gid, why);
    groups_free(&g);
    if (result < 0)
        return -1;
    self.own_gid = gid;
    self.extra_gid = extra_gid == gid ? IDENTITY_NO_GID : extra_gid;
    return 0;
}

int identity_become(const char *name, uid_t uid, gid_t gid, gid_t extra_gid, struct strbuf *why)
{
    return identity_become_in(NULL, name, uid, gid, extra_gid, why);
}

int identity_become_in(const struct identity_groups *known, const char *name, uid_t uid, gid_t gid, gid_t extra_gid, struct strbuf *why)
{
    int result;

    if (geteuid() == 0)
        result = become_from_root(known, name, uid, gid, extra_gid, why);
    else
        result = prove_uids(uid, why);
    if (result == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        result = strbuf_fail(why, "prctl: %s", strerror(errno));
    if (result < 0)
        strbuf_fail(why, "cannot become %s (uid %ld, gid %ld): %s", name ? name : "that user", (long)uid, (long)gid,
                    why->data);
    return result;
}

void identity_hold_gid(void)
{
    int saved = errno;

    /* When it cannot be had, the call that follows fails with EACCES and says so. */
    if (self.extra_gid != IDENTITY_NO_GID && setresgid(KEEP, self.extra_gid, KEEP) == 0)
        self.held = true;
    errno = saved;
}

void identity_drop_gid(void)
{
    int saved = errno;

    if (!self.held)
        return;
    if (setresgid(KEEP, self.own_gid, KEEP) < 0 || getegid() != self.own_gid)
        mem_end_process("the group of the spool directory cannot be given back (setresgid); the process ends");
    self.held = false;
    errno = saved;
}

int identity_forget_gid(struct strbuf *why)
{
    gid_t extra = self.extra_gid;

    if (extra == IDENTITY_NO_GID)
        return 0;
    self.extra_gid = IDENTITY_NO_GID;
    self.held = false;
    if (setresgid(self.own_gid, self.own_gid, self.own_gid) < 0)
        return strbuf_fail(why, "cannot give up gid %ld: setresgid: %s", (long)extra, strerror(errno));
    if (prove_gids(self.own_gid, self.own_gid, why) < 0)
        return -1;
    if (setresgid(KEEP, extra, KEEP) == 0)
        return strbuf_fail(why, "gid %ld could be taken again after it was given up", (long)extra);
    return 0;
}
