// MainCf: a Postfix main.cf as postconf(1) reads it.
//
// Lines that go on, comments, and $variables with their conditions. It knows
// the syntax and a few defaults that values refer to; what a parameter means is
// in postfix_table.h. Reads one file, and nothing that it names.

#ifndef TLSPOST_PROXY_IMPORT_MAIN_CF_H_
#define TLSPOST_PROXY_IMPORT_MAIN_CF_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tlspost {

class MainCf {
 public:
  // Error: why it cannot be read.
  static absl::StatusOr<MainCf> Read(const std::string& path);
  // `directory` is what $config_directory stands for.
  MainCf(std::string_view text, std::string_view directory);

  // The parameter's value with all variables filled in; nothing when the file
  // does not set it. What it refers to and nobody sets is empty, as postconf
  // has it, and noted in unknown_variables.
  std::optional<std::string> Find(std::string_view name) const;

  // What the file sets, in alphabetical order.
  std::vector<std::string> names() const;
  // What was asked for in values and is not known: what Postfix finds out by
  // itself or has built in.
  const std::set<std::string>& unknown_variables() const { return unknown_; }
  // Lines that are neither comments nor "name = value", with their numbers.
  const std::vector<std::string>& odd_lines() const { return odd_lines_; }

 private:
  void AddLine(std::string_view line, int number);
  std::optional<std::string> Lookup(std::string_view name, int depth) const;
  std::string Expand(std::string_view text, int depth) const;
  std::string ExpandBraces(std::string_view inside, int depth) const;
  std::string ExpandChoice(bool condition, std::string_view choice,
                           int depth) const;
  std::optional<bool> Compare(std::string_view& inside, int depth) const;

  std::map<std::string, std::string, std::less<>> values_;
  std::map<std::string, std::string, std::less<>> defaults_;
  std::vector<std::string> odd_lines_;
  mutable std::set<std::string> unknown_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_IMPORT_MAIN_CF_H_
