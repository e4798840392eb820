// SPDX-License-Identifier: MIT
// JPEG files in memory, for pages. The accurate DCT is used, as in jpeg.c.
#include "base/buffer.h"
#include "base/fail.h"
#include "image/image.h"

#include <turbojpeg.h>

adele_status image_encode_jpeg(const struct image *image, int quality, struct buffer *out) {
    if (image->pixels == NULL || image->width < 1 || image->height < 1 || image->n_bits != 8 ||
        (image->n_channels != 1 && image->n_channels != 3) || quality < 1 || quality > 100)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "a JPEG file of %d x %d pixels, %d channels of %d bits, quality %d",
                    image->width, image->height, image->n_channels, image->n_bits, quality);
    bool is_gray = image->n_channels == 1;
    unsigned char *bytes = NULL;
    unsigned long n_bytes = 0;
    tjhandle handle = tjInitCompress();
    adele_status status = ADELE_OK;
    if (handle == NULL ||
        tjCompress2(handle, image->pixels, image->width, 0, image->height,
                    is_gray ? TJPF_GRAY : TJPF_RGB, &bytes, &n_bytes,
                    is_gray ? TJSAMP_GRAY : TJSAMP_444, quality, TJFLAG_ACCURATEDCT) != 0)
        status = FAIL(ADELE_NO_MEMORY, "Close other programs.", "cannot encode a JPEG file: %s",
                      tjGetErrorStr2(handle));
    if (status == ADELE_OK)
        status = buffer_add(out, bytes, n_bytes);
    tjFree(bytes);
    if (handle != NULL)
        tjDestroy(handle);
    return status;
}
