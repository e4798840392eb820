# SPDX-License-Identifier: MIT
# Fuzzers of everything that reads a file (tests/fuzz): ctest -L fuzz runs each for ADELE_FUZZ_SECONDS
# (environment, default 5), the target fuzz-million runs each on a million inputs.
# They have sanitizers of their own: a build with sanitizers would run the same programs again.
if(ADELE_SANITIZE)
  return()
endif()
include(ExternalProject)
set(ADELE_FUZZERS png jpeg tiff bmp exif nifti config safetensors dataset_json splits names onset load scores)
find_program(ADELE_FUZZ_CLANG clang)

set(fuzz_works OFF)
if(ADELE_FUZZ_CLANG)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/try_fuzz.c
       "int LLVMFuzzerTestOneInput(const char *d, long n) { (void)d; return n < 0; }\n")
  execute_process(COMMAND ${ADELE_FUZZ_CLANG} -fsanitize=fuzzer,address,undefined try_fuzz.c -o try_fuzz
                  WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} RESULT_VARIABLE fuzz_failed
                  OUTPUT_QUIET ERROR_QUIET)
  if(fuzz_failed EQUAL 0)
    set(fuzz_works ON)
  endif()
endif()

set(fuzz_folder ${CMAKE_CURRENT_BINARY_DIR}/fuzz)
if(fuzz_works)
  string(REPLACE ";" "|" fuzz_list "${ADELE_FUZZERS}")
  ExternalProject_Add(fuzzers
    SOURCE_DIR ${CMAKE_CURRENT_SOURCE_DIR}/fuzz BINARY_DIR ${fuzz_folder} PREFIX ${fuzz_folder}-project
    LIST_SEPARATOR |
    CMAKE_ARGS -DCMAKE_C_COMPILER=${ADELE_FUZZ_CLANG} -DADELE_FUZZERS=${fuzz_list} -DCMAKE_BUILD_TYPE=None
               -DCMAKE_C_COMPILER_LAUNCHER=${CMAKE_C_COMPILER_LAUNCHER}
    INSTALL_COMMAND "" BUILD_ALWAYS ON)
  set_target_properties(fuzzers PROPERTIES EXCLUDE_FROM_ALL OFF)
endif()

set(fuzz_million)
foreach(name ${ADELE_FUZZERS})
  add_test(NAME fuzz_${name}
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/run ${fuzz_folder}/fuzz_${name})
  set_tests_properties(fuzz_${name} PROPERTIES LABELS fuzz TIMEOUT 900
                       SKIP_REGULAR_EXPRESSION "no clang with libFuzzer here")
  list(APPEND fuzz_million COMMAND ${CMAKE_COMMAND} -E env ADELE_FUZZ_RUNS=1000000
       ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/run ${fuzz_folder}/fuzz_${name})
endforeach()
add_custom_target(fuzz-million ${fuzz_million} USES_TERMINAL VERBATIM)
if(fuzz_works)
  add_dependencies(fuzz-million fuzzers)
endif()
