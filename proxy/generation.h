// Generation: the settings as they hold from one reload to the next, with what
// is made of them once.
//
// Made whole before anything uses it, then shared by all workers, unchanged. A
// session keeps the generation that it began with; a reload makes a new one.

#ifndef TLSPOST_PROXY_GENERATION_H_
#define TLSPOST_PROXY_GENERATION_H_

#include <memory>
#include <vector>

#include "proxy/backend_target.h"
#include "proxy/front_terms.h"
#include "proxy/settings.h"

namespace tlspost {

struct Generation {
  // `its_settings` passed FindSettingsProblem.
  Generation(Settings its_settings, std::vector<BackendAddress> its_backends);
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  const Settings settings;
  const std::vector<BackendAddress> backends;
  // The settings' own terms, then those of each [[listener]].
  const std::vector<std::unique_ptr<const FrontTerms>> terms;
};

// `backends` as a new generation has them: an address that `before` has too
// keeps what the log has said of it.
std::vector<BackendAddress> KeepNotes(
    std::vector<BackendAddress> backends,
    const std::vector<BackendAddress>& before);

// Whether a connection opened to a backend under `before` is what would be
// opened under `after`.
bool OpensAlike(const Settings& before, const Settings& after);

// Only its settings; they live as long.
std::shared_ptr<const Settings> SettingsOf(
    std::shared_ptr<const Generation> generation);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_GENERATION_H_
