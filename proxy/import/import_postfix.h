// `tlspost import-postfix main.cf`: the settings that correspond to a
// Postfix's.
//
// Prints a settings file that can be loaded as it is, with a comment for all
// that has no counterpart or is not taken over. What main.cf leaves out keeps
// our default, which may be another one than Postfix's. Reads main.cf alone:
// neither master.cf nor any file that main.cf names.

#ifndef TLSPOST_PROXY_IMPORT_IMPORT_POSTFIX_H_
#define TLSPOST_PROXY_IMPORT_IMPORT_POSTFIX_H_

#include <span>
#include <string>
#include <string_view>

#include "proxy/import/main_cf.h"

namespace tlspost {

// `args`: the file's path. Prints to standard output; returns the exit status.
int RunImportPostfix(std::span<const char* const> args);

// The text that is printed. `path` is for its first line.
std::string ImportPostfix(const MainCf& main_cf, std::string_view path);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_IMPORT_IMPORT_POSTFIX_H_
