# SPDX-License-Identifier: MIT
# What a build hands on: the shared library, manual pages and completion, `cmake --install`, and the Debian
# packages adele (the program and libadele.so.1) and libadele-dev (headers, libadele.a, adele.pc):
# cpack -G DEB.

# ---- the libraries that are installed -----------------------------------------------------------------
# Both are the objects of the target adele, and both show the functions that the public headers declare and
# nothing else. Tests and the program link with the target itself, where every function can be called.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ADELE_PUBLIC_HEADERS})
set(exports "")
foreach(header ${ADELE_PUBLIC_HEADERS})
  file(STRINGS ${header} declarations REGEX "^([A-Za-z][^(]*[ *])?adele_[a-z_]+\\(")
  foreach(declaration ${declarations})
    string(REGEX REPLACE "^([^(]*[ *])?(adele_[a-z_]+)\\(.*" "\\2" name "${declaration}")
    list(APPEND exports ${name})
  endforeach()
endforeach()
string(REPLACE ";" ";\n    " version_script "    ${exports}")
set(ADELE_VERSION_SCRIPT ${PROJECT_BINARY_DIR}/libadele.map)
file(CONFIGURE OUTPUT ${ADELE_VERSION_SCRIPT} CONTENT "{\n  global:\n${version_script};\n  local: *;\n};\n")

add_library(adele_shared SHARED $<TARGET_OBJECTS:adele>)
set_target_properties(adele_shared PROPERTIES OUTPUT_NAME adele VERSION ${PROJECT_VERSION} SOVERSION 1
  LINKER_LANGUAGE C LINK_DEPENDS ${ADELE_VERSION_SCRIPT})
if(ADELE_HAVE_CUDA)
  set_target_properties(adele_shared PROPERTIES LINKER_LANGUAGE CXX)
endif()
get_target_property(libraries adele LINK_LIBRARIES)
target_link_libraries(adele_shared PRIVATE ${libraries})
target_link_options(adele_shared PRIVATE -Wl,--version-script=${ADELE_VERSION_SCRIPT})

# The static library is one object, so that its internal functions can be made local: a program may have a
# file_read of its own. Section groups (inline functions of C++ in the CUDA device) are resolved here, because the
# linker would later drop one that the program has too, and with it what local names refer to. -d gives OpenMP's
# common symbols their place, without which they would stay global.
set(ADELE_PUBLIC_SYMBOLS ${PROJECT_BINARY_DIR}/libadele.symbols)
string(REPLACE ";" "\n" symbols "${exports}")
file(CONFIGURE OUTPUT ${ADELE_PUBLIC_SYMBOLS} CONTENT "${symbols}\n")
set(ADELE_INSTALLED_STATIC ${PROJECT_BINARY_DIR}/installed/libadele.a)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/installed)
add_custom_command(OUTPUT ${ADELE_INSTALLED_STATIC}
  COMMAND ${CMAKE_LINKER} -r -d --force-group-allocation -o installed/adele.o $<TARGET_OBJECTS:adele>
  COMMAND ${CMAKE_OBJCOPY} --keep-global-symbols=${ADELE_PUBLIC_SYMBOLS} installed/adele.o
  COMMAND ${CMAKE_COMMAND} -E rm -f ${ADELE_INSTALLED_STATIC}
  COMMAND ${CMAKE_AR} qcs ${ADELE_INSTALLED_STATIC} installed/adele.o
  DEPENDS adele $<TARGET_OBJECTS:adele> ${ADELE_PUBLIC_SYMBOLS}
  WORKING_DIRECTORY ${PROJECT_BINARY_DIR} COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(adele_installed_static ALL DEPENDS ${ADELE_INSTALLED_STATIC})

# ---- manual pages and completion, which the program prints from its option tables ---------------------
set(ADELE_MANUALS ${PROJECT_BINARY_DIR}/manuals)
add_custom_command(OUTPUT ${ADELE_MANUALS}/made
  COMMAND ${PROJECT_SOURCE_DIR}/tools/write-manuals $<TARGET_FILE:adele_cli> ${ADELE_MANUALS}
  COMMAND ${CMAKE_COMMAND} -E touch ${ADELE_MANUALS}/made
  DEPENDS adele_cli ${PROJECT_SOURCE_DIR}/tools/write-manuals VERBATIM)
add_custom_target(manuals ALL DEPENDS ${ADELE_MANUALS}/made)

# ---- install ------------------------------------------------------------------------------------------
# The prefix is found from where adele.pc lies, so that `cmake --install --prefix` may choose another.
file(RELATIVE_PATH ADELE_PC_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(tools/adele.pc.in adele.pc @ONLY)
set(share ${CMAKE_INSTALL_DATADIR}/adele)
file(RELATIVE_PATH from_bin /${CMAKE_INSTALL_BINDIR} /${share}/convert_weights.py)
file(CREATE_LINK ${from_bin} ${PROJECT_BINARY_DIR}/adele-convert-weights SYMBOLIC)

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME runtime)
install(TARGETS adele_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET adele_bench)
  install(TARGETS adele_bench RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(TARGETS adele_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_COMPONENT development)
install(DIRECTORY ${ADELE_MANUALS}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${ADELE_MANUALS}/adele.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  RENAME adele)
install(FILES ${ADELE_MANUALS}/_adele DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(DIRECTORY configs DESTINATION ${share})
install(PROGRAMS tools/convert_weights.py DESTINATION ${share})
install(DIRECTORY tools/weight_files DESTINATION ${share} FILES_MATCHING PATTERN "*.py")
install(FILES ${PROJECT_BINARY_DIR}/adele-convert-weights DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/adele)
# Debian's name for it.
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/adele RENAME copyright)

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)
install(FILES ${ADELE_INSTALLED_STATIC} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${ADELE_PUBLIC_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/adele)
install(FILES ${PROJECT_BINARY_DIR}/adele.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libadele-dev RENAME copyright)

# ---- Debian packages ----------------------------------------------------------------------------------
# Without these two programs CPack would write packages that depend on nothing, and say so in passing.
find_program(ADELE_FILE_PROGRAM file)
find_program(ADELE_SHLIBDEPS dpkg-shlibdeps)
if(NOT ADELE_FILE_PROGRAM OR NOT ADELE_SHLIBDEPS)
  message(STATUS "No cpack: it needs the Debian packages file and dpkg-dev")
  return()
endif()
if(NOT CPACK_PACKAGE_CONTACT)
  set(CPACK_PACKAGE_CONTACT "The adele authors <maintainers@adele.invalid>")
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR})
set(CPACK_COMPONENTS_ALL runtime development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each component's first line is its own
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
# What a program that is linked with libadele.so.1 will depend on: adele of this version or newer.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME adele)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION science)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "segmentation networks from noisy labels
A network trained on doubtful labels first learns what is right in them and
then memorizes the errors. adele notices the turn, for each class at its
own time, and from then on corrects the labels from the network's own
confident predictions. Engine and command line are written in C and CUDA.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
# CPack's scripts call ldconfig too; Debian's tools look for the trigger.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/package/triggers CONTENT "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/package/triggers)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS fonts-dejavu-core) # of the figures
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS python3)        # of adele-convert-weights

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libadele-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "segmentation networks from noisy labels: library
Headers, static library and adele.pc for programs that train, evaluate and
correct labels by themselves instead of calling the program adele.")
# pkg-config asks for the packages in Requires.private even where nothing is linked statically.
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "adele (= ${PROJECT_VERSION}), libcairo2-dev, libcjson-dev, \
libdnnl-dev, libpng-dev, libprotobuf-c-dev, libtiff-dev, libturbojpeg0-dev, libxxhash-dev, libyaml-dev, zlib1g-dev")
if(ADELE_HAVE_MPI)
  # adele.pc names the library of the MPI that was built with. mpirun trains on several GPUs or machines.
  if(MPI_C_LIBRARIES MATCHES "mpich")
    string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", libmpich-dev")
    set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS mpich)
  else()
    string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", libopenmpi-dev")
    set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS openmpi-bin)
  endif()
endif()
include(CPack)
