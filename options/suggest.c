/* Owns finding the word that a mistyped word was meant to be. */
#include <ctype.h>
#include <string.h>

#include "options/options.h"

#define WORD_MAX 40u

/* The letters to compare: without dashes in front, "_" for "-". */
static size_t plain(const char *word, char *to) {
    size_t n = 0;
    while (*word == '-') word++;
    for (; *word && *word != '=' && n < WORD_MAX; word++) to[n++] = *word == '-' ? '_' : (char)tolower((unsigned char)*word);
    return n;
}

/* How many letters must be added, removed, replaced or swapped with their neighbour. */
static unsigned distance(const char *a, size_t n, const char *b, size_t m) {
    unsigned rows[3][WORD_MAX + 1]; /* of i - 2, i - 1 and i in turn */
    for (unsigned j = 0; j <= m; j++) rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *options_suggest(const char *word, const char *const *names, size_t n) {
    char wrong[WORD_MAX], right[WORD_MAX];
    size_t len = plain(word, wrong);
    const char *found = NULL;
    unsigned least = len < 3 ? 0 : len < 6 ? 1 : len < 12 ? 2 : 3; /* a longer word may differ more */
    for (size_t i = 0; i < n; i++) {
        size_t m = plain(names[i], right);
        if (m < 3 && m != len) continue;
        unsigned d = distance(wrong, len, right, m);
        if (d > least || (found && d == least)) continue;
        least = d;
        found = names[i];
    }
    return found;
}
