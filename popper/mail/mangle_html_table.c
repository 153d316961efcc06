/*
 * mangle_html_table: see mangle_html_table.h. Cells stand in one array in the order in which they came; rows are where
 * the row number changes.
 */
#include "mail/mangle_html_table.h"

#include <glib.h>
#include <string.h>

#include "common/mem.h"
#include "mail/mangle_text.h"

#define COLUMNS_MAX 16   /* side by side; more is no table that fits */
#define SPAN_MAX 16

struct cell {
    char *text;
    size_t row, column, width;
    bool heading, lines; /* it has several */
};

struct mangle_html_table {
    struct cell *cells;
    size_t count, cap;
    size_t row, column;  /* of the next cell */
};

struct mangle_html_table *mangle_html_table_new(void)
{
    return mem_new(1, sizeof(struct mangle_html_table));
}

void mangle_html_table_free(struct mangle_html_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        mem_free(table->cells[i].text);
    mem_free(table->cells);
    mem_free(table);
}

void mangle_html_table_row(struct mangle_html_table *table)
{
    if (table->column > 0)
        table->row++;
    table->column = 0;
}

static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char(text);

        width += c == MANGLE_TEXT_FIXED || g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
    }
    return width;
}

void mangle_html_table_cell(struct mangle_html_table *table, const char *text, size_t n, size_t span, bool heading)
{
    struct cell *cell;

    if (n > 0) {
        mem_reserve(&table->cells, &table->cap, table->count + 1, sizeof *table->cells);
        cell = &table->cells[table->count++];
        *cell = (struct cell){ .text = mem_strndup(text, n), .row = table->row, .column = table->column,
                               .heading = heading, .lines = memchr(text, '\n', n) != NULL };
        cell->width = g_utf8_validate(cell->text, -1, NULL) ? width_of(cell->text) : n;
    }
    table->column += span < SPAN_MAX ? span : SPAN_MAX;
}

/* ---- as text */

struct shape {
    size_t width[COLUMNS_MAX]; /* of a column with something in it; others are 0 */
    size_t columns, total;     /* those that have something; columns with blanks between */
    bool side_by_side, rows;   /* no cell has several lines, and they fit; ... and there are several columns */
};

static struct shape shape_of(const struct mangle_html_table *table)
{
    struct shape shape = { .rows = true };
    bool fits = true;

    for (size_t i = 0; i < table->count; i++) {
        const struct cell *cell = &table->cells[i];

        shape.rows = shape.rows && !cell->lines;
        fits = fits && cell->column < COLUMNS_MAX;
        if (cell->column < COLUMNS_MAX && shape.width[cell->column] < cell->width)
            shape.width[cell->column] = cell->width;
    }
    for (size_t i = 0; i < COLUMNS_MAX; i++) {
        shape.columns += shape.width[i] > 0;
        shape.total += shape.width[i] > 0 ? shape.width[i] + 2 : 0;
    }
    shape.side_by_side = shape.rows && fits && shape.total <= MANGLE_TEXT_COLUMNS && shape.columns > 1;
    return shape;
}

static void add_blanks(struct strbuf *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        strbuf_addc(line, ' ');
}

/* The cells from `at` on that are in the same row. */
static size_t row_end(const struct mangle_html_table *table, size_t at)
{
    size_t end = at;

    while (end < table->count && table->cells[end].row == table->cells[at].row)
        end++;
    return end;
}

static void print_aligned_row(const struct mangle_html_table *table, const struct shape *shape, size_t at, size_t end,
                              struct mangle_html_block *b)
{
    struct strbuf line = STRBUF_INIT(MANGLE_HTML_BLOCK_MAX);
    size_t column = 0, due = 0;

    strbuf_addc(&line, MANGLE_TEXT_FIXED);
    for (; at < end; at++) {
        const struct cell *cell = &table->cells[at];

        for (; column < cell->column; column++) {
            due += shape->width[column] > 0 ? shape->width[column] + 2 : 0;
        }
        add_blanks(&line, due);
        strbuf_adds(&line, cell->text);
        due = shape->width[column] - cell->width + 2;
        column++;
    }
    mangle_html_block_gap(b, 1);
    mangle_html_block_add_lines(b, line.data, line.len, "", "");
    strbuf_free(&line);
}

static void print_rule(const struct shape *shape, struct mangle_html_block *b)
{
    struct strbuf line = STRBUF_INIT(4 * MANGLE_TEXT_COLUMNS);

    strbuf_addc(&line, MANGLE_TEXT_FIXED);
    for (size_t i = 0; i + 2 < shape->total; i++)
        strbuf_addc(&line, '-');
    mangle_html_block_gap(b, 1);
    mangle_html_block_add_lines(b, line.data, line.len, "", "");
    strbuf_free(&line);
}

/* "a | b", or one after the other when a cell has lines. */
static void print_loose_row(const struct mangle_html_table *table, size_t at, size_t end, struct mangle_html_block *b)
{
    bool lines = false;

    for (size_t i = at; i < end; i++)
        lines = lines || table->cells[i].lines;
    mangle_html_block_gap(b, 1);
    for (size_t i = at; i < end; i++) {
        const struct cell *cell = &table->cells[i];

        if (lines)
            mangle_html_block_gap(b, cell->lines ? 2 : 1);
        else if (i > at)
            mangle_html_block_add(b, " | ", 3);
        mangle_html_block_add_lines(b, cell->text, strlen(cell->text), !lines && i > at ? " " : "", "");
        if (lines)
            mangle_html_block_gap(b, cell->lines ? 2 : 1);
    }
}

static bool all_headings(const struct mangle_html_table *table, size_t at, size_t end)
{
    while (at < end && table->cells[at].heading)
        at++;
    return at == end;
}

void mangle_html_table_print(const struct mangle_html_table *table, struct mangle_html_block *b)
{
    struct shape shape = shape_of(table);

    mangle_html_block_gap(b, shape.columns > 1 ? 2 : 1);
    for (size_t at = 0, end; at < table->count; at = end) {
        end = row_end(table, at);
        if (shape.side_by_side)
            print_aligned_row(table, &shape, at, end, b);
        else
            print_loose_row(table, at, end, b);
        if (shape.side_by_side && at == 0 && end < table->count && all_headings(table, at, end))
            print_rule(&shape, b);
    }
    mangle_html_block_gap(b, shape.columns > 1 ? 2 : 1);
}
