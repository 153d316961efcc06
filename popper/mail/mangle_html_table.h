/*
 * mangle_html_table: a table's cells, and the table as text: columns side by side where they fit, else "a | b" a row, else
 * (a layout made of tables) the cells one after the other.
 */
#ifndef MAIL_MANGLE_HTML_TABLE_H
#define MAIL_MANGLE_HTML_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "mail/mangle_html_block.h"

struct mangle_html_table;

struct mangle_html_table *mangle_html_table_new(void);
void mangle_html_table_free(struct mangle_html_table *table);

void mangle_html_table_row(struct mangle_html_table *table);

/* The next cell of this row, copied; it takes span columns (1 ..). */
void mangle_html_table_cell(struct mangle_html_table *table, const char *text, size_t n, size_t span, bool heading);

void mangle_html_table_print(const struct mangle_html_table *table, struct mangle_html_block *b);

#endif
