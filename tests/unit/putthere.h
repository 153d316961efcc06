/*
 * putthere: the C library's openat, after which somebody puts a new file in the place of the one that was opened.
 */
#ifndef TESTS_PUTTHERE_H
#define TESTS_PUTTHERE_H

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <check.h>

/* What is put (NULL: nothing; once), and where, which must be the name that is opened. */
static const char *putthere_file, *putthere_where;

int openat(int at, const char *name, int flags, ...)
{
    int (*real)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
    va_list ap;
    mode_t mode;
    int fd;

    va_start(ap, flags);
    mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    fd = real(at, name, flags, mode);
    if (putthere_file && strcmp(name, putthere_where) == 0) {
        ck_assert_int_eq(rename(putthere_file, putthere_where), 0);
        putthere_file = NULL;
    }
    return fd;
}

#endif
