# SPDX-License-Identifier: MIT
# ctest -L mpi: tests/mpi starts trainings by mpirun.
file(GLOB MPI_TEST_SOURCES CONFIGURE_DEPENDS mpi/test_*.c)
add_subdirectory(mpi)
foreach(source ${MPI_TEST_SOURCES})
  get_filename_component(test ${source} NAME_WE)
  target_sources(${test} PRIVATE mpi/launch.c)
  target_compile_definitions(${test} PRIVATE
    ADELE_MPIRUN="${ADELE_MPIRUN}" ADELE_NM="${CMAKE_NM}" ADELE_MPI_TESTS="${CMAKE_CURRENT_SOURCE_DIR}/mpi"
    ADELE_MPI_FAULTS="$<IF:$<TARGET_EXISTS:adele_mpi_faults>,${CMAKE_CURRENT_BINARY_DIR}/mpi/libadele_mpi_faults.so,>"
    ADELE_KILL_SHIM="$<IF:$<TARGET_EXISTS:adele_kill_at>,${CMAKE_CURRENT_BINARY_DIR}/libadele_kill_at.so,>"
    ADELE_WITHOUT_MPI="$<IF:$<TARGET_EXISTS:adele_without_mpi>,${CMAKE_CURRENT_BINARY_DIR}/mpi/adele_without_mpi,>"
    ADELE_SIMT_CLI="$<IF:$<TARGET_EXISTS:adele_simt_cli>,${CMAKE_CURRENT_BINARY_DIR}/simt/adele_simt,>")
  foreach(needed adele_cli adele_without_mpi adele_mpi_faults adele_kill_at)
    if(TARGET ${needed})
      add_dependencies(${test} ${needed})
    endif()
  endforeach()
  set_tests_properties(${test} PROPERTIES TIMEOUT 1800)
  # A preloaded library must not come before the sanitizer's.
  if(NOT TARGET adele_mpi_faults OR ADELE_SANITIZE)
    set_tests_properties(${test} PROPERTIES DISABLED TRUE)
  endif()
endforeach()
# These take most of a minute or more each, waiting for ranks that were killed or hang.
foreach(test test_mpi_faults test_mpi_hosts test_mpi_kills)
  if(TARGET ${test})
    adele_label(${test} slow)
  endif()
endforeach()
if(TARGET adele_simt_cli)
  add_dependencies(test_mpi_same_bytes adele_simt_cli)
  add_test(NAME simt_mpi_same_bytes COMMAND test_mpi_same_bytes)
  set_tests_properties(simt_mpi_same_bytes PROPERTIES LABELS "mpi;simt" TIMEOUT 900 SKIP_RETURN_CODE 77
    ENVIRONMENT "${ADELE_TEST_ENVIRONMENT};ADELE_TEST_DEVICES=simt")
  get_test_property(test_mpi_same_bytes DISABLED is_disabled)
  set_tests_properties(simt_mpi_same_bytes PROPERTIES DISABLED "${is_disabled}")
endif()
if(TARGET test_mpi_kills)
  add_custom_target(mpi_kills_1000
    COMMAND ${CMAKE_COMMAND} -E env ADELE_KILLS=1000 ${ADELE_TEST_ENVIRONMENT} $<TARGET_FILE:test_mpi_kills>
    DEPENDS test_mpi_kills USES_TERMINAL VERBATIM)
endif()
