// Reading PEM files and finding the blocks in them.
//
// It knows nothing of what a block holds (certificate.cc decodes them) and
// nothing of OpenSSL. Every error is one plain line with the file's name and
// what to do about it.

#ifndef TLSPOST_COMMON_TLS_PEM_FILE_H_
#define TLSPOST_COMMON_TLS_PEM_FILE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tlspost::tls {

// No honest certificate or key file is larger; a mistyped name may well be.
inline constexpr size_t kMaxPemOctets = size_t{4} << 20;

struct PemText {
  // It may hold a key, which does not stay behind in freed memory.
  ~PemText();

  std::string kind;  // "certificate file"
  std::string name;  // its path, or "given as text"
  std::string text;
  bool is_file = false;
  // Why others than the owner may get at the file, or put another in its place,
  // and the remedy; "" if they may not. Looks at the file behind symbolic
  // links, at its directory and at that of the link.
  std::string permission_problem = "";

  std::string title() const { return kind + " " + name; }
};

// Reads the whole of `path`. `kind`, and what `secret` it may hold, are only
// for the messages.
absl::StatusOr<PemText> ReadPemFile(std::string_view kind,
                                    const std::string& path,
                                    std::string_view secret = "a private key");

struct PemBlock {
  std::string_view label;  // "CERTIFICATE"
  std::string_view text;   // from -----BEGIN to the end of the -----END line
};

// The blocks of `text`, in order. A block without its END line is left out.
// The views are into `text`.
std::vector<PemBlock> SplitPem(std::string_view text);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_PEM_FILE_H_
