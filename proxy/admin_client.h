// Asks a running tlspost for one of the pages of its admin_listen address.
//
// One request, within a few seconds and a bounded size. Blocks; for the
// program's own commands.

#ifndef TLSPOST_PROXY_ADMIN_CLIENT_H_
#define TLSPOST_PROXY_ADMIN_CLIENT_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proxy/settings.h"

namespace tlspost {

// A page is no longer than this.
inline constexpr size_t kMaxAdminPageOctets = size_t{4} << 20;

// The body of the page at `path`. Errors: one plain line: admin_listen is not
// set, nobody answers there, or not with 200.
absl::StatusOr<std::string> FetchAdminPage(const Settings& settings,
                                           std::string_view path);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_ADMIN_CLIENT_H_
