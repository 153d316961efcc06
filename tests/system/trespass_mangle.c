/*
 * trespass_mangle: what makes popper-mangle-trespass of popper-mangle: the same objects, and a traitor in the worker, who makes one system call when the
 * first message is there. For tests/system/trespass.py, which puts it in popper-mangle's place; never installed.
 *
 * The worker's environment is empty: the name of the call stands in the file "mangle-call" beside the program, the note is "mangle-note" there.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mail/mangle.h"
#include "tests/system/trespass_calls.h"

static char call_wanted[40];

__attribute__((constructor)) static void remember_order(void)
{
    char program[PATH_MAX] = "", path[PATH_MAX + 20];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash = n > 0 ? strrchr(program, '/') : NULL;
    FILE *order;

    if (!slash)
        return;
    *slash = '\0';
    snprintf(path, sizeof path, "%s/mangle-call", program);
    order = fopen(path, "re");
    if (!order)
        return;
    if (!fgets(call_wanted, sizeof call_wanted, order))
        call_wanted[0] = '\0';
    fclose(order);
    snprintf(path, sizeof path, "%s/mangle-note", program);
    trespass_map(path);
}

/* The message is there, and nothing of it was looked at. */
void __real_mangle_message(const char *bytes, size_t n, const struct manglespec *spec, struct outbuf *out, size_t *header_r);
void __wrap_mangle_message(const char *bytes, size_t n, const struct manglespec *spec, struct outbuf *out, size_t *header_r);
void __wrap_mangle_message(const char *bytes, size_t n, const struct manglespec *spec, struct outbuf *out, size_t *header_r)
{
    trespass_make(call_wanted);
    __real_mangle_message(bytes, n, spec, out, header_r);
}
