# SPDX-License-Identifier: MIT
# cmake -DPROGRAM=... -P must_fail.cmake: passes when the CMocka program ends with a failed test. A crash, or
# a program that could not run, is no failed test.
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND ${PROGRAM} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
if(NOT code MATCHES "^[0-9]+$" OR code EQUAL 0 OR NOT out MATCHES "\\[  FAILED  \\]")
  message(FATAL_ERROR "${PROGRAM} must end with a failed test, it ended with ${code}:\n${out}\n${err}")
endif()
string(REGEX MATCHALL "\\[  FAILED  \\] [a-z0-9_]+" failed "${out}")
message(STATUS "noticed: ${failed}")
