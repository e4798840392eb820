// SPDX-License-Identifier: MIT
// How many edits lead from one name to another: by it a message finds the verb, the option or the
// key that a misspelt one most likely means.
#ifndef ADELE_BASE_EDIT_DISTANCE_H
#define ADELE_BASE_EDIT_DISTANCE_H

#define EDIT_DISTANCE_MAX 64 // longer names are compared by their first bytes

// What exchanging two neighbouring characters costs.
enum edit_swap {
    EDIT_SWAP_ONE, // one edit
    EDIT_SWAP_TWO, // as much as replacing both: Levenshtein's distance
};

// The smallest number of insertions, deletions, replacements and swaps that lead from a to b, where
// no character is edited twice.
int edit_distance(const char *a, const char *b, enum edit_swap swap);
// A lower bound that takes less time: the difference of the lengths.
int edit_distance_least(const char *a, const char *b);
#endif
