// Granted ranges against a plain array of bits.
#include <bitset>

#include "../files.h"
#include "random.h"

using namespace tarn;
using namespace tarn::fuzz;

int main() {
  constexpr size_t kSpan = 96;
  constexpr uint64_t kRounds = 20'000;
  Random random(42);
  for (uint64_t round = 0; round < kRounds; round++) {
    Ranges ranges;
    std::bitset<kSpan> model;
    for (uint64_t adds = random.Below(12); adds > 0; adds--) {
      const uint64_t start = random.Below(kSpan);
      const uint64_t end = start + random.Below(kSpan - start + 1);
      ranges.Add(start, end);
      for (uint64_t at = start; at < end; at++) model.set(at);
    }
    for (uint64_t start = 0; start < kSpan; start++) {
      bool all = true;
      for (uint64_t end = start; end <= kSpan; end++) {
        if (end > start) all = all && model.test(end - 1);
        Check(ranges.Contains(start, end) == all, "ranges disagree with the bits", round);
      }
    }
  }
  std::printf("ranges: %llu sets\n", static_cast<unsigned long long>(kRounds));
}
