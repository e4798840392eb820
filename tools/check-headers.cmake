# SPDX-License-Identifier: MIT
# Compiles every header alone: as C11, and those that CUDA files share (include/, device/) as C++ too.
foreach(header ${HEADERS})
  execute_process(COMMAND ${CC} -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -Wall -Wextra -Werror
                          -fsyntax-only -I${ROOT}/include -I${ROOT}/src -x c ${ROOT}/${header}
                  RESULT_VARIABLE result ERROR_VARIABLE errors)
  if(result)
    message(FATAL_ERROR "${header} does not compile alone as C11:\n${errors}")
  endif()
  if(header MATCHES "^include/|^src/device/|^cuda/")
    execute_process(COMMAND ${CXX} -std=c++17 -Wall -Wextra -Werror -fsyntax-only -I${ROOT}/include
                            -I${ROOT}/src -x c++ ${ROOT}/${header}
                    RESULT_VARIABLE result ERROR_VARIABLE errors)
    if(result)
      message(FATAL_ERROR "${header} does not compile alone as C++:\n${errors}")
    endif()
  endif()
endforeach()
message(STATUS "every header compiles alone")
