#include "tests/sim/auth_scene.h"

#include <chrono>

#include "absl/strings/str_format.h"

namespace tlspost::sim {

using std::chrono_literals::operator""s;

WorldOptions AuthOptions(uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.settings.tls_auth_only = false;
  options.sink.auth = "PLAIN LOGIN X-STEPS";
  for (int i = 0; i < 10; ++i) {
    const SimAuth auth = RightAuth(i, "PLAIN");
    options.sink.passwords[auth.user] = auth.password;
  }
  return options;
}

SimAuth RightAuth(int number, std::string_view mechanism, bool initial) {
  SimAuth auth;
  auth.mechanism = std::string(mechanism);
  auth.user = absl::StrFormat("user%d@users.example", number);
  auth.password = absl::StrFormat("open-sesame-%d", number);
  auth.initial = initial;
  return auth;
}

SimAuth WrongAuth(int number, std::string_view mechanism, bool initial) {
  SimAuth auth = RightAuth(number, mechanism, initial);
  auth.password = absl::StrFormat("wrong-word-%d", number);
  return auth;
}

ClientPlan MakeAuthClient(int number, int mails, std::string_view mechanism,
                          bool initial) {
  ClientPlan plan = MakeClient(number, mails);
  plan.start_after = 1s;
  plan.auths = {RightAuth(number, mechanism, initial)};
  return plan;
}

}  // namespace tlspost::sim
