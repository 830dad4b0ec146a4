#include "bench/cli/option_table.h"

#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/cli/parse_value.h"
#include "common/base/status.h"

namespace tlspost::cli {
namespace {

constexpr size_t kWidth = 79;

// `text` in indented lines of at most kWidth characters.
std::string Wrap(std::string_view text) {
  constexpr std::string_view kIndent = "      ";
  std::string wrapped;
  std::string line(kIndent);
  for (const std::string_view word : SplitList(text, ' ')) {
    if (line.size() + 1 + word.size() > kWidth) {
      wrapped += line + "\n";
      line = kIndent;
    }
    if (line.size() > kIndent.size()) line += ' ';
    line += word;
  }
  return wrapped + line + "\n";
}

absl::Status OutOfRange(const std::string& lowest, const std::string& highest) {
  return absl::InvalidArgumentError(
      absl::StrFormat("must be from %s to %s", lowest, highest));
}

}  // namespace

OptionTable::Option& OptionTable::Add(std::string_view name, std::string hint,
                                      std::string default_text,
                                      std::string_view help) {
  Option& option = options_.emplace_back();
  option.group = group_;
  option.name = name;
  option.hint = std::move(hint);
  option.default_text = std::move(default_text);
  option.help = help;
  return option;
}

void OptionTable::AddText(std::string_view name, std::string* value,
                          std::string_view hint, std::string_view help) {
  Add(name, std::string(hint), *value, help).set =
      [value](std::string_view text) {
        *value = text;
        return absl::OkStatus();
      };
}

void OptionTable::AddList(std::string_view name,
                          std::vector<std::string>* values,
                          std::string_view hint, std::string_view help) {
  std::string defaults;
  for (const std::string& value : *values) {
    if (!defaults.empty()) defaults += ", ";
    defaults += value;
  }
  auto given = std::make_shared<bool>(false);
  Add(name, std::string(hint), defaults, help).set =
      [values, given](std::string_view text) {
        if (!*given) values->clear();
        *given = true;
        values->emplace_back(text);
        return absl::OkStatus();
      };
}

void OptionTable::AddCount(std::string_view name, int64_t* value,
                           int64_t lowest, int64_t highest,
                           std::string_view help) {
  std::string low = std::to_string(lowest);
  std::string high = std::to_string(highest);
  Add(name, low + ".." + high, std::to_string(*value), help).set =
      [=](std::string_view text) {
        const absl::StatusOr<int64_t> count = ParseCount(text);
        if (!count.ok()) return count.status();
        if (*count < lowest || *count > highest) return OutOfRange(low, high);
        *value = *count;
        return absl::OkStatus();
      };
}

void OptionTable::AddNumber(std::string_view name, double* value,
                            double highest, std::string_view help) {
  Add(name, absl::StrFormat("0..%g", highest), absl::StrFormat("%g", *value),
      help)
      .set = [=](std::string_view text) {
    const absl::StatusOr<double> number = ParseNumber(text);
    if (!number.ok()) return number.status();
    if (*number > highest) {
      return OutOfRange("0", absl::StrFormat("%g", highest));
    }
    *value = *number;
    return absl::OkStatus();
  };
}

void OptionTable::AddDuration(std::string_view name, io::Duration* value,
                              io::Duration highest, std::string_view help) {
  Add(name, "0s.." + FormatDuration(highest), FormatDuration(*value), help)
      .set = [=](std::string_view text) {
    const absl::StatusOr<io::Duration> duration = ParseDuration(text);
    if (!duration.ok()) return duration.status();
    if (*duration > highest) return OutOfRange("0s", FormatDuration(highest));
    *value = *duration;
    return absl::OkStatus();
  };
}

void OptionTable::AddSwitch(std::string_view name, bool* value,
                            std::string_view help) {
  Option& option = Add(name, "yes|no", *value ? "yes" : "no", help);
  option.is_switch = true;
  option.set = [value](std::string_view text) {
    if (text != "yes" && text != "no") {
      return absl::InvalidArgumentError("must be yes or no");
    }
    *value = text == "yes";
    return absl::OkStatus();
  };
}

void OptionTable::AddWords(std::string_view name, size_t current,
                           std::span<const std::string_view> words,
                           std::string_view help,
                           std::function<void(size_t)> set) {
  std::string hint;
  for (const std::string_view word : words) {
    if (!hint.empty()) hint += '|';
    hint += word;
  }
  Add(name, hint, std::string(words[current]), help).set =
      [=](std::string_view text) {
        for (size_t i = 0; i < words.size(); ++i) {
          if (words[i] != text) continue;
          set(i);
          return absl::OkStatus();
        }
        return absl::InvalidArgumentError("must be one of " + hint);
      };
}

absl::Status OptionTable::Parse(std::span<const char* const> args) {
  for (const std::string_view argument : args) {
    absl::Status parsed = ParseOne(argument);
    if (!parsed.ok()) return parsed;
  }
  return absl::OkStatus();
}

absl::Status OptionTable::ParseOne(std::string_view argument) {
  const size_t equals = argument.find('=');
  std::string_view name = argument.substr(0, equals);
  if (!name.starts_with("--")) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "\"%s\" is no option; options are --name=value", argument));
  }
  name.remove_prefix(2);
  for (const Option& option : options_) {
    if (option.name != name) continue;
    std::string_view text = "yes";
    if (equals != std::string_view::npos) {
      text = argument.substr(equals + 1);
    } else if (!option.is_switch) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "--%s needs a value: --%s=%s", name, name, option.hint));
    }
    const absl::Status set = option.set(text);
    if (set.ok()) return set;
    return absl::InvalidArgumentError(
        absl::StrFormat("--%s: %s", name, MessageOf(set)));
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("unknown option --%s; --help tells all", name));
}

std::string OptionTable::Help(std::string_view usage) const {
  std::string help(usage);
  std::string_view group;
  for (const Option& option : options_) {
    if (option.group != group) {
      group = option.group;
      help.append("\n").append(group).append(":\n");
    }
    help += absl::StrFormat("  --%s=%s\n", option.name, option.hint);
    help += Wrap(option.help);
    if (!option.default_text.empty()) {
      help += "      Default: " + option.default_text + "\n";
    }
  }
  return help;
}

}  // namespace tlspost::cli
