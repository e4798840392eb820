// SPDX-License-Identifier: MIT
#include "cli/print_json.h"

#include "cli/cli.h"

#include <stdio.h>

int print_json(cJSON *value, bool is_whole) {
    char *text = is_whole ? cJSON_Print(value) : NULL;
    cJSON_Delete(value);
    if (text == NULL) {
        fprintf(stderr, "adele: error: no memory for the JSON text\n"
                        "  hint: Close other programs.\n");
        return CLI_FAILED;
    }
    puts(text);
    cJSON_free(text);
    return CLI_OK;
}

bool print_json_append(cJSON *array, cJSON *item) {
    if (item != NULL && cJSON_AddItemToArray(array, item))
        return true;
    cJSON_Delete(item);
    return false;
}

cJSON *print_json_object(cJSON *array) {
    cJSON *item = cJSON_CreateObject();
    return print_json_append(array, item) ? item : NULL;
}
