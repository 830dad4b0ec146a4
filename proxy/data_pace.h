// DataPace: how long a client may keep us waiting for the rest of its message.
//
// It has a store of patience, data_timeout at first. Waiting for the client
// uses it up, each octet that comes gives some back, at min_data_rate, and
// there is never more of it than at first. So a client that sends one octet
// now and then is given up, and a slow line that stops for a while is not.
// Postfix has the same with smtpd_per_request_deadline. Time spent on the
// backend is not the client's. Reads no clock.

#ifndef TLSPOST_PROXY_DATA_PACE_H_
#define TLSPOST_PROXY_DATA_PACE_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "common/io/time.h"

namespace tlspost {

class DataPace {
 public:
  // `octets_per_second` 0: every piece has all of `patience`.
  DataPace(io::Duration patience, uint64_t octets_per_second)
      : most_(patience), left_(patience), rate_(octets_per_second) {}

  // Until when the next piece must be here, if the wait begins `now`.
  io::Time Deadline(io::Time now) const { return now + left_; }

  // A piece has come.
  void Note(uint64_t octets, io::Duration waited) {
    if (rate_ == 0) return;
    // More would fill the store in any case, and nothing overflows.
    constexpr uint64_t kMost = uint64_t{1} << 30;
    const io::Duration earned(std::chrono::nanoseconds(std::min(octets, kMost) *
                                                       1'000'000'000 / rate_));
    left_ = std::max(left_ - waited, io::Duration(0)) + earned;
    left_ = std::min(left_, most_);
  }

 private:
  const io::Duration most_;
  io::Duration left_;
  const uint64_t rate_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_DATA_PACE_H_
