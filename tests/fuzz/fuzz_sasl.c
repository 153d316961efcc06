/*
 * fuzz_sasl: whatever a client says in an exchange of SASL. The first byte chooses mechanism and record, the second
 * bindings; the rest is messages, each after one byte with its length (four times that). Promised: who does not know
 * the secret is not taken for the user; what the server says is short; whoever is refused has a reason; a name that
 * preauth would ask for is one that the exchange takes.
 */
#include <string.h>

#include "auth/sasl.h"
#include "tests/fuzz/fuzz.h"

static const unsigned char bytes[32] = { 1, 2, 3 };

static void use_record(struct sasl_record *record, enum sasl_mechanism mechanism, bool with_secret)
{
    enum scram_hash hash;

    sasl_is_scram(mechanism, &hash);
    memset(record, 0, sizeof *record);
    strcpy(record->name, "alice");
    record->usable = true;
    record->has_secret = with_secret;
    if (with_secret)
        strcpy(record->secret, "a secret that no fuzzer guesses");
    /* Few iterations: what is tried is the parser. Keys that no password has. */
    record->keys.iterations = 1;
    record->keys.salt_length = SCRAM_SALT_NEW;
    memset(record->keys.stored, 0x5a, sizeof record->keys.stored);
}

static void look_at(enum sasl_outcome outcome, const struct strbuf *reply, const struct strbuf *why)
{
    FUZZ_REQUIRE(outcome != SASL_PROVED, "proved without the secret");
    FUZZ_REQUIRE(!reply->cut && reply->len <= SASL_TOKEN_MAX, "%zu", reply->len);
    FUZZ_REQUIRE(outcome != SASL_GO_ON || reply->len > 0, "nothing to say");
    FUZZ_REQUIRE(outcome == SASL_GO_ON || reply->len == 0, "a reply with the end");
    FUZZ_REQUIRE(outcome == SASL_GO_ON || why->len > 0, "no reason");
    for (size_t i = 0; i < reply->len; i++)
        FUZZ_REQUIRE(reply->data[i] > ' ' && reply->data[i] <= '~', "%s", reply->data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf reply = STRBUF_INIT(SASL_TOKEN_MAX), why = STRBUF_INIT(STRBUF_WHY_MAX);
    struct sasl_identity identity = { .name = "" };
    struct sasl_start start = { .challenge = "<1.2@pop.example>", .nonce = "servernonce", .name = identity.name };
    struct sasl_record record;
    struct sasl_exchange *exchange = NULL;
    enum sasl_outcome outcome = SASL_GO_ON;
    const char *password;
    size_t at = 2;

    if (size < 2)
        return 0;
    start.mechanism = (enum sasl_mechanism)(data[0] % SASL_MECHANISMS);
    use_record(&record, start.mechanism, data[0] & 128);
    start.record = &record;
    start.binding_offered = data[1] & 1;
    start.exporter = start.end_point = bytes;
    start.exporter_length = data[1] & 2 ? sizeof bytes : 0;
    start.end_point_length = data[1] & 4 ? sizeof bytes : 0;
    while (outcome == SASL_GO_ON && at < size) {
        size_t n = data[at] * 4u, left = size - at - 1;
        char *message;

        n = n < left ? n : left;
        /* A copy of its own, so that reading beyond it is seen. */
        message = malloc(n ? n : 1);
        memcpy(message, data + at + 1, n);
        at += 1 + n;
        if (!exchange) {
            bool well = sasl_identity(start.mechanism, message, n, &identity, &password);

            FUZZ_REQUIRE(!well || (identity.name[0] && strlen(identity.name) <= SASL_NAME_MAX), "%s", identity.name);
            if (!well || sasl_carries_password(start.mechanism)) {
                free(message);
                break;
            }
            exchange = sasl_begin(&start);
        }
        outcome = sasl_step(exchange, message, n, &reply, &why);
        look_at(outcome, &reply, &why);
        free(message);
    }
    sasl_end(&exchange);
    strbuf_free(&reply);
    strbuf_free(&why);
    return 0;
}
