// How the findings of `tlspost check` are printed, for people and for programs.

#ifndef TLSPOST_PROXY_CHECK_CHECK_REPORT_H_
#define TLSPOST_PROXY_CHECK_CHECK_REPORT_H_

#include <span>
#include <string>

#include "proxy/check/finding.h"

namespace tlspost {

// A line for each, "WARN  THING: TEXT", and one that counts them.
std::string FormatFindings(std::span<const Finding> findings);

// {"findings": [{"verdict", "area", "thing", "text"}...], "ok", "note", "warn",
// "fail"}: the last four are counts. Always valid JSON in UTF-8.
std::string FormatFindingsJson(std::span<const Finding> findings);

// 1 if any has failed, or (strict) any is a warning; else 0.
int ExitStatus(std::span<const Finding> findings, bool strict);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CHECK_CHECK_REPORT_H_
