// Whom a start would go on as, and whether it can.

#include <unistd.h>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "proxy/check/check.h"
#include "proxy/walls/identity.h"

namespace tlspost {

void CheckPrivileges(const Settings& settings, std::vector<Finding>& findings) {
  AreaFindings found("machine", findings);
  const auto identity = FindIdentity(settings);
  if (absl::IsPermissionDenied(identity.status())) {
    // Whoever starts it may be root, though we are not.
    found.Note("user", MessageOf(identity.status()));
  } else if (!identity.ok()) {
    found.Fail("user", MessageOf(identity.status()));
  } else if (identity->has_value()) {
    found.Ok("user", absl::StrFormat("goes on as %s (user id %d, group id %d)",
                                     (*identity)->user_name, (*identity)->user,
                                     (*identity)->group));
  } else if (geteuid() == 0) {
    found.Note("user",
               "started by root, it stays root; set user to an account of its "
               "own");
  }
  if (!settings.sandbox) {
    found.Note("sandbox",
               "is off: core dumps may hold keys, and nothing limits what the "
               "process can do; leave sandbox out");
  }
}

}  // namespace tlspost
