# SPDX-License-Identifier: MIT
# cmake -DREPORTS=FOLDER -P kernels.cmake: every kernel that a program had ("has NAME", PTX_REPORT) must have
# run in one of them ("ran NAME: ..."). Exceptions stand below, each with its reason; one that ran after all
# must go.
cmake_minimum_required(VERSION 3.22)
set(allowed
  # Only the ways through cuDNN and cuBLAS launch these, and the two are not interpreted.
  "1[57](bias|tensor|filter)_add_kernelI"
  # No case of test_loss has one scale and more than 8 categories.
  "10fused_maskI.*Li(16|24|32)ELi1E"
  # No case of test_aspp fills tiles of 128 channels in TF32 or in rounded bf16.
  "11aspp_kernelIfLi[12]ELi128E"
  )
file(GLOB files ${REPORTS}/*.txt)
set(all "")
set(ran "")
foreach(file ${files})
  file(STRINGS ${file} lines REGEX "^(has|ran) ")
  foreach(line ${lines})
    if(line MATCHES "^has (.*)$")
      list(APPEND all ${CMAKE_MATCH_1})
    elseif(line MATCHES "^ran ([^:]*):")
      list(APPEND ran ${CMAKE_MATCH_1})
    endif()
  endforeach()
endforeach()
list(REMOVE_DUPLICATES all)
list(REMOVE_DUPLICATES ran)
list(LENGTH all n_all)
list(LENGTH ran n_ran)
if(n_all EQUAL 0)
  message(FATAL_ERROR "no reports in ${REPORTS}: run ctest -L ptx")
endif()
set(problems "")
set(n_allowed 0)
foreach(kernel ${all})
  set(is_allowed OFF)
  foreach(pattern ${allowed})
    if(kernel MATCHES "${pattern}")
      set(is_allowed ON)
    endif()
  endforeach()
  list(FIND ran ${kernel} place)
  if(place EQUAL -1 AND is_allowed)
    math(EXPR n_allowed "${n_allowed} + 1")
  elseif(place EQUAL -1)
    string(APPEND problems "  never ran: ${kernel}\n")
  elseif(is_allowed)
    string(APPEND problems "  ran, so it must leave the list of exceptions: ${kernel}\n")
  endif()
endforeach()
message(STATUS "${n_all} kernels, ${n_ran} ran, ${n_allowed} allowed not to")
if(NOT problems STREQUAL "")
  message(FATAL_ERROR "kernels (c++filt reads the names):\n${problems}")
endif()
