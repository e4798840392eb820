# SPDX-License-Identifier: MIT
# What is distributed: manual pages, completion, an installation that programs are built against, Dockerfiles.
set(folder ${CMAKE_CURRENT_SOURCE_DIR}/packaging)
add_test(NAME packaging_manuals COMMAND ${folder}/check-manuals $<TARGET_FILE:adele_cli> ${PROJECT_BINARY_DIR}/manuals)
add_test(NAME packaging_completion COMMAND ${folder}/check-completion $<TARGET_FILE:adele_cli>)
add_test(NAME packaging_install
  COMMAND ${folder}/check-install ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER})
add_test(NAME packaging_dockerfiles COMMAND ${folder}/check-dockerfiles ${PROJECT_SOURCE_DIR})
set(tests packaging_manuals packaging_completion packaging_install packaging_dockerfiles)
set_tests_properties(${tests} PROPERTIES LABELS packaging TIMEOUT 600 ENVIRONMENT "${ADELE_TEST_ENVIRONMENT}")
add_test(NAME cli_includes COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/cli/check-includes ${PROJECT_SOURCE_DIR})
set_tests_properties(cli_includes PROPERTIES LABELS cli)
if(ADELE_SANITIZE OR ADELE_COVERAGE)
  # A program would have to be linked with their runtimes too, which pkg-config does not name.
  set_tests_properties(packaging_install PROPERTIES DISABLED TRUE)
endif()
if(NOT ADELE_HAVE_CUDA AND CMAKE_GENERATOR STREQUAL "Ninja")
  add_test(NAME packaging_cuda_headers COMMAND ${folder}/check-cuda-headers ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  set_tests_properties(packaging_cuda_headers PROPERTIES LABELS packaging)
endif()
