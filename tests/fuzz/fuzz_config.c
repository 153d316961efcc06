/*
 * fuzz_config: the option files of a user, from his home and from the spool. Promised: no option is set that may not be set there; bad lines
 * are reported, bounded and without control characters; what config_print says of the settings reads as the same settings.
 */
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "settings/config.h"
#include "tests/fuzz/fuzz.h"

static size_t reports;

static void hear(void *context, const char *text)
{
    (void)context;
    reports++;
    FUZZ_REQUIRE(*text && strlen(text) <= CONFIG_WHY_MAX, "%zu bytes", strlen(text));
    for (; *text; text++)
        FUZZ_REQUIRE((unsigned char)*text >= ' ' && *text != 127, "\\x%02x", (unsigned char)*text);
}

/* A target writes to no file and opens none: what names others is another matter. */
static bool names_files(const uint8_t *data, size_t size)
{
    static const char name[] = "onfig-file";

    for (size_t i = 0; i + sizeof name - 1 <= size; i++)
        if (strncasecmp((const char *)data + i, name, sizeof name - 1) == 0)
            return true;
    return false;
}

static int open_bytes(const void *bytes, size_t n)
{
    int fd = memfd_create("options", MFD_CLOEXEC);

    FUZZ_REQUIRE(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0, "memfd");
    return fd;
}

static struct settings *read_settings(const void *bytes, size_t n, enum option_source source)
{
    struct settings *settings = settings_new();
    int fd = open_bytes(bytes, n);
    size_t bad;

    reports = 0;
    bad = config_fd(settings, fd, "home/.qpopper-options", source, hear, NULL);
    FUZZ_REQUIRE(bad <= CONFIG_BAD_MAX + 1 && reports >= bad && reports <= bad + 1, "%zu bad lines, %zu reports", bad, reports);
    close(fd);
    return settings;
}

static void compare(const struct settings *a, const struct settings *b, bool all, enum option_source source)
{
    struct strbuf x = STRBUF_INIT(4 * OPTION_VALUE_MAX), y = STRBUF_INIT(4 * OPTION_VALUE_MAX);

    for (const struct option_row *row = option_rows; row < option_rows + OPTION_COUNT; row++) {
        if (!all && options_allowed(row->restriction, source))
            continue;
        strbuf_reset(&x);
        strbuf_reset(&y);
        settings_show(a, row, 0, &x);
        settings_show(b, row, 0, &y);
        FUZZ_REQUIRE(strcmp(x.data, y.data) == 0, "%s: %s, %s", row->name, x.data, y.data);
    }
    strbuf_free(&x);
    strbuf_free(&y);
}

/* As a file of the administrator, who may set all of it. */
static void read_again(const struct settings *settings)
{
    struct strbuf text = STRBUF_INIT(1 << 20);
    struct settings *again;

    config_print(settings, &text);
    again = read_settings(text.data, text.len, OPTION_FILE);
    FUZZ_REQUIRE(reports == 0, "%s", text.data);
    compare(settings, again, true, OPTION_FILE);
    settings_free(&again);
    strbuf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings *defaults, *settings;
    struct strbuf why = STRBUF_INIT(CONFIG_WHY_MAX);
    enum option_source source;

    if (size == 0 || names_files(data, size))
        return 0;
    source = data[0] == 'f' ? OPTION_FILE : data[0] % 2 ? OPTION_SPOOL : OPTION_HOME;
    defaults = settings_new();
    settings = read_settings(data + 1, size - 1, source);
    compare(defaults, settings, false, source);
    read_again(settings);
    FUZZ_REQUIRE(settings_verify(settings, &why) == 0 || why.len > 0, "no reason");
    settings_free(&settings);
    settings_free(&defaults);
    strbuf_free(&why);
    return 0;
}
