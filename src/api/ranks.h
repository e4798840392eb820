// SPDX-License-Identifier: MIT
#ifndef ADELE_API_RANKS_H
#define ADELE_API_RANKS_H

#include "adele/ranks.h"
#include "ranks/ranks.h"

struct adele_ranks {
    struct ranks *ranks;
};
// NULL for NULL.
struct ranks *ranks_of(const struct adele_ranks *ranks);
#endif
