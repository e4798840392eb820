# SPDX-License-Identifier: MIT
# ctest -j begins with the tests of the highest COST, and on a first run knows no seconds of them: with the long ones
# last, it would end with one test alone on one core. What is in no row takes less. Tests of ops on the interpreter of
# PTX (ptx_<op>) and in the emulator's checked build (race_<op>) that have a row get the label slow.
set(ADELE_COSTS # seconds, about; the first pattern that fits
  "^(ptx_network_|test_faults$)=100"
  "^(test_mpi_(faults|kills|same_bytes|hosts)|simt_mpi_same_bytes)$=90"
  "^(ptx_(network|conv2d(_kernels|_hopper|_scales)?(_backward|_shuffled)?)|race_conv2d(_kernels|_hopper|_scales)?|simt_strict_run|test_simt_parts)$=60"
  "^test_selftest_(kernels|process|training)$|^simt_mutant_split_|(^test|_)simt_run$|^gpu_check_dry_run$|^isa_.*_golden_deeplab|^simt_network(_training)?$=60"
  "^(test_(mpi_(start|folds|verbs)|ranks|train_ranks|train_ranks_end|parts_ranks|epoch_ranks|label_exchange)|.*_exchange)$=30"
  "^ptx_(selftest|selftest_all_but_one|packing.*|conv2d_weight.*|batch_norm.*|loss.*|crf.*|run.*)$=30"
  "^(simt_(packing|conv2d|conv2d_hopper|conv2d_kernels)|race_(batch_norm|aspp|loss)|isa_.*_networks|test_(corruption|report))$=30"
  "^(golden_deeplab.*|isa_.*_(nan_culprit|resume|trainer.*)|simt_(plan_slices|golden_unet_w8)|fuzz_.*)$=20"
  "^(test_(cli_.*|patches|table|parts|output_(guard|again)|init_(cli|file)|audit(_folds)?|resume|trainer_.*|nan.*)|simt_(aspp|dice|loss|device))$=20"
  "^(test_(volume_pipeline|page_browser|large_pictures|isa|isa_qemu)|race_(pack|crf)|instructions|simt_aspp.*|ptx_(aspp|plan_slices|deeplab_devices).*)$=15")

# adele_cost(TEST OUT): its seconds; 0 where it has no row.
function(adele_cost test out)
  set(${out} 0 PARENT_SCOPE)
  foreach(row ${ADELE_COSTS})
    string(REGEX MATCH "^(.*)=([0-9]+)$" row "${row}")
    set(seconds ${CMAKE_MATCH_2})
    if(test MATCHES "${CMAKE_MATCH_1}")
      set(${out} ${seconds} PARENT_SCOPE)
      break()
    endif()
  endforeach()
endfunction()

# adele_slow_op(TEST): the label slow, where the test has a row.
function(adele_slow_op test)
  adele_cost(${test} seconds)
  if(seconds)
    adele_label(${test} slow)
  endif()
endfunction()

# For the tests of the current folder: ctest takes properties of no others.
function(adele_set_costs)
  get_property(tests DIRECTORY PROPERTY TESTS)
  foreach(test ${tests})
    adele_cost(${test} seconds)
    if(seconds)
      set_tests_properties(${test} PROPERTIES COST ${seconds})
    endif()
  endforeach()
endfunction()
