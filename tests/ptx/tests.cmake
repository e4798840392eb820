# SPDX-License-Identifier: MIT
# Tests of nvcc's output. All have the label ptx; those with the label slow as well are left out by
# tools/test unless it is asked for them or runs in CI.
set(PTX_REPORTS ${CMAKE_CURRENT_BINARY_DIR}/reports)
file(MAKE_DIRECTORY ${PTX_REPORTS})

# An executable like test_<stem>, of the same objects (and of others), with the interpreter below.
add_library(ptx_filter OBJECT filter.c)
target_link_libraries(ptx_filter PRIVATE adele_flags)
function(ptx_executable name stem)
  add_executable(${name} $<TARGET_OBJECTS:${stem}> $<TARGET_OBJECTS:ptx_filter> ${ARGN})
  target_link_libraries(${name} PRIVATE adele_test_support ZLIB::ZLIB)
  set_target_properties(${name} PROPERTIES ADELE_PTX ON CUDA_RUNTIME_LIBRARY None LINKER_LANGUAGE CXX)
endfunction()

# ptx_test(NAME LABELS PROGRAM VARIABLE=VALUE...)
function(ptx_test name labels program)
  add_test(NAME ${name} COMMAND ${program})
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT 1800
    ENVIRONMENT "${ADELE_TEST_ENVIRONMENT};ADELE_TEST_DEVICES=cuda;${ARGN}")
endfunction()

# ---- every op ------------------------------------------------------------------------------------
# For Hopper's kernels, whose PTX is for sm_90a, the interpreted device becomes one of compute capability 9.0.
set(PTX_SETTINGS_conv2d_hopper PTX_SM=90 PTX_MMA=hopper)
set(PTX_SETTINGS_aspp_hopper ${PTX_SETTINGS_conv2d_hopper})
set(PTX_SETTINGS_conv2d_scales ${PTX_SETTINGS_conv2d_hopper})
set(PTX_SETTINGS_conv2d_scales_choice ${PTX_SETTINGS_conv2d_hopper})
set(PTX_SETTINGS_scales_network ${PTX_SETTINGS_conv2d_hopper})
# This compares two runs with the same sums; exact ones take half the time.
set(PTX_SETTINGS_packing PTX_MMA=exact)
foreach(op ${ADELE_DEVICE_TESTS})
  ptx_executable(ptx_${op} test_${op})
  ptx_test(ptx_${op} ptx ptx_${op} ${PTX_SETTINGS_${op}} PTX_REPORT=${PTX_REPORTS}/ptx_${op}.txt)
  adele_slow_op(ptx_${op})
  set_tests_properties(ptx_${op} PROPERTIES FIXTURES_SETUP ptx_ran)
endforeach()
set_tests_properties(ptx_conv2d_hopper ptx_aspp_hopper ptx_conv2d_scales ptx_conv2d_scales_choice ptx_scales_network
  PROPERTIES FAIL_REGULAR_EXPRESSION "SKIPPED")

# A training of the command line's own code, its steps captured into graphs.
ptx_executable(ptx_run test_simt_run)
ptx_test(ptx_run "ptx;slow" ptx_run PTX_REPORT=${PTX_REPORTS}/ptx_run.txt PTX_GRAPH_NODES=100)
set_tests_properties(ptx_run PROPERTIES FIXTURES_SETUP ptx_ran)
ptx_test(ptx_run_lazy "ptx;slow" ptx_run PTX_STREAMS=lazy PTX_CP_ASYNC=early)
ptx_test(ptx_run_mixed "ptx;slow" ptx_run PTX_STREAMS=mixed:3 PTX_ORDER=shuffle:5)

# ---- what hardware is free to do -----------------------------------------------------------------
# The sums of tensor cores and the approximation of exp are chosen together with an order: a result that depends on
# neither of the two does not depend on both. A test's own settings come last and replace these.
set(PTX_ALL_ORDERS ${ADELE_DEVICE_TESTS})
list(REMOVE_ITEM PTX_ALL_ORDERS aspp_hopper conv2d_scales_choice scales_network) # the kernels of conv2d_hopper and conv2d_scales
foreach(op ${PTX_ALL_ORDERS})
  ptx_test(ptx_${op}_backward "ptx;slow" ptx_${op} PTX_ORDER=backward PTX_CP_ASYNC=early PTX_STREAMS=lazy
    PTX_MMA=ampere PTX_EX2=1 ${PTX_SETTINGS_${op}})
  ptx_test(ptx_${op}_shuffled "ptx;slow" ptx_${op} PTX_ORDER=shuffle:7 PTX_CP_ASYNC=either PTX_STREAMS=mixed:3
    PTX_MMA=hopper PTX_EX2=-1 ${PTX_SETTINGS_${op}})
endforeach()

# ---- the witness itself ---------------------------------------------------------------------------
# All kernels of the library ran in some test: ctest -R ptx_kernels runs those tests first.
set(PTX_RAN ${ADELE_DEVICE_TESTS} run)
list(TRANSFORM PTX_RAN PREPEND ptx_)
list(JOIN PTX_RAN "," PTX_RAN)
add_test(NAME ptx_kernels COMMAND ${CMAKE_COMMAND} -DPROGRAM_DIR=${CMAKE_CURRENT_BINARY_DIR}
  -DPROGRAMS=${PTX_RAN} -DREPORTS=${PTX_REPORTS} -P ${PTX_DIR}/kernels.cmake)
set_tests_properties(ptx_kernels PROPERTIES LABELS "ptx;slow" FIXTURES_REQUIRED ptx_ran)
add_test(NAME ptx_kernels_report COMMAND ${CMAKE_COMMAND} -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/kernels
  -P ${PTX_DIR}/test_kernels.cmake)
set_tests_properties(ptx_kernels_report PROPERTIES LABELS ptx)

# No test runs CUDA's own library by mistake.
add_test(NAME ptx_linked COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} -DINTERPRETED=$<TARGET_FILE:ptx_add>
  -DREAL=$<TARGET_FILE:test_add> -P ${PTX_DIR}/linked.cmake)
set_tests_properties(ptx_linked PROPERTIES LABELS ptx)

# What nvcc 12.4 to 13.0 make of a struct that is returned by value.
add_executable(ptx_nvcc_slot nvcc_slot.cu)
target_link_libraries(ptx_nvcc_slot PRIVATE adele_ptx_cudart)
target_compile_options(ptx_nvcc_slot PRIVATE ${ADELE_CUDA_PACKING})
set_target_properties(ptx_nvcc_slot PROPERTIES CUDA_ARCHITECTURES 80-virtual CUDA_RUNTIME_LIBRARY None
  LINKER_LANGUAGE CXX)
add_test(NAME ptx_nvcc_slot COMMAND ptx_nvcc_slot)
set_tests_properties(ptx_nvcc_slot PROPERTIES LABELS ptx)

# Hopper's instructions: against plain loops, and each mistake with them; in the orders that hardware may choose.
function(ptx_hopper name)
  add_executable(ptx_${name} ${name}.cu)
  target_link_libraries(ptx_${name} PRIVATE adele_ptx_cudart)
  target_compile_options(ptx_${name} PRIVATE ${ADELE_CUDA_PACKING})
  set_target_properties(ptx_${name} PROPERTIES CUDA_ARCHITECTURES 90a-virtual CUDA_RUNTIME_LIBRARY None
    LINKER_LANGUAGE CXX)
  foreach(order forward backward shuffle:3)
    string(REGEX REPLACE ":.*" "" suffix ${order})
    add_test(NAME ptx_${name}_${suffix} COMMAND ptx_${name})
    set_tests_properties(ptx_${name}_${suffix} PROPERTIES LABELS ptx TIMEOUT 300
      ENVIRONMENT "PTX_SM=90;PTX_QUIET=1;PTX_ORDER=${order}")
  endforeach()
endfunction()
ptx_hopper(hopper_tma)
ptx_hopper(hopper_wgmma)
ptx_hopper(hopper_copies)

# Mistakes in a kernel (mutate.cmake) that a test must notice. `file` of cuda/conv2d has the mistake, and is `source`
# or a header of it: the mutant's copy is found before the original. Arguments: of CMocka's filter, the environment.
function(ptx_mutant name file source stem architecture)
  set(original ${PROJECT_SOURCE_DIR}/cuda/conv2d/${file})
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/mutants/${name})
  set(mutant ${folder}/conv2d/${file})
  add_custom_command(OUTPUT ${mutant}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DSOURCE=${original} -DOUT=${mutant} -P ${PTX_DIR}/mutate.cmake
    DEPENDS ${original} ${PTX_DIR}/mutate.cmake VERBATIM)
  if(file STREQUAL source)
    set(source ${mutant})
  else()
    set(source ${PROJECT_SOURCE_DIR}/cuda/conv2d/${source} ${mutant})
  endif()
  # Its object comes before the library's, which is then not taken.
  add_library(ptx_mutant_${name}_kernel OBJECT ${source})
  target_include_directories(ptx_mutant_${name}_kernel PRIVATE ${folder} ${PROJECT_SOURCE_DIR}/cuda
    ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  target_compile_definitions(ptx_mutant_${name}_kernel PRIVATE ADELE_HAVE_CUDA)
  target_compile_options(ptx_mutant_${name}_kernel PRIVATE -lineinfo ${ADELE_CUDA_PACKING})
  target_link_libraries(ptx_mutant_${name}_kernel PRIVATE adele_flags)
  set_target_properties(ptx_mutant_${name}_kernel PROPERTIES CUDA_ARCHITECTURES ${architecture}-virtual)
  ptx_executable(ptx_mutant_${name} test_${stem} $<TARGET_OBJECTS:ptx_mutant_${name}_kernel>)
  add_test(NAME ptx_mutant_${name} COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:ptx_mutant_${name}>
    -P ${PTX_DIR}/must_fail.cmake)
  set_tests_properties(ptx_mutant_${name} PROPERTIES LABELS ptx TIMEOUT 600
    ENVIRONMENT "${ADELE_TEST_ENVIRONMENT};ADELE_TEST_DEVICES=cuda;${ARGN}")
endfunction()
set(PTX_MUTANT_CASE test_tf32)
foreach(mistake weak_wait no_barrier no_last_barrier)
  ptx_mutant(${mistake} conv2d_tile.cuh conv2d_mma.cu conv2d 80 PTX_TEST_FILTER=${PTX_MUTANT_CASE})
endforeach()
ptx_mutant(wrong_row conv2d_sums.cuh conv2d_mma.cu conv2d 80 PTX_TEST_FILTER=${PTX_MUTANT_CASE})
foreach(mistake weak_wait adds)
  ptx_mutant(gradient_${mistake} conv2d_hopper_multiply.cuh conv2d_weight_gradient_hopper.cu conv2d_hopper 90a
    ${PTX_SETTINGS_conv2d_hopper} PTX_TEST_FILTER=test_gradients)
endforeach()
foreach(mistake no_fence no_end)
  ptx_mutant(gradient_${mistake} conv2d_weight_gradient_hopper.cu conv2d_weight_gradient_hopper.cu conv2d_hopper 90a
    ${PTX_SETTINGS_conv2d_hopper} PTX_TEST_FILTER=test_gradients)
endforeach()
foreach(mistake first no_fence no_barrier no_end)
  ptx_mutant(split_${mistake} conv2d_hopper.cu conv2d_hopper.cu conv2d_hopper 90a
    ${PTX_SETTINGS_conv2d_hopper} PTX_TEST_FILTER=test_splits)
endforeach()
# The kernel as it is passes the same case.
ptx_test(ptx_mutant_none ptx ptx_conv2d PTX_TEST_FILTER=${PTX_MUTANT_CASE})
set_tests_properties(ptx_mutant_none PROPERTIES FAIL_REGULAR_EXPRESSION "Running 0 test")

# The program itself, to train or to try with on the interpreter.
if(TARGET adele_cli)
  add_executable(ptx_adele $<TARGET_OBJECTS:adele_cli>)
  target_link_libraries(ptx_adele PRIVATE adele adele_flags PkgConfig::CJSON)
  set_target_properties(ptx_adele PROPERTIES ADELE_PTX ON CUDA_RUNTIME_LIBRARY None LINKER_LANGUAGE CXX)
  ptx_test(ptx_info ptx "ptx_adele;info")
  set_tests_properties(ptx_info PROPERTIES PASS_REGULAR_EXPRESSION "interpreted PTX")

  # ptx_selftest(NAME LABELS PLANT FAULT FAMILY ONLY), see selftest.cmake.
  function(ptx_selftest name labels plant fault family only)
    add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:ptx_adele> -DPLANT=${plant}
      -DFAULT=${fault} -DFAMILY=${family} -DONLY=${only} -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/${name}
      -P ${PTX_DIR}/selftest.cmake)
    set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT 1800
      ENVIRONMENT "${ADELE_TEST_ENVIRONMENT};PTX_QUIET=1")
  endfunction()
  # All families with correct kernels, and with a tensor-core kernel that is wrong: minutes each.
  ptx_selftest(ptx_selftest "ptx;slow" "" "" "" "")
  ptx_selftest(ptx_selftest_all_but_one "ptx;slow" wrong:10mma_kernel wrong conv2d_mma "")
  ptx_selftest(ptx_selftest_wrong ptx wrong:decide_kernel wrong decide decide,count)
  ptx_selftest(ptx_selftest_crash ptx crash:pool_backward_halves crashed max_pool add,max_pool,count)
  ptx_selftest(ptx_selftest_hang ptx hang:rescale_forward_tuned hung rescale rescale_plain,rescale,dropout)
endif()
adele_set_costs()
