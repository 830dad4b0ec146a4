// Results: what one thread of the load generator has seen, and all together.

#ifndef TLSPOST_BENCH_LOAD_RESULTS_H_
#define TLSPOST_BENCH_LOAD_RESULTS_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/phase.h"
#include "bench/measure/histogram.h"
#include "bench/verify/ledger_check.h"
#include "common/io/time.h"

namespace tlspost::load {

class Results {
 public:
  // Kinds of errors that are told apart; what comes later is "other".
  static constexpr size_t kMaxErrorKinds = 100;

  struct Error {
    uint64_t count = 0;
    std::string example;  // the first one's words
  };

  void Took(Phase phase, io::Duration time) {
    phases_[static_cast<size_t>(phase)].Add(
        time.count() > 0 ? static_cast<uint64_t>(time.count()) : 0);
  }
  // `kind` is the phase and the reply's code ("rcpt 450"), or the phase and
  // what became of the connection ("handshake failed").
  void Failed(const std::string& kind, std::string_view example);
  void Merge(const Results& other);
  // Forgets all that was counted, but for errors and what is to be verified.
  void StartOver();

  const measure::Histogram& phase(Phase phase) const {
    return phases_[static_cast<size_t>(phase)];
  }
  const std::map<std::string, Error>& errors() const { return errors_; }
  uint64_t error_count() const;

  uint64_t sessions = 0;  // that came to their end as planned
  uint64_t messages = 0;  // accepted
  uint64_t octets = 0;    // of those
  uint64_t handshakes = 0;
  uint64_t resumed = 0;
  uint64_t missed = 0;                    // open loop: due, and never begun
  std::string tls;                        // of the first handshake, in words
  std::vector<verify::SentMessage> sent;  // with --verify

 private:
  std::array<measure::Histogram, kPhases> phases_;
  std::map<std::string, Error> errors_;
};

}  // namespace tlspost::load

#endif  // TLSPOST_BENCH_LOAD_RESULTS_H_
