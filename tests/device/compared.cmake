# SPDX-License-Identifier: MIT
# cmake -DNM=... -DROWS=FILE -P compared.cmake: the test of every op calls the op's reference, or makes problem_OP and
# calls op_check_PASS (tests/support/op_run.h). A row of FILE is an op, 1 where it has a backward pass, the object of
# its test, and that of tests/support/OP_problem.c where several tests share it, with | between them. The latter counts
# if the test calls its OP_check.
cmake_minimum_required(VERSION 3.22)
file(STRINGS ${ROWS} rows)
foreach(row ${rows})
  string(REPLACE "|" ";" row "${row}")
  list(GET row 0 op)
  list(GET row 1 has_backward)
  list(GET row 2 object)
  execute_process(COMMAND ${NM} -u ${object} OUTPUT_VARIABLE called COMMAND_ERROR_IS_FATAL ANY)
  list(LENGTH row n_fields)
  if(n_fields GREATER 3 AND called MATCHES "[ \t]${op}_check\n")
    list(GET row 3 shared)
    execute_process(COMMAND ${NM} -u ${shared} OUTPUT_VARIABLE called_there COMMAND_ERROR_IS_FATAL ANY)
    string(APPEND called "${called_there}")
  endif()
  set(passes forward)
  if(has_backward)
    list(APPEND passes backward)
  endif()
  foreach(pass ${passes})
    if(NOT called MATCHES "[ \t]reference_${op}_${pass}\n"
        AND NOT (called MATCHES "[ \t]problem_${op}\n" AND called MATCHES "[ \t]op_check_${pass}\n"))
      message(SEND_ERROR "tests/device/test_${op}.c does not compare ${pass} with reference_${op}_${pass}")
    endif()
  endforeach()
endforeach()
list(LENGTH rows n)
message(STATUS "${n} ops are compared with their references")
