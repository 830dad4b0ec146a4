#include "proxy/import/main_cf.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "common/base/status.h"
#include "common/smtp/text.h"

namespace tlspost {
namespace {

// Settings are a page of text; a file beyond this is something else.
constexpr size_t kMaxFileBytes = 1 << 20;
// As deep as values refer to each other at most; a circle is not followed.
constexpr int kMaxDepth = 30;

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  const size_t end = text.find_last_not_of(kBlanks);
  return text.substr(begin, end - begin + 1);
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_';
}

std::string_view TakeName(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), IsNameCharacter);
  const auto size = static_cast<size_t>(end - text.begin());
  const std::string_view name = text.substr(0, size);
  text.remove_prefix(size);
  return name;
}

// What is between the bracket that `text` begins with and the one that closes
// it; takes all of it off. Without a closing one it is the rest.
std::string_view TakeBracketed(std::string_view& text) {
  const char open = text.front();
  const char close = open == '(' ? ')' : '}';
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == open) ++depth;
    if (text[i] == close) --depth;
    if (depth > 0) continue;
    const std::string_view inside = text.substr(1, i - 1);
    text.remove_prefix(i + 1);
    return inside;
  }
  const std::string_view rest = text.substr(1);
  text = {};
  return rest;
}

// The operators of ${{a} == {b} ? {c} : {d}} that compare text.
std::optional<bool> ComparedBy(std::string_view sign, const std::string& left,
                               const std::string& right) {
  if (sign == "==") return left == right;
  if (sign == "!=") return left != right;
  return std::nullopt;
}

}  // namespace

absl::StatusOr<MainCf> MainCf::Read(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(path.c_str(), "rbe"), std::fclose);
  std::string text(kMaxFileBytes + 1, '\0');
  const size_t size =
      file == nullptr ? 0 : std::fread(text.data(), 1, text.size(), file.get());
  if (file == nullptr || std::ferror(file.get()) != 0) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      path + " cannot be read: " + std::strerror(errno));
  }
  if (size > kMaxFileBytes) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      path + " is larger than 1 MiB, so it is no main.cf");
  }
  text.resize(size);
  const size_t slash = path.rfind('/');
  return MainCf(text, slash == std::string::npos ? "." : path.substr(0, slash));
}

MainCf::MainCf(std::string_view text, std::string_view directory) {
  // Built into Postfix as Debian has it; what values refer to most.
  defaults_ = {
      {"config_directory", std::string(directory)},
      {"data_directory", "/var/lib/postfix"},
      {"queue_directory", "/var/spool/postfix"},
      {"mail_name", "Postfix"},
      {"mydomain", "localdomain"},
      {"myorigin", "$myhostname"},
      {"smtpd_tls_cert_file", ""},
      {"smtpd_tls_key_file", "$smtpd_tls_cert_file"},
      {"smtpd_tls_CAfile", ""},
      {"smtpd_tls_CApath", ""},
      // Empty when there is no stress, and that is what is asked for here.
      {"stress", ""},
  };
  std::string logical;
  int first_line = 0;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view trimmed = Trim(line);
    // Comments and empty lines end nothing.
    if (trimmed.empty() || trimmed.front() == '#') continue;
    if (smtp::IsBlank(line.front()) && !logical.empty()) {
      logical.append(" ").append(trimmed);
      continue;
    }
    AddLine(logical, first_line);
    logical = trimmed;
    first_line = number;
  }
  AddLine(logical, first_line);
  const auto hostname = values_.find("myhostname");
  if (hostname == values_.end()) return;
  const size_t dot = hostname->second.find('.');
  if (dot != std::string::npos) {
    defaults_["mydomain"] = hostname->second.substr(dot + 1);
  }
}

void MainCf::AddLine(std::string_view line, int number) {
  if (line.empty()) return;
  const size_t equals = line.find('=');
  const std::string_view name = Trim(line.substr(0, equals));
  if (equals == std::string_view::npos || name.empty()) {
    odd_lines_.push_back("line " + std::to_string(number) +
                         " is not \"name = value\"");
    return;
  }
  values_.insert_or_assign(std::string(name),
                           std::string(Trim(line.substr(equals + 1))));
}

std::vector<std::string> MainCf::names() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : values_) names.push_back(name);
  return names;
}

std::optional<std::string> MainCf::Find(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return std::nullopt;
  return std::string(Trim(Expand(found->second, 0)));
}

// What $name stands for.
std::optional<std::string> MainCf::Lookup(std::string_view name,
                                          int depth) const {
  for (const auto* table : {&values_, &defaults_}) {
    const auto found = table->find(name);
    if (found != table->end()) return Expand(found->second, depth + 1);
  }
  unknown_.insert(std::string(name));
  return std::nullopt;
}

std::string MainCf::Expand(std::string_view text, int depth) const {
  if (depth > kMaxDepth) return {};
  std::string expanded;
  while (!text.empty()) {
    const size_t dollar = std::min(text.find('$'), text.size());
    expanded += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.empty()) break;
    text.remove_prefix(1);
    if (text.empty()) break;
    if (text.front() == '$') {
      expanded += '$';
      text.remove_prefix(1);
    } else if (text.front() == '{' || text.front() == '(') {
      expanded += ExpandBraces(TakeBracketed(text), depth);
    } else {
      const std::string_view name = TakeName(text);
      if (!name.empty()) expanded += Lookup(name, depth).value_or("");
    }
  }
  return expanded;
}

// NAME, NAME?TEXT, NAME:TEXT, NAME?{TEXT}:{TEXT}, {TEXT} == {TEXT} ? ...
std::string MainCf::ExpandBraces(std::string_view inside, int depth) const {
  inside = Trim(inside);
  if (!inside.empty() && inside.front() == '{') {
    const std::optional<bool> holds = Compare(inside, depth);
    if (!holds.has_value()) {
      unknown_.insert(std::string(inside));
      return {};
    }
    return ExpandChoice(*holds, Trim(inside), depth);
  }
  const std::string_view name = TakeName(inside);
  const std::string value = Lookup(name, depth).value_or("");
  inside = Trim(inside);
  if (inside.empty()) return value;
  return ExpandChoice(!value.empty(), inside, depth);
}

// "?A", ":B", "?{A}:{B}".
std::string MainCf::ExpandChoice(bool condition, std::string_view choice,
                                 int depth) const {
  if (choice.empty()) return {};
  const bool if_set = choice.front() == '?';
  choice = Trim(choice.substr(1));
  if (choice.empty() || choice.front() != '{') {
    return condition == if_set ? Expand(choice, depth + 1) : "";
  }
  const std::string_view first = Trim(TakeBracketed(choice));
  if (condition == if_set) return Expand(first, depth + 1);
  choice = Trim(choice);
  if (choice.empty() || choice.front() != ':') return {};
  choice = Trim(choice.substr(1));
  if (choice.empty() || choice.front() != '{') {
    return Expand(choice, depth + 1);
  }
  return Expand(Trim(TakeBracketed(choice)), depth + 1);
}

// Takes the comparison off `inside`, which begins with it; nothing when it is
// by an operator that is not known here.
std::optional<bool> MainCf::Compare(std::string_view& inside, int depth) const {
  std::string_view rest = inside;
  const std::string left = Expand(Trim(TakeBracketed(rest)), depth + 1);
  rest = Trim(rest);
  const size_t brace = rest.find('{');
  if (brace == std::string_view::npos) return std::nullopt;
  const std::string_view sign = Trim(rest.substr(0, brace));
  rest.remove_prefix(brace);
  const std::string right = Expand(Trim(TakeBracketed(rest)), depth + 1);
  const std::optional<bool> holds = ComparedBy(sign, left, right);
  if (holds.has_value()) inside = rest;
  return holds;
}

}  // namespace tlspost
