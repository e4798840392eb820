# SPDX-License-Identifier: MIT
# ctest -L isa: numerical tests, once for each instruction set that the processor has. The test NAME
# itself uses the best set; isa_SET_NAME uses the named one, and is skipped where the processor lacks
# the set or where it is the best one. Not in builds with sanitizers: each test takes several times
# as long there, and the sets differ in values, not in memory accesses.
set(ADELE_ISA_SETS sse41 avx2 avx512 avx512_bf16)
if(ADELE_SANITIZE)
  set(ADELE_ISA_SETS)
endif()
set(ADELE_ISA_TESTS ${ADELE_DEVICE_TESTS} conv2d_first_layer conv2d_winograd values bf16_tensors networks deeplab inference inference_crf
    trainer trainer_ends trainer_variants trainer_voc trainer_memory own_size resume determinism nan nan_culprit)
list(REMOVE_ITEM ADELE_ISA_TESTS deeplab_devices) # compares another device with the CPU
# Whole networks and trainings, which have the label slow: the tests of the ops run each kernel of a set.
set(ADELE_ISA_SLOW network network_training networks packing plan_slices deeplab trainer trainer_ends trainer_variants trainer_voc trainer_memory
    own_size resume determinism nan nan_culprit golden_deeplabv1_resnet38d simt_run)

add_executable(with_isa cpu/with_isa.c)
target_include_directories(with_isa PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(with_isa PRIVATE adele adele_flags)

# adele_isa_test(NAME TEST COMMAND...): one test for each set, beside that TEST.
function(adele_isa_test name test)
  adele_label(${test} isa)
  foreach(set ${ADELE_ISA_SETS})
    add_test(NAME isa_${set}_${name} COMMAND with_isa ${set} ${ARGN})
    set_tests_properties(isa_${set}_${name} PROPERTIES LABELS isa TIMEOUT 1800
      SKIP_RETURN_CODE 77 ENVIRONMENT "${ADELE_TEST_ENVIRONMENT}")
    if(name IN_LIST ADELE_ISA_SLOW)
      adele_label(isa_${set}_${name} slow)
    endif()
  endforeach()
endfunction()

foreach(stem ${ADELE_ISA_TESTS})
  adele_isa_test(${stem} test_${stem} $<TARGET_FILE:test_${stem}>)
endforeach()
foreach(row ${ADELE_GOLDENS})
  string(REPLACE "=" ";" row ${row})
  list(GET row 0 stem)
  list(GET row 1 file)
  get_filename_component(name ${file} NAME_WE)
  if(NOT stem MATCHES "onset|noise") # which use no device
    adele_isa_test(golden_${name} golden_${name} $<TARGET_FILE:golden_${stem}> ${file})
  endif()
endforeach()
# These compare the emulated GPU with the CPU device; what compares two runs on the emulator is the same with every set.
if(ADELE_SIMT)
  adele_isa_test(simt_run test_simt_run $<TARGET_FILE:test_simt_run> "*_agree")
  foreach(set ${ADELE_ISA_SETS})
    set_tests_properties(isa_${set}_simt_run PROPERTIES FAIL_REGULAR_EXPRESSION "Running 0 test")
  endforeach()
  set(with_simt ${CMAKE_COMMAND} -E env ADELE_TEST_DEVICES=simt)
  adele_isa_test(simt_deeplab_devices simt_deeplab_devices ${with_simt} $<TARGET_FILE:test_deeplab_devices>)
endif()

# The ops whose kernels compute the same bits with every set: test_isa runs their tests with each.
# Those that multiply matrices do not, and pack prepares what they multiply; count has integers alone.
set(ADELE_ISA_SAME_BITS ${ADELE_OP_TESTS})
list(REMOVE_ITEM ADELE_ISA_SAME_BITS ${ADELE_MULTIPLYING} pack count)
list(JOIN ADELE_ISA_SAME_BITS " " same_bits)
target_compile_definitions(test_isa PRIVATE ADELE_ISA_SAME_BITS="${same_bits}"
  ADELE_TEST_FOLDER="$<TARGET_FILE_DIR:test_isa>")
foreach(stem ${ADELE_ISA_SAME_BITS})
  add_dependencies(test_isa test_${stem})
endforeach()
adele_label(test_isa isa)

# What every function of the library declares by its name. Options of a user such as -march=native put other instructions
# into all of them.
if(Python3_Interpreter_FOUND AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT CMAKE_C_FLAGS MATCHES "-m(arch|avx)")
  add_test(NAME instructions COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_SOURCE_DIR}/cpu/test_instructions.py
    $<TARGET_FILE:adele> $<$<CONFIG:Release>:--release>)
  set_tests_properties(instructions PROPERTIES LABELS isa TIMEOUT 300)
endif()

# The program on an emulated processor without AVX. The emulator is an optional package, and does not
# support the shadow memory of sanitizers.
target_compile_definitions(test_isa_qemu PRIVATE
  ADELE_TEST_FOLDER="$<TARGET_FILE_DIR:test_isa_qemu>")
add_dependencies(test_isa_qemu test_add test_global_pool test_batch_norm test_sgd
  test_ensemble)
adele_label(test_isa_qemu isa)
set_tests_properties(test_isa_qemu PROPERTIES SKIP_REGULAR_EXPRESSION "there is no qemu-x86_64 here")
if(TARGET adele_cli)
  add_dependencies(test_isa adele_cli)
  add_dependencies(test_isa_qemu adele_cli)
endif()
if(ADELE_SANITIZE OR NOT TARGET adele_cli OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_tests_properties(test_isa_qemu PROPERTIES DISABLED TRUE)
endif()
