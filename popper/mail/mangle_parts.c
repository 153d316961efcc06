/*
 * mangle_parts: see mangle_parts.h.
 */
#include "mail/mangle_parts.h"

#include <string.h>
#include <strings.h>

#include "common/mem.h"

#define BLANK_LOOK 2000 /* bytes of a text part that are looked at: is it empty? */

static void choose(struct mangle_parts *parts, GMimeObject *object, unsigned depth);

/* ---- the list */

static void add(struct mangle_parts *parts, enum mangle_kind kind, void *object, const char *remark)
{
    bool note = kind == MANGLE_ATTACHMENT || kind == MANGLE_REMARK;

    if (note && parts->notes == MANGLE_NOTES_MAX) {
        parts->unlisted++;
        return;
    }
    parts->notes += note;
    parts->has_html = parts->has_html || kind == MANGLE_HTML;
    mem_reserve(&parts->items, &parts->cap, parts->count + 1, sizeof *parts->items);
    parts->items[parts->count++] = (struct mangle_item){ .kind = kind, .object = object, .remark = remark };
}

void mangle_parts_free(struct mangle_parts *parts)
{
    mem_free(parts->items);
    *parts = (struct mangle_parts){ 0 };
}

/* ---- what a part is */

static bool is_type(GMimeObject *object, const char *type, const char *subtype)
{
    return g_mime_content_type_is_type(g_mime_object_get_content_type(object), type, subtype);
}

static bool is_attachment(GMimeObject *object)
{
    const char *disposition = g_mime_object_get_disposition(object);

    return disposition && strcasecmp(disposition, "attachment") == 0;
}

static bool is_text(GMimeObject *object)
{
    return GMIME_IS_PART(object) && is_type(object, "text", "*") && !is_attachment(object);
}

/* Whether a text part has nothing but blanks: some programs send one beside the HTML. */
static bool is_blank(GMimeObject *object)
{
    GMimeDataWrapper *content = g_mime_part_get_content((GMimePart *)object);
    GMimeStream *stream = content ? g_mime_data_wrapper_get_stream(content) : NULL;
    char bytes[BLANK_LOOK];
    ssize_t n;

    if (!stream || g_mime_stream_reset(stream) != 0)
        return true;
    n = g_mime_stream_read(stream, bytes, sizeof bytes);
    for (ssize_t i = 0; i < n; i++)
        if (!strchr(" \t\r\n", bytes[i]) || !bytes[i])
            return false;
    return n < (ssize_t)sizeof bytes;
}

/* How well a person is served by it. */
static int rank(const struct mangle_parts *parts, GMimeObject *object, unsigned depth)
{
    int best = 0;

    if (is_text(object)) {
        bool html = is_type(object, "text", "html"), plain = is_type(object, "text", "plain");

        if (is_blank(object))
            return 1;
        return html == parts->prefer_html && (html || plain) ? 5 : html || plain ? 4 : is_type(object, "text", "calendar") ? 2 : 3;
    }
    if (!GMIME_IS_MULTIPART(object) || depth > MANGLE_DEPTH_MAX)
        return 0;
    for (int i = 0; i < g_mime_multipart_get_count((GMimeMultipart *)object) && best < 5; i++) {
        int found = rank(parts, g_mime_multipart_get_part((GMimeMultipart *)object, i), depth + 1);

        best = found > best ? found : best;
    }
    return best;
}

/* ---- multiparts */

static void choose_all(struct mangle_parts *parts, GMimeMultipart *multipart, int from, unsigned depth)
{
    for (int i = from; i < g_mime_multipart_get_count(multipart); i++)
        choose(parts, g_mime_multipart_get_part(multipart, i), depth);
}

/* The best one; of equals the last, which its writer thinks the best of (RFC 2046 section 5.1.4). */
static void choose_alternative(struct mangle_parts *parts, GMimeMultipart *multipart, unsigned depth)
{
    GMimeObject *chosen = NULL;
    int best = -1;

    for (int i = 0; i < g_mime_multipart_get_count(multipart); i++) {
        GMimeObject *child = g_mime_multipart_get_part(multipart, i);
        int found = rank(parts, child, depth);

        if (found >= best) {
            best = found;
            chosen = child;
        }
    }
    choose(parts, chosen, depth);
}

/* The root first: what `start` names, or the first (RFC 2387). */
static void choose_related(struct mangle_parts *parts, GMimeMultipart *multipart, unsigned depth)
{
    GMimeContentType *type = g_mime_object_get_content_type((GMimeObject *)multipart);
    const char *start = g_mime_content_type_get_parameter(type, "start");
    int count = g_mime_multipart_get_count(multipart), root = 0;
    size_t n = start ? strlen(start) : 0;

    if (n > 2 && start[0] == '<') {
        start++;
        n -= 2;
    }
    for (int i = 0; start && i < count; i++) {
        const char *id = g_mime_object_get_content_id(g_mime_multipart_get_part(multipart, i));

        if (id && strlen(id) == n && strncmp(id, start, n) == 0)
            root = i;
    }
    choose(parts, g_mime_multipart_get_part(multipart, root), depth);
    for (int i = 0; i < count; i++)
        if (i != root)
            choose(parts, g_mime_multipart_get_part(multipart, i), depth);
}

static void choose_signed(struct mangle_parts *parts, GMimeMultipart *multipart, unsigned depth)
{
    choose(parts, g_mime_multipart_get_part(multipart, 0), depth);
    add(parts, MANGLE_REMARK, NULL, "the part above is signed; the signature was not checked");
    if (g_mime_multipart_get_count(multipart) > 2)
        choose_all(parts, multipart, 2, depth);
}

/* RFC 6522: a text, a form for programs, and the message or its header, of which the header is enough. */
static void choose_report(struct mangle_parts *parts, GMimeMultipart *multipart, unsigned depth)
{
    choose(parts, g_mime_multipart_get_part(multipart, 0), depth);
    for (int i = 1; i < g_mime_multipart_get_count(multipart); i++) {
        GMimeObject *child = g_mime_multipart_get_part(multipart, i);
        GMimeMessage *returned = GMIME_IS_MESSAGE_PART(child) ? g_mime_message_part_get_message((GMimeMessagePart *)child) : NULL;

        if (returned)
            add(parts, MANGLE_INCLUDED, returned, "the message that this is about");
        else if (!is_type(child, "message", "*"))
            choose(parts, child, depth);
    }
}

static void choose_multipart(struct mangle_parts *parts, GMimeMultipart *multipart, unsigned depth)
{
    GMimeObject *object = (GMimeObject *)multipart;

    if (g_mime_multipart_get_count(multipart) == 0)
        add(parts, MANGLE_PREAMBLE, multipart, NULL);
    else if (is_type(object, "multipart", "encrypted"))
        add(parts, MANGLE_REMARK, NULL, "this message is encrypted; it can be read by a program that has the key only");
    else if (is_type(object, "multipart", "alternative"))
        choose_alternative(parts, multipart, depth);
    else if (is_type(object, "multipart", "related"))
        choose_related(parts, multipart, depth);
    else if (is_type(object, "multipart", "signed"))
        choose_signed(parts, multipart, depth);
    else if (is_type(object, "multipart", "report"))
        choose_report(parts, multipart, depth);
    else
        choose_all(parts, multipart, 0, depth);
}

/* ---- all of them */

static void choose_included(struct mangle_parts *parts, GMimeMessagePart *included, unsigned depth)
{
    GMimeMessage *message = g_mime_message_part_get_message(included);

    if (!message) {
        add(parts, MANGLE_REMARK, NULL, "an included message is empty");
        return;
    }
    add(parts, MANGLE_INCLUDED, message, "an included message");
    choose(parts, g_mime_message_get_mime_part(message), depth);
}

static void choose(struct mangle_parts *parts, GMimeObject *object, unsigned depth)
{
    if (!object)
        return;
    if (depth > MANGLE_DEPTH_MAX)
        add(parts, MANGLE_REMARK, NULL, "parts that are nested more deeply are not shown");
    else if (GMIME_IS_MULTIPART(object))
        choose_multipart(parts, (GMimeMultipart *)object, depth + 1);
    else if (GMIME_IS_MESSAGE_PART(object))
        choose_included(parts, (GMimeMessagePart *)object, depth + 1);
    else if (is_type(object, "message", "delivery-status") || is_type(object, "message", "external-body"))
        return; /* for programs */
    else if (is_text(object))
        add(parts, is_type(object, "text", "html") ? MANGLE_HTML : MANGLE_TEXT, object, NULL);
    else
        add(parts, MANGLE_ATTACHMENT, object, NULL);
}

void mangle_parts_choose(struct mangle_parts *parts, GMimeMessage *message)
{
    choose(parts, g_mime_message_get_mime_part(message), 0);
}
