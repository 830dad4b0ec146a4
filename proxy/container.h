// `tlspost container`: what a container image runs when it is told nothing.
// With settings it serves; with none it shows the demonstration, so that who
// tries the image sees something.

#ifndef TLSPOST_PROXY_CONTAINER_H_
#define TLSPOST_PROXY_CONTAINER_H_

#include <span>

#include "absl/status/statusor.h"
#include "proxy/config.h"

namespace tlspost {

enum class ContainerTask { kServe, kDemonstrate };

// `origins`: where the settings come from. Those of the image's own file name
// no backend. Error: somebody has set something, but not what mail is for.
absl::StatusOr<ContainerTask> ChooseContainerTask(
    const SettingOrigins& origins);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CONTAINER_H_
