/*
 * main: the order in which the server starts, nothing else. Errors up to the configuration go to stderr and end it with
 * status 1.
 */
#include <stdio.h>
#include <unistd.h>

#include "common/log.h"
#include "common/strbuf.h"
#include "process/check.h"
#include "process/monitor.h"
#include "process/recover.h"
#include "process/sandbox.h"
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

/* Nothing that serves clients leaves anything to exit(3), whose handlers would only be copied page by page. */
static int leave(int status)
{
    if (!sandbox_instrumented())
        _exit(status);
    return status;
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
        if (settings_verify_all(settings, check_wrong_setting, NULL) > 0)
            return check_end();
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
        return leave(standalone_run(settings, &(struct standalone_start){ argc, argv, argv0, action }));
    startup_detach();
    return leave(monitor_run(settings));
}

/* All that is wrong is said. 0, or the exit status. */
static int read_for_check(struct settings *settings, int argc, char **argv, struct config_action *action_r)
{
    struct config_complaints complaints = { .report = check_wrong_setting, .opened = check_opened_config };
    struct strbuf why = STRBUF_INIT(CONFIG_WHY_MAX);

    check_begin();
    if (config_argv(settings, argc, argv, action_r, &complaints, &why) < 0)
        check_wrong_setting(NULL, why.data);
    else if (complaints.count == 0)
        return 0;
    return check_end();
}

int main(int argc, char **argv)
{
    struct strbuf why = STRBUF_INIT(CONFIG_WHY_MAX);
    struct config_action action;
    struct settings *settings;
    int status = 0;
    const char *argv0 = argc > 0 && argv[0][0] ? argv[0] : "popper";

    startup_clean();
    settings = settings_new();
    log_open(argv0, settings->log_facility);
    if (config_asks_for(argc, argv, CONFIG_CHECK))
        status = read_for_check(settings, argc, argv, &action);
    else if (config_argv(settings, argc, argv, &action, NULL, &why) < 0)
        status = complain(why.data);
    return status != 0 ? status : run(settings, &action, argc, argv, argv0);
}
