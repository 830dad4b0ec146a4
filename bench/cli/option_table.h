// OptionTable: an instrument's command line, each option declared once.
//
// One Add call names an option, where its value goes, its limits and its help;
// parsing and --help come from that. Options are "--name=value"; a switch may
// be "--name" alone. Values are written into the caller's struct, which
// outlives the table and holds the defaults when the table is made.

#ifndef TLSPOST_BENCH_CLI_OPTION_TABLE_H_
#define TLSPOST_BENCH_CLI_OPTION_TABLE_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/io/time.h"

namespace tlspost::cli {

class OptionTable {
 public:
  // Options added from now on stand under `title` in --help.
  void Group(std::string_view title) { group_ = title; }

  void AddText(std::string_view name, std::string* value, std::string_view hint,
               std::string_view help);
  // May be given several times; what is given replaces the default.
  void AddList(std::string_view name, std::vector<std::string>* values,
               std::string_view hint, std::string_view help);
  void AddCount(std::string_view name, int64_t* value, int64_t lowest,
                int64_t highest, std::string_view help);
  void AddNumber(std::string_view name, double* value, double highest,
                 std::string_view help);
  void AddDuration(std::string_view name, io::Duration* value,
                   io::Duration highest, std::string_view help);
  void AddSwitch(std::string_view name, bool* value, std::string_view help);
  // `*value` becomes the number of the word.
  template <typename Enum>
  void AddChoice(std::string_view name, Enum* value,
                 std::span<const std::string_view> words,
                 std::string_view help) {
    AddWords(name, static_cast<size_t>(*value), words, help,
             [value](size_t word) { *value = static_cast<Enum>(word); });
  }

  // The error is one line that names the option and what is wrong with it.
  absl::Status Parse(std::span<const char* const> args);

  // `usage`, then every option by group.
  std::string Help(std::string_view usage) const;

 private:
  struct Option {
    std::string_view group;
    std::string_view name;
    std::string hint;
    std::string default_text;
    std::string_view help;
    bool is_switch = false;
    std::function<absl::Status(std::string_view)> set;
  };

  void AddWords(std::string_view name, size_t current,
                std::span<const std::string_view> words, std::string_view help,
                std::function<void(size_t)> set);
  Option& Add(std::string_view name, std::string hint, std::string default_text,
              std::string_view help);
  absl::Status ParseOne(std::string_view argument);

  std::string_view group_;
  std::vector<Option> options_;
};

}  // namespace tlspost::cli

#endif  // TLSPOST_BENCH_CLI_OPTION_TABLE_H_
