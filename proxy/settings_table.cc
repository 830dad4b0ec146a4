// Text to values and back, for every type a setting can have.

#include "proxy/settings_table.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>
#include <optional>
#include <type_traits>
#include <utility>

#include "common/base/status.h"
#include "common/smtp/text.h"

namespace tlspost {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 40;  // bytes: a terabyte

std::string Quoted(std::string_view text) {
  return '"' + smtp::OnOneLine(text) + '"';
}

std::string Joined(std::span<const std::string_view> words,
                   std::string_view separator) {
  std::string joined;
  for (const std::string_view word : words) {
    if (!joined.empty()) joined += separator;
    joined += word;
  }
  return joined;
}

// What a value must obey besides its type.
struct Rule {
  std::string_view hint;
  int64_t lowest = 0;
  int64_t highest = 0;
  bool per_listener = false;
  bool needs_restart = false;

  // A [[listener]] may change the setting.
  Rule PerListener() const {
    Rule rule = *this;
    rule.per_listener = true;
    return rule;
  }
  // A reload leaves it as it is.
  Rule AtStart() const {
    Rule rule = *this;
    rule.needs_restart = true;
    return rule;
  }
};
Rule Shown(std::string_view hint) { return {hint}; }
Rule OneWord() { return {}; }
Rule Within(int64_t lowest, int64_t highest) { return {{}, lowest, highest}; }
Rule Within(Settings::Duration lowest, Settings::Duration highest) {
  return {{}, lowest.count(), highest.count()};
}

template <auto kMember>
Setting::Member AccessTo() {
  using Value =
      std::remove_cvref_t<decltype(std::declval<Settings>().*kMember)>;
  if constexpr (std::is_enum_v<Value>) {
    return EnumAccess{WordsOf(Value{}),
                      [](const Settings& settings) {
                        return static_cast<size_t>(settings.*kMember);
                      },
                      [](Settings& settings, size_t word) {
                        settings.*kMember = static_cast<Value>(word);
                      }};
  } else {
    return kMember;
  }
}

// In the largest unit that it is a whole number of.
std::string FormatSize(int64_t bytes) {
  constexpr std::pair<std::string_view, int> kUnits[] = {
      {"G", 30}, {"M", 20}, {"k", 10}};
  for (const auto& [unit, shift] : kUnits) {
    if (bytes != 0 && bytes % (int64_t{1} << shift) == 0) {
      return std::to_string(bytes >> shift) + std::string(unit);
    }
  }
  return std::to_string(bytes);
}

// A limit as a person writes it: 30s, 1M, 1024.
std::string FormatLimit(const Setting& setting, int64_t limit) {
  if (std::holds_alternative<std::chrono::milliseconds Settings::*>(
          setting.member)) {
    return FormatDuration(std::chrono::milliseconds(limit));
  }
  if (std::holds_alternative<uint64_t Settings::*>(setting.member)) {
    return FormatSize(limit);
  }
  return std::to_string(limit);
}

std::string HintFor(const Setting& setting, std::string_view shown) {
  if (!shown.empty()) return std::string(shown);
  if (setting.is_bool()) return "yes|no";
  if (const auto* access = std::get_if<EnumAccess>(&setting.member)) {
    return Joined(access->words, "|");
  }
  return FormatLimit(setting, setting.lowest) + ".." +
         FormatLimit(setting, setting.highest);
}

// Derived from Settings only so that the list's words are names here too.
struct TableMaker : Settings {
  static std::vector<Setting> Make() {
    std::vector<Setting> table;
    std::string_view group;
    const auto add = [&](std::string_view name, Setting::Member member,
                         Rule rule, std::string_view help) {
      Setting setting;
      setting.group = group;
      setting.name = name;
      setting.member = member;
      setting.lowest = rule.lowest;
      setting.highest = rule.highest;
      setting.help = help;
      setting.per_listener = rule.per_listener;
      setting.needs_restart = rule.needs_restart;
      setting.hint = HintFor(setting, rule.hint);
      table.push_back(std::move(setting));
    };
#define TLSPOST_GROUP(title) group = title;
#define TLSPOST_SETTING(type, name, default_value, rule, help) \
  add(#name, AccessTo<&Settings::name>(), rule, help);
#include "proxy/settings_list.inc"
#undef TLSPOST_SETTING
#undef TLSPOST_GROUP
    return table;
  }
};

// The number in front of `text` and what follows it.
struct NumberAndUnit {
  int64_t number = 0;
  std::string_view unit;
};

std::optional<NumberAndUnit> SplitUnit(std::string_view text) {
  NumberAndUnit split;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, split.number);
  if (error != std::errc() || split.number < 0) return std::nullopt;
  split.unit = text.substr(static_cast<size_t>(rest - text.data()));
  return split;
}

struct Unit {
  std::string_view name;
  int64_t factor;
};
constexpr Unit kDurationUnits[] = {
    {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
constexpr Unit kSizeUnits[] = {{"", 1},        {"k", 1 << 10}, {"K", 1 << 10},
                               {"m", 1 << 20}, {"M", 1 << 20}, {"g", 1 << 30},
                               {"G", 1 << 30}};

// `text` in the smallest unit; saturates, for the range check to refuse.
std::optional<int64_t> ParseWithUnit(std::string_view text,
                                     std::span<const Unit> units) {
  const auto split = SplitUnit(text);
  if (!split) return std::nullopt;
  const auto unit = std::find_if(
      units.begin(), units.end(),
      [&](const Unit& known) { return known.name == split->unit; });
  if (unit == units.end()) return std::nullopt;
  int64_t value = 0;
  if (__builtin_mul_overflow(split->number, unit->factor, &value)) {
    return std::numeric_limits<int64_t>::max();
  }
  return value;
}

absl::Status CheckRange(const Setting& setting, int64_t value) {
  if (value >= setting.lowest && value <= setting.highest) {
    return absl::OkStatus();
  }
  return Invalid(FormatLimit(setting, value) + " is out of range; it must be " +
                 FormatLimit(setting, setting.lowest) + " to " +
                 FormatLimit(setting, setting.highest));
}

std::optional<bool> ParseBool(std::string_view text) {
  if (text == "yes" || text == "true") return true;
  if (text == "no" || text == "false") return false;
  return std::nullopt;
}

// One overload per type of member: reads `text` into it.
class TextReader {
 public:
  TextReader(const Setting& setting, std::string_view text, Settings& settings)
      : setting_(setting), text_(text), settings_(settings) {}

  absl::Status operator()(std::string Settings::*member) const {
    if (text_.find('\0') != std::string_view::npos) {
      return Invalid("a NUL byte is not allowed");
    }
    settings_.*member = text_;
    return absl::OkStatus();
  }

  absl::Status operator()(std::vector<std::string> Settings::*member) const {
    (settings_.*member).emplace_back(text_);
    return absl::OkStatus();
  }

  absl::Status operator()(int Settings::*member) const {
    const auto split = SplitUnit(text_);
    if (!split || !split->unit.empty()) {
      return Invalid(Quoted(text_) + " is no whole number");
    }
    settings_.*member = static_cast<int>(split->number);
    return CheckRange(setting_, split->number);
  }

  absl::Status operator()(uint64_t Settings::*member) const {
    const auto bytes = ParseWithUnit(text_, kSizeUnits);
    if (!bytes) {
      return Invalid(Quoted(text_) +
                     " is no size; write bytes, or a number and k, M or G");
    }
    settings_.*member = static_cast<uint64_t>(*bytes);
    return CheckRange(setting_, *bytes);
  }

  absl::Status operator()(std::chrono::milliseconds Settings::*member) const {
    const auto milliseconds = ParseWithUnit(text_, kDurationUnits);
    if (!milliseconds) {
      return Invalid(Quoted(text_) +
                     " is no duration; write a number and its unit: 500ms, "
                     "30s, 5m or 1h");
    }
    settings_.*member = std::chrono::milliseconds(*milliseconds);
    return CheckRange(setting_, *milliseconds);
  }

  absl::Status operator()(bool Settings::*member) const {
    const auto value = ParseBool(text_);
    if (!value) return Invalid(Quoted(text_) + " is neither yes nor no");
    settings_.*member = *value;
    return absl::OkStatus();
  }

  absl::Status operator()(const EnumAccess& access) const {
    const auto word =
        std::find(access.words.begin(), access.words.end(), text_);
    if (word == access.words.end()) {
      return Invalid(Quoted(text_) + " is unknown; it must be one of " +
                     Joined(access.words, ", "));
    }
    access.set(settings_, static_cast<size_t>(word - access.words.begin()));
    return absl::OkStatus();
  }

 private:
  const Setting& setting_;
  std::string_view text_;
  Settings& settings_;
};

// One overload per type of member: writes its text.
class TextWriter {
 public:
  explicit TextWriter(const Settings& settings) : settings_(settings) {}

  std::string operator()(std::string Settings::*member) const {
    return settings_.*member;
  }
  std::string operator()(std::vector<std::string> Settings::*member) const {
    std::vector<std::string_view> words((settings_.*member).begin(),
                                        (settings_.*member).end());
    return Joined(words, ", ");
  }
  std::string operator()(int Settings::*member) const {
    return std::to_string(settings_.*member);
  }
  std::string operator()(uint64_t Settings::*member) const {
    return std::to_string(settings_.*member);
  }
  std::string operator()(std::chrono::milliseconds Settings::*member) const {
    return FormatDuration(settings_.*member);
  }
  std::string operator()(bool Settings::*member) const {
    return settings_.*member ? "yes" : "no";
  }
  std::string operator()(const EnumAccess& access) const {
    return std::string(access.words[access.get(settings_)]);
  }

 private:
  const Settings& settings_;
};

// A name as it would be compared: without Postfix's prefix, in small letters,
// with '_' for '-'.
std::string Normalized(std::string_view name) {
  constexpr std::string_view kPrefix = "smtpd_";
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  std::string normalized(name);
  for (char& c : normalized) {
    if (c == '-') c = '_';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return normalized;
}

// How many characters must be inserted, removed or replaced (Levenshtein).
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row[b.size()];
}

std::string TomlString(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace

bool Setting::is_bare() const {
  return is_bool() || std::holds_alternative<int Settings::*>(member) ||
         std::holds_alternative<uint64_t Settings::*>(member);
}

std::span<const Setting> AllSettings() {
  static const auto* const kTable =
      new std::vector<Setting>(TableMaker::Make());
  return *kTable;
}

const Setting* FindSetting(std::string_view name) {
  for (const Setting& setting : AllSettings()) {
    if (setting.name == name) return &setting;
  }
  return nullptr;
}

std::string_view NearestSettingName(std::string_view name) {
  constexpr size_t kShortestStem = 4;  // that is taken for the name's start
  constexpr size_t kLongestName = 64;  // bounds the work for a hostile file
  if (name.size() > kLongestName) return {};
  const std::string wanted = Normalized(name);
  std::string_view nearest;
  size_t least = 4;  // further away is not the same word
  for (const Setting& setting : AllSettings()) {
    const size_t distance = EditDistance(wanted, setting.name);
    if (distance < least && distance < setting.name.size() / 2 + 1) {
      least = distance;
      nearest = setting.name;
    }
  }
  if (!nearest.empty() || wanted.size() < kShortestStem) return nearest;
  for (const Setting& setting : AllSettings()) {
    if (setting.name.starts_with(wanted)) return setting.name;
  }
  return {};
}

absl::Status SetFromText(const Setting& setting, std::string_view text,
                         Settings& settings) {
  return std::visit(TextReader(setting, text, settings), setting.member);
}

absl::Status SetFromInteger(const Setting& setting, int64_t value,
                            Settings& settings) {
  if (setting.is_bool() || !setting.is_bare()) {
    std::string text = "must not be a bare number; write it in quotes";
    if (std::holds_alternative<std::chrono::milliseconds Settings::*>(
            setting.member)) {
      text += " and with a unit: \"" + std::to_string(value) + "s\"";
    }
    return Invalid(text);
  }
  if (absl::Status status = CheckRange(setting, value); !status.ok()) {
    return status;
  }
  return SetFromText(setting, std::to_string(value), settings);
}

absl::Status SetFromBool(const Setting& setting, bool value,
                         Settings& settings) {
  if (!setting.is_bool()) {
    return Invalid("must not be true or false; it takes " + setting.hint);
  }
  return SetFromText(setting, value ? "yes" : "no", settings);
}

void ClearList(const Setting& setting, Settings& settings) {
  const auto* list =
      std::get_if<std::vector<std::string> Settings::*>(&setting.member);
  if (list != nullptr) (settings.**list).clear();
}

void CopyValue(const Setting& setting, const Settings& from, Settings& to) {
  if (const auto* access = std::get_if<EnumAccess>(&setting.member)) {
    return access->set(to, access->get(from));
  }
  std::visit(
      [&](const auto& member) {
        using Member = std::remove_cvref_t<decltype(member)>;
        if constexpr (!std::is_same_v<Member, EnumAccess>) {
          to.*member = from.*member;
        }
      },
      setting.member);
}

std::string FormatValue(const Setting& setting, const Settings& settings) {
  return std::visit(TextWriter(settings), setting.member);
}

std::string FormatTomlValue(const Setting& setting, const Settings& settings) {
  if (const auto* list =
          std::get_if<std::vector<std::string> Settings::*>(&setting.member)) {
    std::string array = "[";
    for (const std::string& element : settings.**list) {
      if (array.size() > 1) array += ", ";
      array += TomlString(element);
    }
    return array + ']';
  }
  const std::string text = FormatValue(setting, settings);
  if (setting.is_bool()) return text == "yes" ? "true" : "false";
  return setting.is_bare() ? text : TomlString(text);
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  // Minutes only for whole tens: 300s and 180s are how Postfix writes them.
  const int64_t count = duration.count();
  if (count == 0) return "0s";
  for (const Unit& unit : kDurationUnits) {
    const int64_t step = unit.name == "m" ? unit.factor * 10 : unit.factor;
    if (count % step == 0) {
      return std::to_string(count / unit.factor) + std::string(unit.name);
    }
  }
  return std::to_string(count) + "ms";
}

}  // namespace tlspost
