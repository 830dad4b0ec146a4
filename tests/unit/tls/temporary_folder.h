// A folder that is gone with the test, and files in it.

#ifndef TLSPOST_TESTS_UNIT_TLS_TEMPORARY_FOLDER_H_
#define TLSPOST_TESTS_UNIT_TLS_TEMPORARY_FOLDER_H_

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/check.h"

namespace tlspost::tls {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "tlspost_XXXXXX").string();
    TLSPOST_CHECK(mkdtemp(name.data()) != nullptr);
    // Messages show the real path of a file, and tests compare messages.
    path_ = std::filesystem::canonical(name).string();
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  std::string Path(const std::string& name) const { return path_ + "/" + name; }

  // Returns the path.
  std::string Write(const std::string& name, const std::string& text,
                    mode_t mode = 0600) const {
    const std::string path = Path(name);
    std::ofstream(path, std::ios::binary) << text;
    TLSPOST_CHECK(chmod(path.c_str(), mode) == 0);
    return path;
  }

 private:
  std::string path_;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_TESTS_UNIT_TLS_TEMPORARY_FOLDER_H_
