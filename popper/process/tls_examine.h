/*
 * tls_examine: what clients will find at our certificates: for whom they are, until when, whether who trusts the usual
 * authorities trusts them. For the doctor (check.h), which has it logged; no session waits for this. Part of the
 * module popper-tls.so.
 */
#ifndef PROCESS_TLS_EXAMINE_H
#define PROCESS_TLS_EXAMINE_H

#include <stddef.h>

#include "process/tls_certificate.h"

/* host: our name; one without a dot is compared with the first label of names. Times are left to tls_certificate_load. */
void tls_examine(const struct tls_certificate *certificates, size_t count, const char *host);

#endif
