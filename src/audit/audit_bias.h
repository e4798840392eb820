// SPDX-License-Identifier: MIT
// To a network that draws a class too large, labels that are too large look better than those that
// are too small. The scores of an audit allow for it: the bias of class c is the median over the
// images in which c is labelled and predicted of Q / L, the expected predicted area by the number
// of labelled pixels (doubt.h says how scores are computed with it). It is 1, and changes nothing,
// for the background, of fewer than AUDIT_BIAS_IMAGES images, and outside of 1/2 to 2, where the
// network has not learned the class rather than its contours.
//
// An error that most labels of a class share cannot be told from a bias of the network: it does not
// lower their scores. Regions are found without the bias.
#ifndef ADELE_AUDIT_AUDIT_BIAS_H
#define ADELE_AUDIT_AUDIT_BIAS_H

#include "audit/audit_table.h"

#define AUDIT_BIAS_IMAGES 8

// After all images, before the rows are sorted: fills table->bias, and the scores of the images and
// classes anew where a class has a bias.
ADELE_MUST_CHECK adele_status audit_bias_remove(struct audit_table *table);
// A line for each class whose bias is a percent or more.
void audit_bias_log(const struct audit_table *table, char *const *names);
#endif
