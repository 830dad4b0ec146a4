// Ledger: what the clients were told against what the backends took.
//
// The rules of style.md's "test seam" as far as they can be read from both
// ends of the proxy: no mail is lost, invented, doubled, cut or mixed, and
// each carries its own client's identity. Whether sessions ended and memory
// came back is the world's part.

#ifndef TLSPOST_TESTS_SIM_LEDGER_H_
#define TLSPOST_TESTS_SIM_LEDGER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/demo/sink_mta.h"
#include "tests/sim/sim_client.h"

namespace tlspost::sim {

class Ledger {
 public:
  using Clients = std::vector<std::unique_ptr<SimClient>>;

  // A backend is about to say 250 to `message`.
  void NoteAccepted(const SinkMta::Message& message) {
    accepted_.push_back(message);
  }
  const std::vector<SinkMta::Message>& accepted() const { return accepted_; }

  // One line per broken rule. `told`: the attributes of each client that the
  // backend must have been told, parted by blanks; "": none. `may_lie`: a
  // backend's refusal may not be its last word.
  std::vector<std::string> Check(const Clients& clients, std::string_view told,
                                 bool may_lie) const;

 private:
  std::vector<SinkMta::Message> accepted_;
};

// What of the clients' credentials stands in `log`, where none may be.
std::vector<std::string> FindSecrets(std::string_view log,
                                     const Ledger::Clients& clients);

// The message's own text, behind our Received header; nullopt when there is
// no such header at its top.
std::optional<std::string_view> BehindReceived(std::string_view data);

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_LEDGER_H_
