# SPDX-License-Identifier: MIT
# cmake -DSCRATCH=FOLDER -P test_kernels.cmake: what kernels.cmake says of made-up reports of two programs.
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE ${SCRATCH})
file(WRITE ${SCRATCH}/ptx_one "a program")
file(WRITE ${SCRATCH}/ptx_two "another one")

function(report program)
  file(SIZE ${SCRATCH}/${program} bytes)
  file(TIMESTAMP ${SCRATCH}/${program} seconds "%s" UTC)
  string(REPLACE ";" "\n" lines "program ${bytes} ${seconds};${ARGN};")
  file(WRITE ${SCRATCH}/${program}.txt "${lines}")
endfunction()

# EXPECTED: a pattern in what it says; "" where it has to pass.
function(check what EXPECTED)
  execute_process(COMMAND ${CMAKE_COMMAND} -DPROGRAM_DIR=${SCRATCH} -DPROGRAMS=ptx_one,ptx_two -DREPORTS=${SCRATCH}
      -DALLOWED=library -P ${CMAKE_CURRENT_LIST_DIR}/kernels.cmake
    RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(EXPECTED STREQUAL "" AND NOT code EQUAL 0)
    message(FATAL_ERROR "${what}: must pass:\n${err}")
  elseif(NOT EXPECTED STREQUAL "" AND (code EQUAL 0 OR NOT err MATCHES "${EXPECTED}"))
    message(FATAL_ERROR "${what}: must say \"${EXPECTED}\":\n${out}${err}")
  endif()
endfunction()

check("without reports" "no report of ptx_one")
report(ptx_one "has a" "has b" "has library" "ran a: launches 1")
report(ptx_two "has a" "has b" "has library" "ran b: launches 2")
check("all ran" "")
report(ptx_two "has a" "has b" "has library" "has new" "ran b: launches 2")
check("a new kernel" "never ran: new")
report(ptx_two "has a" "has b" "has library" "ran b: launches 2" "ran library: launches 1")
check("an exception that ran" "ran, so it must leave the list of exceptions: library")
report(ptx_one "has a" "has b" "ran a: launches 1")
report(ptx_two "has a" "has b" "ran b: launches 2")
check("an exception that is gone" "is no kernel, so it must leave the list of exceptions: library")
report(ptx_one "has a" "has b" "has library" "ran a: launches 1")
check("all ran again" "")
file(APPEND ${SCRATCH}/ptx_two ", built again")
check("a report of an earlier build" "the report of ptx_two is of another build")
