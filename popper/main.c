/*
 * main: the order in which the server starts, nothing else. Errors up to the configuration go to stderr and end it with
 * status 1.
 */
#include <stdio.h>

#include "common/log.h"
#include "common/strbuf.h"
#include "process/check.h"
#include "process/monitor.h"
#include "process/recover.h"
#include "process/standalone.h"
#include "process/startup.h"
#include "process/systemd.h"
#include "settings/config.h"
#include "settings/options.h"

#define TEXT_MAX_BYTES (1 << 20)

static int complain(const char *text)
{
    fprintf(stderr, "popper: %s\n", text);
    log_write(LOG_ERR, "%s", text);
    return 1;
}

static int tell(const struct strbuf *text)
{
    return fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0 ? 0 : 1;
}

/* What is wrong with the settings is said, too, but they are shown as they are. */
static int print(struct settings *settings)
{
    struct strbuf text = STRBUF_INIT(TEXT_MAX_BYTES), why = STRBUF_INIT(CONFIG_WHY_MAX);
    bool well = settings_verify(settings, &why) == 0;

    config_print(settings, &text);
    if (!well)
        complain(why.data);
    return tell(&text) == 0 && well ? 0 : 1;
}

static int run(struct settings *settings, const struct config_action *action, int argc, char **argv, const char *argv0)
{
    struct strbuf text = STRBUF_INIT(TEXT_MAX_BYTES), why = STRBUF_INIT(CONFIG_WHY_MAX);

    switch (action->task) {
    case CONFIG_VERSION:
        config_version(&text);
        return tell(&text);
    case CONFIG_HELP:
        config_help(argv0, &text);
        return tell(&text);
    case CONFIG_PRINT:
        return print(settings);
    case CONFIG_LIST:
        config_list(&text);
        return tell(&text);
    case CONFIG_CHECK:
        if (settings_verify(settings, &why) < 0)
            return check_wrong_settings(&why);
        return check_run(settings, action->user);
    case CONFIG_RECOVER:
        if (settings_verify(settings, &why) < 0)
            return complain(why.data);
        startup_detach();
        return recover_run(settings, action->user);
    case CONFIG_SERVE:
        break;
    }
    if (settings_verify(settings, &why) < 0)
        return complain(why.data);
    if (action->address_count > 0 || systemd_sockets() > 0 || (action->standalone && !startup_has_client()))
        return standalone_run(settings, &(struct standalone_start){ argc, argv, argv0, action });
    startup_detach();
    return monitor_run(settings);
}

int main(int argc, char **argv)
{
    struct strbuf why = STRBUF_INIT(CONFIG_WHY_MAX);
    struct config_action action;
    struct settings *settings;
    const char *argv0 = argc > 0 && argv[0][0] ? argv[0] : "popper";

    startup_clean();
    settings = settings_new();
    log_open(argv0, settings->log_facility);
    if (config_asks_for(argc, argv, CONFIG_CHECK))
        check_begin();
    if (config_argv(settings, argc, argv, &action, &why) < 0)
        return config_asks_for(argc, argv, CONFIG_CHECK) ? check_wrong_settings(&why) : complain(why.data);
    return run(settings, &action, argc, argv, argv0);
}
