// A [[listener]] table as it stands in the settings file.

#ifndef TLSPOST_PROXY_LISTENER_RULE_H_
#define TLSPOST_PROXY_LISTENER_RULE_H_

#include <string>
#include <utility>
#include <vector>

namespace tlspost {

struct ListenerRule {
  std::vector<std::string> addresses;
  bool implicit_tls = false;  // tls = "implicit"
  // What the table changes: names, and values as they stand there (more than
  // one, or none, only for a list).
  std::vector<std::pair<std::string, std::vector<std::string>>> changes;
  std::string place;  // "tlspost.toml:12:1", for messages

  bool operator==(const ListenerRule&) const = default;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_LISTENER_RULE_H_
