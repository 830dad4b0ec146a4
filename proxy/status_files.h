// The files of the status page (proxy/status/), as they are in the program.

#ifndef TLSPOST_PROXY_STATUS_FILES_H_
#define TLSPOST_PROXY_STATUS_FILES_H_

#include <array>
#include <string_view>

namespace tlspost {

struct StatusFile {
  std::string_view path;  // "/status.css"
  std::string_view content_type;
  std::string_view body;
};

std::array<StatusFile, 3> StatusFiles();

}  // namespace tlspost

#endif  // TLSPOST_PROXY_STATUS_FILES_H_
