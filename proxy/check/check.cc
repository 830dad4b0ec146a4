#include "proxy/check/check.h"

#include <cstdio>
#include <string>
#include <string_view>

#include "proxy/check/check_report.h"

namespace tlspost {

int RunCheck(std::span<const char* const> args) {
  bool as_json = false;
  bool is_strict = false;
  std::vector<const char*> of_serve;
  for (const char* arg : args) {
    const std::string_view option = arg;
    if (option == "--json") {
      as_json = true;
    } else if (option == "--strict") {
      is_strict = true;
    } else {
      of_serve.push_back(arg);
    }
  }
  std::vector<Finding> findings;
  const auto settings = CheckSettings(of_serve, findings);
  if (settings.has_value()) {
    TlsLoader loader(*settings, /*workers=*/1);
    TlsLoader::Loaded loaded;
    CheckCertificates(*settings, loader, loaded, findings);
    CheckMachine(*settings, findings);
    CheckPrivileges(*settings, findings);
    CheckBackends(*settings, loaded.workers.front(), findings);
  }
  const std::string report =
      as_json ? FormatFindingsJson(findings) : FormatFindings(findings);
  std::fputs(report.c_str(), stdout);
  return ExitStatus(findings, is_strict);
}

}  // namespace tlspost
