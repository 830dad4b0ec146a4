// A fuzzer of one target, by its name in TLSPOST_FUZZ_TARGET; libFuzzer has
// the main function.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* octets, size_t size) {
  static const auto run = [] {
    for (const tlspost::fuzz::Target& target : tlspost::fuzz::kTargets) {
      if (target.name == TLSPOST_FUZZ_TARGET) return target.run;
    }
    tlspost::fuzz::Expect(false, "there is a target " TLSPOST_FUZZ_TARGET);
    return tlspost::fuzz::kTargets[0].run;
  }();
  run(std::string_view(reinterpret_cast<const char*>(octets), size));
  return 0;
}
