# SPDX-License-Identifier: MIT
# cmake -DNAME=... -DSOURCE=cuda/conv2d/conv2d_tile.cuh -DOUT=... -P mutate.cmake: writes a copy of the source with one
# mistake. The text that is replaced must stand there exactly once.
cmake_minimum_required(VERSION 3.22)
set(weak_wait_from [[cp_async_wait<CONV2D_STAGES - 2>();]])
set(weak_wait_to [[cp_async_wait<CONV2D_STAGES - 1>();]])
set(no_barrier_from [[__syncthreads(); // this step's stage is whole, and the one before it is no longer read]])
set(no_barrier_to "")
set(no_last_barrier_from [[__syncthreads(); // the stages become the tile]])
set(no_last_barrier_to "")
set(wrong_row_from [[int row_a = m_first() + lane % 16;]])
set(wrong_row_to [[int row_a = m_first() + lane % 8 + lane / 16 * 8;]])

if("${${NAME}_from}" STREQUAL "")
  message(FATAL_ERROR "no mutant of the name ${NAME}")
endif()
file(READ ${SOURCE} text)
string(FIND "${text}" "${${NAME}_from}" first)
string(FIND "${text}" "${${NAME}_from}" last REVERSE)
if(first EQUAL -1 OR NOT first EQUAL last)
  message(FATAL_ERROR "${SOURCE}: \"${${NAME}_from}\" must stand there once: mend the mutant ${NAME} in mutate.cmake")
endif()
string(REPLACE "${${NAME}_from}" "${${NAME}_to}" text "${text}")
file(WRITE ${OUT} "${text}")
