// SPDX-License-Identifier: MIT
#include "cli/cli.h"
#include "device/device.h"

#include <argp.h>
#include <stdio.h>

const struct argp info_argp = {0, 0, 0, "Version, build and devices.", 0, 0, 0};

int verb_info(int argc, char **argv) {
    static const char *const names[] = {"cpu", "cuda"};
    argp_err_exit_status = CLI_USAGE;
    argp_parse(&info_argp, argc, argv, 0, 0, 0);
    printf("adele %s\ncompiler: %s\n", ADELE_VERSION, __VERSION__);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct adele_device *device = NULL;
        if (adele_device_open(names[i], ADELE_PRECISION_FP32, &device) == ADELE_OK)
            printf("device %s: %s\n", names[i], device->description);
        else
            printf("device %s: %s\n", names[i], adele_error_message());
        adele_device_close(device);
    }
    return CLI_OK;
}
