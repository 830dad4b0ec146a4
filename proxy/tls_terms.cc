// Versions and groups as administrators write them.

#include "proxy/tls_terms.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "common/base/status.h"

namespace tlspost {
namespace {

using tls::TlsVersion;

constexpr std::string_view kSeparators = " \t,:";

struct NamedVersion {
  std::string_view name;
  std::optional<TlsVersion> version;  // nothing: none that OpenSSL still has
};
constexpr std::array<NamedVersion, 6> kVersions = {{
    {"SSLv2", std::nullopt},
    {"SSLv3", std::nullopt},
    {"TLSv1", TlsVersion::kTls10},
    {"TLSv1.1", TlsVersion::kTls11},
    {"TLSv1.2", TlsVersion::kTls12},
    {"TLSv1.3", TlsVersion::kTls13},
}};
// The first that can be spoken.
constexpr size_t kFirstSpoken = 2;

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t begin = text.find_first_not_of(kSeparators);
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const size_t end = std::min(text.find_first_of(kSeparators), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

// What the words of a list have said so far, by the index in kVersions.
class VersionSet {
 public:
  absl::Status Add(std::string_view word) {
    std::string_view name = word;
    std::string_view sign;
    for (const std::string_view known : {">=", "<=", "!"}) {
      if (!name.starts_with(known)) continue;
      sign = known;
      name.remove_prefix(known.size());
      break;
    }
    const auto found =
        std::find_if(kVersions.begin(), kVersions.end(),
                     [&](const NamedVersion& v) { return v.name == name; });
    if (found == kVersions.end()) {
      return Invalid("\"" + std::string(word) +
                     "\" is no TLS version; write one of TLSv1, TLSv1.1, "
                     "TLSv1.2, TLSv1.3, as in \">=TLSv1.2\"");
    }
    const auto index = static_cast<size_t>(found - kVersions.begin());
    if (sign == ">=") {
      lowest_ = std::max(lowest_, index);
    } else if (sign == "<=") {
      highest_ = std::min(highest_, index);
    } else if (sign == "!") {
      excluded_[index] = true;
    } else {
      included_[index] = any_included_ = true;
    }
    return absl::OkStatus();
  }

  bool Has(size_t index) const {
    return index >= lowest_ && index <= highest_ && !excluded_[index] &&
           (!any_included_ || included_[index]);
  }

 private:
  size_t lowest_ = kFirstSpoken;
  size_t highest_ = kVersions.size() - 1;
  std::array<bool, kVersions.size()> excluded_{};
  std::array<bool, kVersions.size()> included_{};
  bool any_included_ = false;
};

}  // namespace

bool IsTlsTerm(std::string_view name) {
#define TLSPOST_COMPARE_TERM(type, term) \
  if (name == #term) return true;
  TLSPOST_TLS_TERMS(TLSPOST_COMPARE_TERM)
#undef TLSPOST_COMPARE_TERM
  return false;
}

absl::StatusOr<TlsVersionRange> ParseTlsProtocols(std::string_view text) {
  VersionSet versions;
  for (const std::string_view word : Words(text)) {
    absl::Status status = versions.Add(word);
    if (!status.ok()) return status;
  }
  std::optional<size_t> first;
  std::optional<size_t> last;
  for (size_t i = kFirstSpoken; i < kVersions.size(); ++i) {
    if (!versions.Has(i)) continue;
    if (last.has_value() && *last + 1 != i) {
      return Invalid("\"" + std::string(text) + "\" leaves out " +
                     std::string(kVersions[*last + 1].name) +
                     " between versions it admits, which TLS cannot express; "
                     "write a range, as in \">=TLSv1.2\"");
    }
    if (!first.has_value()) first = i;
    last = i;
  }
  if (!first.has_value()) {
    return Invalid("\"" + std::string(text) +
                   "\" admits no TLS version at all; write a range, as in "
                   "\">=TLSv1.2\"");
  }
  return TlsVersionRange{*kVersions[*first].version, *kVersions[*last].version};
}

std::string GroupList(std::string_view text) {
  std::string list;
  for (const std::string_view word : Words(text)) {
    if (!list.empty()) list += ':';
    list += word;
  }
  return list;
}

}  // namespace tlspost
