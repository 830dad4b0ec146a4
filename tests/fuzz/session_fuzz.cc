// A whole worker on the simulated loop: a client that says whatever it likes,
// and one that sends a mail over the same backend connection, which must
// arrive as if the first were not there.

#include <chrono>
#include <string>
#include <utility>

#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/targets.h"
#include "tests/sim/world.h"

namespace tlspost::fuzz {
namespace {

constexpr size_t kMostPieces = 64;

}  // namespace

void Session(std::string_view octets) {
  FuzzInput input(octets);
  sim::WorldOptions options;
  const uint8_t how = input.Octet();
  options.seed = 1 + how % 16;
  options.tls = how % 2 == 0;
  options.settings.backend_max_connections = 1;
  if (how % 4 == 0) options.settings.bare_newline = BareNewline::kReject;
  if (how % 8 == 0)
    options.settings.tls_security_level = TlsSecurityLevel::kMay;
  sim::World world(std::move(options));

  sim::ClientPlan hostile = sim::MakeClient(0, 0);
  hostile.says_hello = how % 3 == 0;
  hostile.says_quit = false;
  hostile.lawless = true;
  // Or all of it is there at once.
  if (how % 5 > 0) hostile.pause = std::chrono::milliseconds(10);
  hostile.address = "192.0.2.66";
  for (size_t piece = 0; piece < kMostPieces && !input.empty(); ++piece) {
    const std::string bytes(piece + 1 == kMostPieces ? input.Rest()
                                                     : input.Piece(254));
    hostile.raw.push_back({bytes, 0});
  }
  world.AddClient(hostile);
  sim::ClientPlan other = sim::MakeClient(1, 1);
  other.start_after = std::chrono::milliseconds(how);
  world.AddClient(std::move(other));

  Expect(world.Run().empty(), "the ledger balances");
  const sim::MailResult& result = world.client(1).results()[0];
  Expect(result.mail / 100 != 5 && result.final_code / 100 != 5,
         "another client's mail is taken, or put off");
}

}  // namespace tlspost::fuzz
