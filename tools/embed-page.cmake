# SPDX-License-Identifier: MIT
# cmake -DCSS=page.css -DJS=page.js -DOUTPUT=page_assets.c -P embed-page.cmake
# The style and the script of report.html as C strings (src/report/page_assets.h), byte by byte, so that
# nothing in them needs an escape.
set(text "#include \"report/page_assets.h\"\n")
foreach(name CSS JS)
  file(READ ${${name}} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(TOLOWER ${name} suffix)
  string(APPEND text "const char page_${suffix}[] = {${bytes}0};\n")
endforeach()
file(WRITE ${OUTPUT} "${text}")
