#include "proxy/check/check_report.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "absl/strings/str_format.h"
#include "common/smtp/text.h"
#include "proxy/json_text.h"

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

}  // namespace

std::string FormatFindings(std::span<const Finding> findings) {
  std::string text;
  for (const Finding& finding : findings) {
    absl::StrAppendFormat(&text, "%-4s  %s: %s\n", WordOf(finding.verdict),
                          smtp::OnOneLine(finding.thing),
                          smtp::OnOneLine(finding.text));
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
        WordOf(finding.verdict), JsonQuoted(finding.area),
        JsonQuoted(finding.thing), JsonQuoted(finding.text));
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
