# SPDX-License-Identifier: MIT
# Finds oneDNN (DNNL_LIBRARY, DNNL_INCLUDE, ADELE_ONEDNN_VERSION) and checks that its version is one of those
# that src/cpu/onednn.c supports. The version is read from the header, because packages of 2.x have no CMake files or broken ones.
set(ADELE_ONEDNN_HELP "Install oneDNN 2.5 or newer, below 4, with its headers (Debian and Ubuntu: libdnnl-dev, \
Fedora: onednn-devel, Arch: onednn; tools/install-packages does it), or give -DDNNL_LIBRARY=FILE and \
-DDNNL_INCLUDE=FOLDER, the one that holds oneapi/dnnl/dnnl.h.")

find_library(DNNL_LIBRARY dnnl)
find_path(DNNL_INCLUDE oneapi/dnnl/dnnl_version.h)
if(NOT DNNL_LIBRARY OR NOT DNNL_INCLUDE)
  message(FATAL_ERROR "oneDNN was not found: library ${DNNL_LIBRARY}, headers ${DNNL_INCLUDE}. ${ADELE_ONEDNN_HELP}")
endif()

file(STRINGS ${DNNL_INCLUDE}/oneapi/dnnl/dnnl_version.h lines REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH) ")
set(ADELE_ONEDNN_VERSION)
foreach(line ${lines})
  string(REGEX MATCH "[0-9]+$" number "${line}")
  list(APPEND ADELE_ONEDNN_VERSION ${number})
endforeach()
list(JOIN ADELE_ONEDNN_VERSION "." ADELE_ONEDNN_VERSION)
if(ADELE_ONEDNN_VERSION VERSION_LESS 2.5 OR NOT ADELE_ONEDNN_VERSION VERSION_LESS 4)
  message(FATAL_ERROR "oneDNN ${ADELE_ONEDNN_VERSION} was found in ${DNNL_INCLUDE}, and adele knows 2.5 to 3.x. "
          "${ADELE_ONEDNN_HELP}")
endif()
message(STATUS "oneDNN ${ADELE_ONEDNN_VERSION} (${DNNL_LIBRARY})")
