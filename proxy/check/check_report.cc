#include "proxy/check/check_report.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "absl/strings/str_format.h"

namespace tlspost {
namespace {

// In the order of the enum.
constexpr std::array<std::string_view, 4> kWords = {"OK", "NOTE", "WARN",
                                                    "FAIL"};
constexpr std::array<std::string_view, 4> kCountNames = {"ok", "note", "warn",
                                                         "fail"};

std::string_view WordOf(Verdict verdict) {
  return kWords[static_cast<size_t>(verdict)];
}

size_t Count(std::span<const Finding> findings, Verdict verdict) {
  return static_cast<size_t>(std::count_if(
      findings.begin(), findings.end(),
      [&](const Finding& finding) { return finding.verdict == verdict; }));
}

// Names of files and what a backend says may hold anything.
std::string OneLine(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if ((c >= 0 && c < ' ') || c == 0x7f) c = '?';
  }
  return line;
}

// The octets of the UTF-8 character that `text` begins with; 0: it is none.
size_t CharacterLength(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  size_t length = 1;
  if (first >= 0xf5 || (first >= 0x80 && first < 0xc2)) return 0;
  if (first >= 0xf0) {
    length = 4;
  } else if (first >= 0xe0) {
    length = 3;
  } else if (first >= 0xc2) {
    length = 2;
  }
  if (text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is above U+10FFFF (RFC 3629).
  const auto second =
      length > 1 ? static_cast<unsigned char>(text[1]) : uint8_t{0};
  const bool is_wrong =
      (first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0) ||
      (first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90);
  return is_wrong ? 0 : length;
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const std::string_view character =
        text.substr(0, std::max(length, size_t{1}));
    text.remove_prefix(character.size());
    const auto octet = static_cast<unsigned char>(character.front());
    if (length == 0) {
      quoted += "\\ufffd";
    } else if (octet < 0x20) {
      quoted += absl::StrFormat("\\u%04x", octet);
    } else if (octet == '"' || octet == '\\') {
      quoted.append("\\").append(character);
    } else {
      quoted += character;
    }
  }
  return quoted + '"';
}

}  // namespace

std::string FormatFindings(std::span<const Finding> findings) {
  std::string text;
  for (const Finding& finding : findings) {
    absl::StrAppendFormat(&text, "%-4s  %s: %s\n", WordOf(finding.verdict),
                          OneLine(finding.thing), OneLine(finding.text));
  }
  std::string counts;
  for (size_t i = 0; i < kWords.size(); ++i) {
    absl::StrAppendFormat(&counts, "%s%d %s", i == 0 ? "" : ", ",
                          Count(findings, static_cast<Verdict>(i)), kWords[i]);
  }
  return text + counts + '\n';
}

std::string FormatFindingsJson(std::span<const Finding> findings) {
  std::string json = "{\"findings\": [";
  std::string_view separator = "\n  ";
  for (const Finding& finding : findings) {
    json += separator;
    separator = ",\n  ";
    absl::StrAppendFormat(
        &json, R"({"verdict": "%s", "area": %s, "thing": %s, "text": %s})",
        WordOf(finding.verdict), Quoted(finding.area), Quoted(finding.thing),
        Quoted(finding.text));
  }
  json += "\n]";
  for (size_t i = 0; i < kCountNames.size(); ++i) {
    absl::StrAppendFormat(&json, ", \"%s\": %d", kCountNames[i],
                          Count(findings, static_cast<Verdict>(i)));
  }
  return json + "}\n";
}

int ExitStatus(std::span<const Finding> findings, bool strict) {
  if (Count(findings, Verdict::kFail) > 0) return 1;
  return strict && Count(findings, Verdict::kWarn) > 0 ? 1 : 0;
}

}  // namespace tlspost
