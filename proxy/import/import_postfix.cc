#include "proxy/import/import_postfix.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "proxy/import/converted_settings.h"
#include "proxy/import/postfix_table.h"

namespace tlspost {
namespace {

// What is not about us, and is not even listed.
bool IsAboutTls(std::string_view name) {
  for (const std::string_view prefix :
       {"smtpd_tls_", "smtp_tls_", "tls_", "tlsproxy_tls_", "lmtp_tls_"}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

std::string_view RemarkOn(std::string_view name) {
  for (const PostfixRemark& remark : PostfixRemarks()) {
    if (remark.parameter == name) return remark.why;
  }
  return {};
}

// Comment lines with what has to change at Postfix itself.
std::string FormatAdvice(const MainCf& main_cf) {
  const std::vector<std::string> names = main_cf.names();
  std::string lines;
  for (const PostfixRemark& advice : PostfixAdvice()) {
    const bool concerns_it = std::any_of(
        names.begin(), names.end(), [&advice](const std::string& name) {
          return name.starts_with(advice.parameter);
        });
    if (!concerns_it) continue;
    const bool is_group = advice.parameter.ends_with('_');
    lines += CommentLine(absl::StrFormat("%s%s: %s", advice.parameter,
                                         is_group ? "..." : "", advice.why));
  }
  return lines.empty() ? "" : "\n# To be changed at Postfix:\n" + lines;
}

std::set<std::string_view> KnownParameters() {
  std::set<std::string_view> known;
  for (const PostfixRow& row : PostfixRows()) {
    for (const std::string_view name : NamesIn(row.parameters)) {
      known.insert(name);
    }
  }
  return known;
}

// Comment lines with what stays behind.
std::string FormatLeftovers(const MainCf& main_cf) {
  const std::set<std::string_view> known = KnownParameters();
  std::string without;
  std::string others;
  for (const std::string& name : main_cf.names()) {
    if (known.count(name) > 0) continue;
    const std::string_view remark = RemarkOn(name);
    if (IsAboutTls(name) || !remark.empty()) {
      without += CommentLine(
          absl::StrFormat("%s = %s: %s", name, main_cf.Find(name).value_or(""),
                          remark.empty() ? std::string("has no counterpart")
                                         : std::string(remark)));
    } else {
      others.append(others.empty() ? "" : ", ").append(name);
    }
  }
  std::string text;
  if (!without.empty()) text += "\n# Without a counterpart:\n" + without;
  if (!others.empty()) {
    text += "\n# Stays Postfix's work:\n" + CommentLine(others);
  }
  return text;
}

std::string FormatDoubts(const MainCf& main_cf,
                         const ConvertedSettings& converted) {
  std::string doubts;
  for (const std::string& line : main_cf.odd_lines()) {
    doubts += CommentLine(line);
  }
  for (const std::string& name : main_cf.unknown_variables()) {
    doubts += CommentLine("$" + name +
                          " is not set in this file and was taken for empty; "
                          "see postconf -x");
  }
  for (const std::string& problem : converted.FindProblems()) {
    doubts += CommentLine(problem);
  }
  return doubts.empty() ? "" : "\n# To be looked at:\n" + doubts;
}

}  // namespace

std::string ImportPostfix(const MainCf& main_cf, std::string_view path) {
  ConvertedSettings converted(main_cf);
  for (const PostfixRow& row : PostfixRows()) converted.Convert(row);
  std::string text = absl::StrFormat(
      "# Made by tlspost import-postfix from\n%s"
      "# What main.cf leaves out keeps tlspost's default. Look at this file "
      "with:\n#   tlspost check --config=FILE\n\n"
      "# Postfix moves to this port in master.cf; see the README.\n"
      "backend = [\"127.0.0.1:10025\"]\n"
      "# Without XCLIENT, all mail would seem to come from tlspost.\n"
      "backend_identity = \"xclient\"\n\n",
      CommentLine(path));
  text += converted.text();
  text += FormatLeftovers(main_cf);
  text += FormatAdvice(main_cf);
  return text + FormatDoubts(main_cf, converted);
}

int RunImportPostfix(std::span<const char* const> args) {
  if (args.size() != 1 || std::string_view(args[0]).starts_with("--")) {
    std::fprintf(stderr,
                 "tlspost import-postfix: takes one file: tlspost "
                 "import-postfix /etc/postfix/main.cf\n");
    return 2;
  }
  const auto main_cf = MainCf::Read(args[0]);
  if (!main_cf.ok()) {
    const std::string message(MessageOf(main_cf.status()));
    std::fprintf(stderr, "tlspost import-postfix: %s\n", message.c_str());
    return 1;
  }
  std::fputs(ImportPostfix(*main_cf, args[0]).c_str(), stdout);
  return 0;
}

}  // namespace tlspost
