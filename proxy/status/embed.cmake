# Writes a C++ source with the status page's files in it:
#   cmake -DOUTPUT=FILE.cc -P embed.cmake
# As octets, so that nothing in them can end a literal.
set(folder ${CMAKE_CURRENT_LIST_DIR})
set(text "// Made from proxy/status/ by embed.cmake.\n\n#include \"proxy/status_files.h\"\n\nnamespace tlspost {\nnamespace {\n\n")
set(table "")
foreach(entry "/|index.html|text/html" "/status.css|status.css|text/css"
              "/status.js|status.js|text/javascript")
  string(REPLACE "|" ";" parts "${entry}")
  list(GET parts 0 path)
  list(GET parts 1 name)
  list(GET parts 2 type)
  string(MAKE_C_IDENTIFIER ${name} id)
  file(READ ${folder}/${name} octets HEX)
  string(REGEX REPLACE "(..)" "0x\\1," octets "${octets}")
  string(APPEND text "constexpr unsigned char k_${id}[] = {${octets}};\n")
  string(APPEND table "    {\"${path}\", \"${type}; charset=utf-8\", {reinterpret_cast<const char*>(k_${id}), sizeof(k_${id})}},\n")
endforeach()
string(APPEND text "\n}  // namespace\n\nstd::array<StatusFile, 3> StatusFiles() {\n  return {{\n${table}  }};\n}\n\n}  // namespace tlspost\n")
file(WRITE ${OUTPUT} "${text}")
