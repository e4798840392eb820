# SPDX-License-Identifier: MIT
# cmake -DPROGRAM=ptx_adele -DPLANT=FAULT:TEXT -DFAULT=wrong|crashed|hung -DFAMILY=... -DONLY=LIST -DSCRATCH=FOLDER
# -P selftest.cmake: the self-test of those families on the interpreter, with a fault planted (PTX_PLANT, ptx.h), leaves
# out the family of that kernel and no other. PLANT "": all pass. ONLY "": all families; then `info` names the verdict.
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE ${SCRATCH})
file(MAKE_DIRECTORY ${SCRATCH})
set(ENV{XDG_CACHE_HOME} ${SCRATCH})
if(NOT PLANT STREQUAL "")
  set(ENV{PTX_PLANT} ${PLANT})
endif()
set(only "")
if(NOT ONLY STREQUAL "")
  set(only --only ${ONLY})
endif()
# More seconds than it can take: time is to end what hangs alone.
execute_process(COMMAND ${PROGRAM} selftest --device cuda:0 --seconds 1500 ${only}
  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
message(STATUS "${out}${err}")
if(PLANT STREQUAL "")
  if(NOT code EQUAL 0 OR NOT out MATCHES " kernel families tested, 0 left out\n")
    message(FATAL_ERROR "all kernels are right, and the self-test ended with ${code}")
  endif()
elseif(NOT code EQUAL 1 OR NOT out MATCHES "(^|\n)${FAULT} +${FAMILY}: " OR
       NOT out MATCHES " kernel families tested, 1 left out: ${FAMILY}\n$")
  message(FATAL_ERROR "${PLANT}: ${FAMILY} must be found to be ${FAULT}, and nothing else")
endif()

# The verdict of a whole test is kept.
if(ONLY STREQUAL "" AND NOT PLANT STREQUAL "")
  set(ENV{PTX_PLANT} "")
  unset(ENV{PTX_PLANT})
  execute_process(COMMAND ${PROGRAM} info RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  message(STATUS "${out}${err}")
  if(NOT code EQUAL 0 OR NOT out MATCHES "leaves out faulty kernels: ${FAMILY}\n")
    message(FATAL_ERROR "info must name the family that is left out")
  endif()
endif()
