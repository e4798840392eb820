# SPDX-License-Identifier: MIT
# cmake -DPROGRAM_DIR=FOLDER -DPROGRAMS=ptx_a,ptx_b -DREPORTS=FOLDER -P kernels.cmake: every kernel that one of the
# programs has ("has NAME", PTX_REPORT) ran in one of them ("ran NAME: ..."). REPORTS/PROGRAM.txt must be there for
# each program, and name the program by the size and time of its file ("program SIZE SECONDS"): a report of an
# earlier build would tell of kernels that are no longer there, or no longer run.
cmake_minimum_required(VERSION 3.22)
# Exactly these do not run. One that ran after all, or that no program has, must leave the list.
if(NOT DEFINED ALLOWED)
  # What stands around the products of cuDNN and cuBLAS and the messages of NCCL, which are not interpreted. They run
  # on the emulator, with stand-ins for the libraries: simt_conv2d and test_simt_exchange compare their results,
  # test_selftest_kernels plants a fault in each but the last.
  set(ALLOWED
    _ZN10adele_cuda15bias_add_kernelIfEEvliiPKfPT_
    _ZN10adele_cuda15bias_add_kernelINS_4bf16EEEvliiPKfPT_
    _ZN10adele_cuda17filter_add_kernelIfEEvNS_12conv2d_shapeEPKT_Pf
    _ZN10adele_cuda17filter_add_kernelINS_4bf16EEEvNS_12conv2d_shapeEPKT_Pf
    _ZN10adele_cuda17tensor_add_kernelIfEEvlPKT_PS1_
    _ZN10adele_cuda17tensor_add_kernelINS_4bf16EEEvlPKT_PS2_
    _ZN10adele_cuda17sum_pieces_kernelElliiPKfPf)
endif()

set(all "")
set(ran "")
set(problems "")
string(REPLACE "," ";" programs "${PROGRAMS}")
foreach(program ${programs})
  set(report ${REPORTS}/${program}.txt)
  if(NOT EXISTS ${report})
    string(APPEND problems "  no report of ${program}: run ctest -R '^${program}$'\n")
    continue()
  endif()
  file(SIZE ${PROGRAM_DIR}/${program} bytes)
  file(TIMESTAMP ${PROGRAM_DIR}/${program} seconds "%s" UTC)
  file(STRINGS ${report} identity REGEX "^program ")
  if(NOT identity STREQUAL "program ${bytes} ${seconds}")
    string(APPEND problems "  the report of ${program} is of another build: run ctest -R '^${program}$'\n")
    continue()
  endif()
  file(STRINGS ${report} lines REGEX "^(has|ran) ")
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
list(LENGTH ALLOWED n_allowed)
if(n_all EQUAL 0)
  string(APPEND problems "  no kernel is known\n")
endif()

foreach(kernel ${all})
  if(NOT kernel IN_LIST ran AND NOT kernel IN_LIST ALLOWED)
    string(APPEND problems "  never ran: ${kernel}\n")
  elseif(kernel IN_LIST ran AND kernel IN_LIST ALLOWED)
    string(APPEND problems "  ran, so it must leave the list of exceptions: ${kernel}\n")
  endif()
endforeach()
foreach(kernel ${ALLOWED})
  if(NOT kernel IN_LIST all)
    string(APPEND problems "  is no kernel, so it must leave the list of exceptions: ${kernel}\n")
  endif()
endforeach()
message(STATUS "${n_all} kernels, ${n_ran} ran, ${n_allowed} allowed not to")
if(NOT problems STREQUAL "")
  message(FATAL_ERROR "kernels (c++filt reads the names):\n${problems}")
endif()
