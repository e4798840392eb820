// SPDX-License-Identifier: MIT
#include "adele/log.h"

#include "run/run_log.h"

void adele_log_to(adele_log_function function, void *context) {
    run_log_forward_to(function, context);
}
