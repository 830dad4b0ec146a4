// Names that clients ask for (SNI, RFC 6066 section 3) and what they are
// looked up in.
//
// A pattern is a host name, or ".example.org" for every name below it. Case
// and a trailing dot make no difference. Knows nothing of OpenSSL.

#ifndef TLSPOST_COMMON_TLS_SERVER_NAME_H_
#define TLSPOST_COMMON_TLS_SERVER_NAME_H_

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace tlspost::tls {

// In lower case (ASCII) and without a trailing dot, as the functions below
// want it.
std::string NormalServerName(std::string_view name);

// What is wrong with a pattern that an administrator wrote, and the remedy;
// "" if nothing is.
std::string ServerNamePatternProblem(std::string_view pattern);

// Both normal. An empty name matches nothing.
bool ServerNameMatches(std::string_view pattern, std::string_view name);

// The next wider pattern that matches `name`, which may be a pattern itself:
// "a.b.example" -> ".b.example" -> ".example" -> "".
std::string_view WiderServerName(std::string_view name);

// From patterns to values; the name itself comes first, then the longest
// pattern.
template <typename Value>
class ServerNameMap {
 public:
  // False when the pattern is there already. `pattern` is normal.
  bool Add(std::string pattern, Value value) {
    return values_.emplace(std::move(pattern), std::move(value)).second;
  }

  // Null when nothing matches. `name` is normal.
  const Value* Find(std::string_view name) const {
    if (values_.empty()) return nullptr;
    for (; !name.empty(); name = WiderServerName(name)) {
      const auto found = values_.find(std::string(name));
      if (found != values_.end()) return &found->second;
    }
    return nullptr;
  }

 private:
  std::unordered_map<std::string, Value> values_;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_SERVER_NAME_H_
