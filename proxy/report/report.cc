#include "proxy/report/report.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "proxy/admin_client.h"
#include "proxy/config.h"

namespace tlspost {
namespace {

int FailReport(const absl::Status& why) {
  const std::string message(MessageOf(why));
  std::fprintf(stderr, "tlspost report: %s\n", message.c_str());
  return 1;
}

}  // namespace

int RunReport(std::span<const char* const> args) {
  bool as_json = false;
  std::vector<const char*> of_serve;
  for (const char* arg : args) {
    if (std::string_view(arg) == "--json") {
      as_json = true;
    } else {
      of_serve.push_back(arg);
    }
  }
  const absl::StatusOr<Settings> settings = LoadSettings(of_serve);
  if (!settings.ok()) return FailReport(settings.status());
  const absl::StatusOr<std::string> report =
      FetchAdminPage(*settings, as_json ? "/tls-report" : "/tls-report.txt");
  if (!report.ok()) return FailReport(report.status());
  std::fwrite(report->data(), 1, report->size(), stdout);
  return 0;
}

}  // namespace tlspost
