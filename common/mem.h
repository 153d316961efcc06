/*
 * mem: memory that is checked when it is taken and wiped when it held a secret.
 *
 * Running out of memory ends the process (exit status 75, EX_TEMPFAIL, after one line through log): a POP3 session
 * that cannot allocate has nothing left to say, and the maildrop is only ever in a recoverable state.
 */
#ifndef COMMON_MEM_H
#define COMMON_MEM_H

#include <stdbool.h>
#include <stddef.h>

#define MEM_EXIT_STATUS 75

/* Zeroed memory for n objects of the given size, never NULL (n * size may not overflow; n may be 0). Owned by the
   caller. */
void *mem_new(size_t n, size_t size) __attribute__((alloc_size(1, 2), malloc, returns_nonnull));

/* n bytes that hold anything, never NULL: for buffers, whose pages cost nothing as long as nobody writes to them. */
void *mem_bytes(size_t n) __attribute__((alloc_size(1), malloc, returns_nonnull));

/* The same at an address that is a multiple of MEM_PAGE. For buffers into which files are read: where the address of a byte differs from its
   offset in the file by 1 to 31 (modulo MEM_PAGE), the copy by the kernel takes up to four times as long on some processors (measured: AMD EPYC). */
#define MEM_PAGE 4096
void *mem_pages(size_t n) __attribute__((alloc_size(1), malloc, returns_nonnull));

/* p grown (or shrunk) to n objects of the given size; new bytes are not zeroed. p may be NULL. Never NULL. */
void *mem_resize(void *p, size_t n, size_t size) __attribute__((alloc_size(2, 3), returns_nonnull));

/* Makes *array_r hold at least `need` objects of `size` bytes, growing by half; *cap_r is the number it has room
   for. */
void mem_reserve(void *array_r, size_t *cap_r, size_t need, size_t size);

/* Copies, never NULL; the caller frees. mem_strndup stops at n bytes or at the first NUL. */
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *text, size_t n) __attribute__((malloc, returns_nonnull));

/* free(). NULL is allowed. */
void mem_free(void *p);

/* Overwrites n bytes so that the compiler cannot leave it out. */
void mem_wipe(void *p, size_t n);

/* Wipes the n bytes and frees. NULL is allowed. */
void mem_free_secret(void *p, size_t n);

/* True when the n bytes are equal; takes the same time wherever they differ. */
bool mem_equal(const void *a, const void *b, size_t n);

/* Logs `what` as LOG_ERR and ends the process with MEM_EXIT_STATUS at once: for common/ alone, where going on would
   be unsafe (no memory, no random bytes, a privilege that cannot be given back). Allocates nothing. */
void mem_end_process(const char *what) __attribute__((noreturn));

#endif
