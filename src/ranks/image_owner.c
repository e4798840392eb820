// SPDX-License-Identifier: MIT
#include "ranks/image_owner.h"

#include "base/fail.h"
#include "base/memory.h"
#include "base/random.h"

void image_owners_of_shares(int n_images, int batch, int n_ranks, int *owners) {
    for (int r = 0; r < n_ranks; r++) {
        struct image_share share = image_share_of(n_images, batch, r, n_ranks);
        for (int i = share.first; i < share.end; i++)
            owners[i] = r;
    }
}

// Owners of the images in the first n_steps batches of an epoch's order, for those that have none
// (-1) yet. Neighbouring parts of a batch are one rank's, and all parts have the same size.
static void set_owners(const struct epoch_batches *batches, const int *order, int n_steps,
                       int n_ranks, int *owners) {
    for (int s = 0; s < n_steps; s++) {
        const int *ids = order + (size_t)s * (size_t)batches->batch;
        int n = s == batches->n_steps - 1 ? batches->n_last_images : batches->batch;
        for (int i = 0; i < n; i++)
            if (owners[ids[i]] < 0)
                owners[ids[i]] = (int)((int64_t)i * n_ranks / n);
    }
}

static bool is_any_missing(int n_images, const int *owners) {
    for (int i = 0; i < n_images; i++)
        if (owners[i] < 0)
            return true;
    return false;
}

// Images that this epoch has not reached are those of the epochs before, the last of which counts.
adele_status image_owners_of_training(const struct epoch_batches *batches, uint64_t seed, int epoch,
                                      int n_steps, int n_images, int n_ranks, int *owners) {
    OWNED int *order = NULL;
    TRY(ALLOCATE(&order, n_images));
    for (int i = 0; i < n_images; i++)
        owners[i] = -1;
    for (int e = epoch; e > 0 && is_any_missing(n_images, owners); e--) {
        random_permutation(seed, RANDOM_ORDER, (uint32_t)e, n_images, order);
        set_owners(batches, order, e == epoch ? n_steps : batches->n_steps, n_ranks, owners);
    }
    for (int i = 0; i < n_images; i++)
        owners[i] = owners[i] < 0 ? 0 : owners[i];
    return ADELE_OK;
}

bool image_owners_next_others(const int *owners, int n_images, int rank,
                              struct image_share *range) {
    int i = range->end;
    while (i < n_images && owners[i] == rank)
        i++;
    range->first = i;
    while (i < n_images && owners[i] != rank)
        i++;
    range->end = i;
    return range->first < range->end;
}
