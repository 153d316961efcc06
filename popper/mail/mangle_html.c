/*
 * mangle_html: see mangle_html.h. libxml2 reads the HTML and calls us for each tag and text, so there is no tree: what
 * is open is a stack of places with a fixed depth.
 */
#include "mail/mangle_html.h"

#include <libxml/HTMLparser.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "mail/mangle_html_attribute.h"
#include "mail/mangle_html_block.h"
#include "mail/mangle_html_link.h"
#include "mail/mangle_html_table.h"
#include "mail/mangle_text.h"

#define DEPTH_MAX 40   /* quotations, items, tables and cells within each other that are shown as such */
#define LINK_MAX 2000  /* bytes of an address */

enum kind { PLACE_PAGE, PLACE_QUOTATION, PLACE_ITEM, PLACE_TABLE, PLACE_CELL };

struct place {
    enum kind kind;
    struct mangle_html_block block;
    struct mangle_html_table *table; /* PLACE_TABLE */
    size_t span;                     /* PLACE_CELL */
    bool heading;                    /* likewise */
    unsigned number;                 /* PLACE_ITEM: 0, or of an ordered list */
};

struct reading {
    struct place places[DEPTH_MAX];
    size_t depth;
    size_t too_deep;                 /* places that are open beyond that */
    size_t hidden;                   /* elements open from one on that is not shown */
    size_t verbatim;                 /* <pre> */
    unsigned lists[DEPTH_MAX];       /* the next number, 0: not ordered */
    size_t list_depth;
    char link[LINK_MAX + 1];         /* of the <a> that is open, or "" */
    size_t link_depth, link_at;      /* where its text begins */
};

static struct mangle_html_block *block(struct reading *r)
{
    return &r->places[r->depth].block;
}

/* Entities may have brought control characters. */
static void add_text(struct reading *r, const char *text, size_t n)
{
    struct strbuf clean = STRBUF_INIT(MANGLE_HTML_MAX);

    mangle_text_clean(text, n, &clean);
    if (r->verbatim > 0)
        mangle_html_block_add_as_is(block(r), clean.data, clean.len);
    else
        mangle_html_block_add(block(r), clean.data, clean.len);
    strbuf_free(&clean);
}

/* ---- places */

static void open_place(struct reading *r, enum kind kind)
{
    if (r->depth + 1 == DEPTH_MAX || r->too_deep > 0) {
        r->too_deep++;
        mangle_html_block_gap(block(r), 1);
        return;
    }
    r->places[++r->depth] = (struct place){ .kind = kind, .block = MANGLE_HTML_BLOCK_INIT };
    if (kind == PLACE_TABLE)
        r->places[r->depth].table = mangle_html_table_new();
}

static void end_item(struct mangle_html_block *to, const struct place *item)
{
    char first[20] = "  * ", others[20] = "    ";

    if (item->number > 0) {
        int n = snprintf(first, sizeof first, " %u. ", item->number);

        snprintf(others, sizeof others, "%*s", n, "");
    }
    mangle_html_block_gap(to, 1);
    mangle_html_block_add_lines(to, item->block.text.data, item->block.text.len, first, others);
    mangle_html_block_gap(to, 1);
}

/* Outside of a table, or within something else there. */
static void end_stray_cell(struct mangle_html_block *to, const struct strbuf *text)
{
    mangle_html_block_gap(to, 1);
    mangle_html_block_add_lines(to, text->data, text->len, "", "");
    mangle_html_block_gap(to, 1);
}

static void close_top(struct reading *r)
{
    struct place *p = &r->places[r->depth--];
    struct mangle_html_block *to = block(r);
    const struct strbuf *text = &p->block.text;

    switch (p->kind) {
    case PLACE_QUOTATION:
        mangle_html_block_gap(to, 2);
        mangle_html_block_add_lines(to, text->data, text->len, "> ", "> ");
        mangle_html_block_gap(to, 2);
        break;
    case PLACE_ITEM:
        end_item(to, p);
        break;
    case PLACE_CELL:
        if (r->places[r->depth].table)
            mangle_html_table_cell(r->places[r->depth].table, text->data, text->len, p->span, p->heading);
        else
            end_stray_cell(to, text);
        break;
    case PLACE_TABLE:
        mangle_html_block_gap(to, 1);
        mangle_html_block_add_lines(to, text->data, text->len, "", "");
        mangle_html_table_print(p->table, to);
        mangle_html_table_free(p->table);
        break;
    case PLACE_PAGE:
        break;
    }
    strbuf_free(&p->block.text);
}

/* Ends the innermost place of this kind and what is open in it. Not beyond the cell that we are in. */
static void close_place(struct reading *r, enum kind kind)
{
    size_t at = r->depth;

    if (r->too_deep > 0) {
        r->too_deep--;
        mangle_html_block_gap(block(r), 1);
        return;
    }
    while (at > 0 && r->places[at].kind != kind && (r->places[at].kind != PLACE_CELL || kind == PLACE_TABLE))
        at--;
    while (at > 0 && r->places[at].kind == kind && r->depth >= at)
        close_top(r);
}

/* ---- elements */

static void start_break(struct reading *r, const xmlChar **attributes)
{
    (void)attributes;
    if (r->verbatim)
        mangle_html_block_add_as_is(block(r), "\n", 1);
    else
        mangle_html_block_break(block(r));
}

static void start_rule(struct reading *r, const xmlChar **attributes)
{
    (void)attributes;
    mangle_html_block_gap(block(r), 1);
    mangle_html_block_add(block(r), "----------------------------------------", 40);
    mangle_html_block_gap(block(r), 1);
}

static void line_gap(struct reading *r, const xmlChar **attributes)
{
    (void)attributes;
    mangle_html_block_gap(block(r), 1);
}

static void paragraph_gap(struct reading *r, const xmlChar **attributes)
{
    (void)attributes;
    mangle_html_block_gap(block(r), 2);
}

static void end_line_gap(struct reading *r)
{
    mangle_html_block_gap(block(r), 1);
}

static void end_paragraph_gap(struct reading *r)
{
    mangle_html_block_gap(block(r), 2);
}

static void start_verbatim(struct reading *r, const xmlChar **attributes)
{
    paragraph_gap(r, attributes);
    r->verbatim++;
}

static void end_verbatim(struct reading *r)
{
    if (r->verbatim > 0)
        r->verbatim--;
    mangle_html_block_gap(block(r), 2);
}

static void start_quotation(struct reading *r, const xmlChar **attributes)
{
    (void)attributes;
    open_place(r, PLACE_QUOTATION);
}

static void end_quotation(struct reading *r)
{
    close_place(r, PLACE_QUOTATION);
}

static void start_list(struct reading *r, bool ordered)
{
    mangle_html_block_gap(block(r), r->list_depth == 0 ? 2 : 1);
    if (r->list_depth < DEPTH_MAX)
        r->lists[r->list_depth] = ordered;
    r->list_depth++;
}

static void start_unordered(struct reading *r, const xmlChar **attributes)
{
    (void)attributes;
    start_list(r, false);
}

static void start_ordered(struct reading *r, const xmlChar **attributes)
{
    (void)attributes;
    start_list(r, true);
}

static void end_list(struct reading *r)
{
    if (r->list_depth > 0)
        r->list_depth--;
    mangle_html_block_gap(block(r), r->list_depth == 0 ? 2 : 1);
}

static void start_item(struct reading *r, const xmlChar **attributes)
{
    size_t before = r->depth;
    unsigned *number = r->list_depth > 0 && r->list_depth <= DEPTH_MAX ? &r->lists[r->list_depth - 1] : NULL;

    (void)attributes;
    open_place(r, PLACE_ITEM);
    if (r->depth > before && number && *number > 0)
        r->places[r->depth].number = (*number)++;
}

static void end_item_tag(struct reading *r)
{
    close_place(r, PLACE_ITEM);
}

static void start_table(struct reading *r, const xmlChar **attributes)
{
    (void)attributes;
    open_place(r, PLACE_TABLE);
}

static void end_table(struct reading *r)
{
    close_place(r, PLACE_TABLE);
}

static void start_row(struct reading *r, const xmlChar **attributes)
{
    (void)attributes;
    if (r->too_deep > 0)
        mangle_html_block_gap(block(r), 1);
    else if (r->places[r->depth].table)
        mangle_html_table_row(r->places[r->depth].table);
}

static void start_cell_of(struct reading *r, const xmlChar **attributes, bool heading)
{
    const char *span = mangle_html_attribute(attributes, "colspan");
    int columns = span ? atoi(span) : 1;
    size_t before = r->depth;

    open_place(r, PLACE_CELL);
    if (r->depth == before)
        return;
    r->places[r->depth].span = columns > 0 ? (size_t)columns : 1;
    r->places[r->depth].heading = heading;
}

static void start_cell(struct reading *r, const xmlChar **attributes)
{
    start_cell_of(r, attributes, false);
}

static void start_heading_cell(struct reading *r, const xmlChar **attributes)
{
    start_cell_of(r, attributes, true);
}

static void end_cell(struct reading *r)
{
    if (r->too_deep > 0 || r->places[r->depth].kind != PLACE_TABLE)
        close_place(r, PLACE_CELL);
}

static void start_image(struct reading *r, const xmlChar **attributes)
{
    const char *text = mangle_html_attribute(attributes, "alt");

    if (!text || strspn(text, " \t\n") == strlen(text))
        return;
    add_text(r, "[", 1);
    add_text(r, text, strlen(text));
    add_text(r, "]", 1);
}

static void end_link(struct reading *r)
{
    static const char before_text[] = { ' ', '\n', MANGLE_TEXT_FIXED, '\0' };
    struct mangle_html_block *b = block(r);
    const char *link = mangle_html_link_shown(r->link);
    size_t at = r->link_at <= b->text.len ? r->link_at : b->text.len;

    if (link && r->link_depth == r->depth) {
        const char *text = b->text.data + at;
        size_t n = b->text.len - at, blanks = n ? strspn(text, before_text) : 0;

        if (!mangle_html_link_said(text + blanks, n - blanks, link)) {
            b->space = true;
            add_text(r, "<", 1);
            add_text(r, link, strlen(link));
            add_text(r, ">", 1);
        }
    }
    r->link[0] = '\0';
}

static void start_link(struct reading *r, const xmlChar **attributes)
{
    const char *link = mangle_html_attribute(attributes, "href");

    if (r->link[0])
        end_link(r);
    if (!link)
        return;
    link += strspn(link, " \t\n");
    if (strlen(link) > LINK_MAX)
        return;
    strcpy(r->link, link);
    r->link_depth = r->depth;
    r->link_at = block(r)->text.len;
}

static void hide(struct reading *r, const xmlChar **attributes)
{
    (void)attributes;
    r->hidden = 1;
}

struct element {
    const char *name;
    void (*start)(struct reading *r, const xmlChar **attributes);
    void (*end)(struct reading *r);
};

/* Elements that are not here have no form of their own. */
static const struct element elements[] = {
    { "a", start_link, end_link },
    { "address", line_gap, end_line_gap },
    { "article", paragraph_gap, end_paragraph_gap },
    { "blockquote", start_quotation, end_quotation },
    { "br", start_break, NULL },
    { "caption", line_gap, end_line_gap },
    { "center", line_gap, end_line_gap },
    { "dd", line_gap, end_line_gap },
    { "dir", start_unordered, end_list },
    { "div", line_gap, end_line_gap },
    { "dl", paragraph_gap, end_paragraph_gap },
    { "dt", line_gap, end_line_gap },
    { "fieldset", line_gap, end_line_gap },
    { "footer", paragraph_gap, end_paragraph_gap },
    { "form", line_gap, end_line_gap },
    { "h1", paragraph_gap, end_paragraph_gap },
    { "h2", paragraph_gap, end_paragraph_gap },
    { "h3", paragraph_gap, end_paragraph_gap },
    { "h4", paragraph_gap, end_paragraph_gap },
    { "h5", paragraph_gap, end_paragraph_gap },
    { "h6", paragraph_gap, end_paragraph_gap },
    { "header", paragraph_gap, end_paragraph_gap },
    { "hr", start_rule, NULL },
    { "iframe", hide, NULL },
    { "img", start_image, NULL },
    { "li", start_item, end_item_tag },
    { "listing", start_verbatim, end_verbatim },
    { "menu", start_unordered, end_list },
    { "noframes", hide, NULL },
    { "object", hide, NULL },
    { "ol", start_ordered, end_list },
    { "p", paragraph_gap, end_paragraph_gap },
    { "pre", start_verbatim, end_verbatim },
    { "script", hide, NULL },
    { "section", paragraph_gap, end_paragraph_gap },
    { "select", hide, NULL },
    { "style", hide, NULL },
    { "svg", hide, NULL },
    { "table", start_table, end_table },
    { "td", start_cell, end_cell },
    { "template", hide, NULL },
    { "textarea", hide, NULL },
    { "th", start_heading_cell, end_cell },
    { "title", hide, NULL },
    { "tr", start_row, NULL },
    { "ul", start_unordered, end_list },
};

static int compare_name(const void *name, const void *element)
{
    return strcasecmp(name, ((const struct element *)element)->name);
}

static const struct element *element_of(const xmlChar *name)
{
    return bsearch(name, elements, sizeof elements / sizeof *elements, sizeof *elements, compare_name);
}

/* ---- what libxml2 calls */

static void on_start(void *context, const xmlChar *name, const xmlChar **attributes)
{
    struct reading *r = context;
    const struct element *element = element_of(name);

    if (r->hidden > 0)
        r->hidden++;
    else if (mangle_html_attributes_hide(attributes))
        r->hidden = 1;
    else if (element && element->start)
        element->start(r, attributes);
}

static void on_end(void *context, const xmlChar *name)
{
    struct reading *r = context;
    const struct element *element = element_of(name);

    if (r->hidden > 0)
        r->hidden--;
    else if (element && element->end)
        element->end(r);
}

static void on_text(void *context, const xmlChar *text, int n)
{
    struct reading *r = context;

    if (r->hidden == 0 && n > 0)
        add_text(r, (const char *)text, (size_t)n);
}

static const xmlSAXHandler handler = { .startElement = on_start, .endElement = on_end, .characters = on_text,
                                       .ignorableWhitespace = on_text };

static void parse(struct reading *r, const char *html, size_t n)
{
    const int options = HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                        HTML_PARSE_NODEFDTD | HTML_PARSE_NOIMPLIED | HTML_PARSE_IGNORE_ENC;
    htmlParserCtxtPtr context = htmlNewParserCtxt();

    if (!context)
        return;
    *context->sax = handler;
    context->userData = r;
    xmlFreeDoc(htmlCtxtReadMemory(context, html, (int)n, NULL, "UTF-8", options));
    htmlFreeParserCtxt(context);
}

void mangle_html_to_text(const char *html, size_t n, struct strbuf *out)
{
    struct reading *r = mem_new(1, sizeof *r);
    struct strbuf *text = &r->places[0].block.text;

    r->places[0] = (struct place){ .kind = PLACE_PAGE, .block = MANGLE_HTML_BLOCK_INIT };
    parse(r, html, n < MANGLE_HTML_MAX ? n : MANGLE_HTML_MAX);
    while (r->depth > 0)
        close_top(r);
    strbuf_add(out, text->data, text->len);
    if (text->len > 0)
        strbuf_addc(out, '\n');
    strbuf_free(text);
    mem_free(r);
}
