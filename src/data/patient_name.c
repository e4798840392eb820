// SPDX-License-Identifier: MIT
#include "data/patient_name.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool is_year(const char *text, size_t bytes) {
    if (bytes != 4 || (strncmp(text, "19", 2) != 0 && strncmp(text, "20", 2) != 0))
        return false;
    return isdigit((unsigned char)text[2]) && isdigit((unsigned char)text[3]);
}

size_t patient_name_bytes(const char *name) {
    size_t bytes = 0;
    for (size_t i = 0; name[i] != '\0'; i++)
        if (name[i] == '_' || name[i] == '-')
            bytes = i;
    if (bytes == 0)
        return 0;
    const char *slice = name + bytes + 1;
    size_t letters = 0;
    while (isalpha((unsigned char)slice[letters]))
        letters++;
    size_t digits = strspn(slice + letters, "0123456789");
    if (letters > 5 || digits == 0 || slice[letters + digits] != '\0')
        return 0;
    bool has_digit = false;
    for (size_t i = 0; i < bytes; i++)
        has_digit = has_digit || isdigit((unsigned char)name[i]);
    return has_digit && !is_year(name, bytes) ? bytes : 0;
}
