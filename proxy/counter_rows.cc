// Quantiles.

#include "proxy/counter_rows.h"

namespace tlspost {

double DurationHistogram::QuantileUs(double part) const {
  const int64_t total = count();
  if (total == 0) return 0;
  const double wanted = part * static_cast<double>(total);
  double before = 0;
  for (size_t i = 0; i < kUpperEndsUs.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && before + here >= wanted) {
      // Evenly spread within the class, as Prometheus assumes.
      const auto low = static_cast<double>(i == 0 ? 0 : kUpperEndsUs[i - 1]);
      const auto high = static_cast<double>(kUpperEndsUs[i]);
      return low + (high - low) * (wanted - before) / here;
    }
    before += here;
  }
  return static_cast<double>(kUpperEndsUs.back());
}

}  // namespace tlspost
