/*
 * replay: runs a fuzz target over files, without libFuzzer: arguments are files or directories, none means the target's
 * own corpus ($srcdir/tests/fuzz/corpus/NAME for the program replay_NAME). Prints TAP, a case a file.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "tests/fuzz/fuzz.h"

static char **files;
static size_t count, cap;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add(const char *path)
{
    mem_reserve(&files, &cap, count + 1, sizeof *files);
    files[count++] = mem_strdup(path);
}

static bool add_directory(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char name[4096];
    size_t first = count;

    if (!dir)
        return false;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        add(name);
    }
    closedir(dir);
    if (count > first)
        qsort(files + first, count - first, sizeof *files, by_name);
    return true;
}

/* The content in a block of exactly its size, so that a read past the end is seen by valgrind and ASan. */
static uint8_t *read_file(const char *path, size_t *size_r)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    uint8_t *data = NULL;

    if (file && fstat(fileno(file), &st) == 0) {
        data = mem_new((size_t)st.st_size, 1);
        *size_r = fread(data, 1, (size_t)st.st_size, file);
    }
    if (file)
        fclose(file);
    return data;
}

int main(int argc, char **argv)
{
    const char *srcdir = getenv("srcdir"), *name = strstr(argv[0], "replay_");
    char corpus[4096];
    int failed = 0;

    if (argc < 2) {
        snprintf(corpus, sizeof corpus, "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", name ? name + 7 : "");
        if (!add_directory(corpus) || count == 0) {
            printf("Bail out! no inputs in %s: %s\n", corpus, strerror(errno));
            return 1;
        }
    }
    for (int i = 1; i < argc; i++)
        if (!add_directory(argv[i]))
            add(argv[i]);
    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        uint8_t *data = read_file(files[i], &size);
        const char *base = strrchr(files[i], '/');

        printf("# %s\n", files[i]);
        fflush(stdout); /* a broken promise aborts: the name is the last thing said */
        if (data)
            LLVMFuzzerTestOneInput(data, size);
        failed += !data;
        printf("%s %zu - %s\n", data ? "ok" : "not ok", i + 1, base ? base + 1 : files[i]);
        mem_free(data);
        mem_free(files[i]);
    }
    mem_free(files);
    return failed ? 1 : 0;
}
