# SPDX-License-Identifier: MIT
# cmake -DNM=... -DINTERPRETED=... -DREAL=... -P linked.cmake: the first program holds the interpreter and
# nothing of CUDA's runtime library, whose own symbols begin with libcudart_static; the second is
# the other way round, which shows that the check can fail.
cmake_minimum_required(VERSION 3.22)

function(demand program pattern is_wanted)
  execute_process(COMMAND ${NM} ${program} OUTPUT_VARIABLE symbols RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${NM} cannot read ${program}")
  endif()
  string(REGEX MATCH "${pattern}" found "${symbols}")
  if(is_wanted AND "${found}" STREQUAL "")
    message(FATAL_ERROR "${program}: no symbol \"${pattern}\"")
  elseif(NOT is_wanted AND NOT "${found}" STREQUAL "")
    message(FATAL_ERROR "${program}: a symbol \"${found}\"")
  endif()
endfunction()

demand(${INTERPRETED} " T ptx_run" ON)
demand(${INTERPRETED} "libcudart_static" OFF)
demand(${REAL} "libcudart_static" ON)
demand(${REAL} " T ptx_run" OFF)
