#include "common/log.h"
/* placeholder until the room lands */
void log_write(int priority, const char *format, ...) { (void)priority; (void)format; }
