#include "common/tls/server_name.h"

namespace tlspost::tls {
namespace {

char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool IsNameCharacter(char c) {
  const char lower = Lower(c);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

}  // namespace

std::string NormalServerName(std::string_view name) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  std::string normal(name);
  for (char& c : normal) c = Lower(c);
  return normal;
}

std::string ServerNamePatternProblem(std::string_view pattern) {
  const std::string shown = "server name \"" + std::string(pattern) + "\"";
  if (pattern.substr(0, 2) == "*.") {
    return shown + " has a star; write " + std::string(pattern.substr(1)) +
           " for all names below it";
  }
  const std::string normal = NormalServerName(pattern);
  if (normal.empty() || normal == "." ||
      normal.find("..") != std::string::npos) {
    return shown +
           " is no host name; write it as mx.example.org, or "
           ".example.org for all names below it";
  }
  for (const char c : normal) {
    if (!IsNameCharacter(c)) {
      return shown + " has characters that no host name has; write it as " +
             "mx.example.org (xn--... for other alphabets)";
    }
  }
  return "";
}

bool ServerNameMatches(std::string_view pattern, std::string_view name) {
  if (pattern.empty() || name.empty()) return false;
  if (pattern.front() != '.') return pattern == name;
  return name.size() > pattern.size() &&
         name.substr(name.size() - pattern.size()) == pattern;
}

std::string_view WiderServerName(std::string_view name) {
  const size_t dot = name.find('.', 1);
  return dot == std::string_view::npos ? std::string_view() : name.substr(dot);
}

}  // namespace tlspost::tls
