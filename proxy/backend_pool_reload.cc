// Other settings and other backends while connections are open.

#include <optional>
#include <utility>

#include "proxy/backend_pool.h"
#include "proxy/dialing.h"
#include "proxy/generation.h"

namespace tlspost {

void BackendPool::UseSettings(std::shared_ptr<const Settings> settings,
                              std::vector<BackendAddress> addresses) {
  if (stopping_) return;
  if (!OpensAlike(*settings_, *settings)) {
    ++opening_;
    knows_capabilities_ = false;
  }
  settings_ = std::move(settings);
  introducer_.UseSettings(settings_);
  targets_.Replace(std::move(addresses));
  underused_ = nullptr;
  // Until one of them is reached, clients are offered what they were before.
  std::optional<smtp::EhloCapabilities> common = targets_.CommonCapabilities();
  if (common.has_value()) {
    capabilities_ = std::move(common);
  } else {
    knows_capabilities_ = false;
  }
  for (Dialing* dialing : dialing_) {
    if (dialing->target.is_removed()) EndDial(*dialing);
  }
  DropIdle();
  Grow();
  maintenance_.WakeAll(absl::OkStatus());
}

}  // namespace tlspost
