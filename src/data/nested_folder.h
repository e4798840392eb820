// SPDX-License-Identifier: MIT
// Folders of folders, as Cityscapes has them: img_dir/train/CITY/CITY_000001_leftImg8bit.png with
// ann_dir/train/CITY/CITY_000001_gtFine_labelTrainIds.png. They are read where the folder of images
// itself holds no picture.
#ifndef ADELE_DATA_NESTED_FOLDER_H
#define ADELE_DATA_NESTED_FOLDER_H

#include "data/finder.h"

// Adds the names of the cases in the subfolders of ROOT/IMAGES: those of the pictures, without
// "_leftImg8bit"; with the subfolder's name before them unless they begin with it, because several
// subfolders may use the same names.
ADELE_MUST_CHECK adele_status nested_folder_list(struct dataset_finder *finder, const char *images,
                                                 struct file_list *out);
// Finds the image and the mask of a case of that name; item->n_files stays 0 where there is none.
ADELE_MUST_CHECK adele_status nested_folder_locate(const struct dataset *dataset,
                                                   const char *images, const char *masks,
                                                   struct dataset_case *item);
#endif
