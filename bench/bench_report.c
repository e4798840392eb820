// SPDX-License-Identifier: MIT
// Prints each row as text when it is measured, and all as JSON at the end.
#include "bench.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>
#include <time.h>

static const char *precision_text(enum adele_precision precision) {
    static const char *const texts[] = {[ADELE_PRECISION_FP32] = "fp32",
                                        [ADELE_PRECISION_BF16] = "bf16",
                                        [ADELE_PRECISION_TF32] = "tf32"};
    return texts[precision];
}

void report_header(const struct bench *bench) {
    printf("%s, %s; %d rounds; scale %g\n", bench->device->description,
           precision_text(bench->options.precision), bench->options.n_rounds, bench->options.scale);
    printf("measured ceilings: copy %.1f GB/s, matrix %.3f TFLOP/s (%s)\n",
           1e-9 * bench->copy_bytes_per_s, 1e-12 * bench->flops_per_s, bench->matrix_engine);
    printf("%-62s %-34s %-12s %9s %9s %9s %8s %8s %6s %6s  %s\n", "case", "shape", "engine",
           "median ms", "25 %", "75 %", "GB/s", "TFLOP/s", "% copy", "% mat", "check; peers");
}

static double percent(double part, double whole) {
    return whole > 0.0 ? 100.0 * part / whole : 0.0;
}

void report_row(const struct bench *bench, const struct row *row) {
    double seconds = 1e-3 * row->times.median;
    printf("%-62s %-34s %-12.12s %9.4f %9.4f %9.4f %8.1f %8.3f %6.1f %6.1f  %s", row->name,
           row->shape, row->engine, row->times.median, row->times.quartile_1, row->times.quartile_3,
           1e-9 * row->bytes / seconds, 1e-12 * row->flops / seconds,
           percent(row->bytes / seconds, bench->copy_bytes_per_s),
           percent(row->flops / seconds, bench->flops_per_s), row->checked);
    for (int i = 0; i < MAX_PEERS; i++)
        if (row->peer[i][0])
            printf("; %s %.4f ms, ratio %.3f", row->peer[i], row->peer_ms[i], row->ratio[i]);
    printf("\n");
    fflush(stdout);
}

// ---- JSON ---------------------------------------------------------------------------------------

static void add_row(const struct bench *bench, const struct row *row, cJSON *rows) {
    cJSON *out = cJSON_CreateObject();
    double seconds = 1e-3 * row->times.median;
    cJSON_AddStringToObject(out, "case", row->name);
    cJSON_AddStringToObject(out, "shape", row->shape);
    cJSON_AddStringToObject(out, "engine", row->engine);
    cJSON_AddStringToObject(out, "checked", row->checked);
    cJSON_AddNumberToObject(out, "median_ms", row->times.median);
    cJSON_AddNumberToObject(out, "min_ms", row->times.min);
    cJSON_AddNumberToObject(out, "quartile_1_ms", row->times.quartile_1);
    cJSON_AddNumberToObject(out, "quartile_3_ms", row->times.quartile_3);
    cJSON_AddNumberToObject(out, "max_ms", row->times.max);
    cJSON_AddNumberToObject(out, "flops", row->flops);
    cJSON_AddNumberToObject(out, "bytes", row->bytes);
    cJSON_AddNumberToObject(out, "gb_per_s", 1e-9 * row->bytes / seconds);
    cJSON_AddNumberToObject(out, "tflop_per_s", 1e-12 * row->flops / seconds);
    cJSON_AddNumberToObject(out, "percent_of_copy",
                            percent(row->bytes / seconds, bench->copy_bytes_per_s));
    cJSON_AddNumberToObject(out, "percent_of_matrix",
                            percent(row->flops / seconds, bench->flops_per_s));
    cJSON *peers = cJSON_AddArrayToObject(out, "peers");
    for (int i = 0; i < MAX_PEERS && peers != NULL; i++) {
        if (!row->peer[i][0])
            continue;
        cJSON *peer = cJSON_CreateObject();
        cJSON_AddStringToObject(peer, "engine", row->peer[i]);
        cJSON_AddNumberToObject(peer, "median_ms", row->peer_ms[i]);
        cJSON_AddNumberToObject(peer, "ratio", row->ratio[i]);
        cJSON_AddItemToArray(peers, peer);
    }
    cJSON_AddItemToArray(rows, out);
}

adele_status report_json(const struct bench *bench) {
    cJSON *root = cJSON_CreateObject();
    TRY(CHECK_MEMORY(root));
    char date[32];
    time_t now = time(NULL);
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    cJSON_AddStringToObject(root, "what", "adele-bench " ADELE_VERSION);
    cJSON_AddStringToObject(root, "date", date);
    cJSON_AddStringToObject(root, "device", bench->device->description);
    cJSON_AddStringToObject(root, "precision", precision_text(bench->options.precision));
    cJSON_AddNumberToObject(root, "rounds", bench->options.n_rounds);
    cJSON_AddNumberToObject(root, "scale", bench->options.scale);
    cJSON_AddNumberToObject(root, "copy_gb_per_s", 1e-9 * bench->copy_bytes_per_s);
    cJSON_AddNumberToObject(root, "matrix_tflop_per_s", 1e-12 * bench->flops_per_s);
    cJSON_AddStringToObject(root, "matrix_engine", bench->matrix_engine);
    cJSON_AddNumberToObject(root, "failed", bench->n_failed);
    cJSON *rows = cJSON_AddArrayToObject(root, "rows");
    for (int i = 0; i < bench->n_rows && rows != NULL; i++)
        add_row(bench, &bench->rows[i], rows);
    adele_status status = json_write(bench->options.json, root);
    cJSON_Delete(root);
    return status;
}
