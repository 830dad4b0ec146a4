#include "proxy/container.h"

#include <algorithm>

#include "common/base/status.h"
#include "proxy/environment.h"

namespace tlspost {

absl::StatusOr<ContainerTask> ChooseContainerTask(
    const SettingOrigins& origins) {
  if (origins.find("backend") != origins.end()) return ContainerTask::kServe;
  const bool is_by_hand =
      std::any_of(origins.begin(), origins.end(), [](const auto& origin) {
        return origin.second.starts_with(kVariablePrefix) ||
               origin.second.starts_with("--");
      });
  if (!is_by_hand) return ContainerTask::kDemonstrate;
  return Invalid(
      "backend: is not set, and in a container there is no mail server at its "
      "default; set TLSPOST_BACKEND=HOST:PORT");
}

}  // namespace tlspost
