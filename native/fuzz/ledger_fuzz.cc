// The ledger against a plain map, opened again as after the end of the process at every so many steps;
// and damaged ledgers, which must be refused or read without harm.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "../ledger.h"
#include "random.h"

using namespace tarn;
using namespace tarn::fuzz;

namespace {

using Model = std::map<std::pair<uint32_t, uint64_t>, std::string>;

Model Contents(const Ledger& ledger, uint64_t round) {
  Model out;
  const bool sound = ledger.Each([&](uint32_t kind, uint64_t number, const uint8_t* at, size_t n) {
    out[{kind, number}] = std::string(reinterpret_cast<const char*>(at), n);
  });
  Check(sound, "a ledger that is not whole", round);
  return out;
}

void AgainstModel(uint64_t seed, uint64_t steps, size_t length_max) {
  Random random(seed);
  std::unique_ptr<Ledger> ledger = Ledger::Open(-1);
  Check(ledger != nullptr, "no ledger", seed);
  Model model;
  for (uint64_t step = 0; step < steps; step++) {
    const uint32_t kind = 1 + static_cast<uint32_t>(random.Below(4));
    const uint64_t number = random.Below(50);
    if (random.Below(3) == 0) {
      ledger->Drop(kind, number);
      model.erase({kind, number});
    } else {
      const std::string payload(random.Below(length_max), static_cast<char>(random.Next()));
      ledger->Put(kind, number, payload.data(), payload.size());
      model[{kind, number}] = payload;
    }
    if (random.Below(steps / 4) != 0) continue;
    Check(Contents(*ledger, step) == model, "another content", step);
    ledger = Ledger::Open(dup(ledger->fd()));
    Check(ledger != nullptr && Contents(*ledger, step) == model, "another content later", step);
  }
  Check(Contents(*ledger, seed) == model, "another content at the end", seed);
}

void Damaged(uint64_t seed) {
  Random random(seed);
  std::unique_ptr<Ledger> ledger = Ledger::Open(-1);
  for (uint64_t i = 0; i < 20; i++) {
    const std::string payload(random.Below(200), 'x');
    ledger->Put(1 + static_cast<uint32_t>(random.Below(3)), i, payload.data(), payload.size());
  }
  for (uint64_t flips = 1 + random.Below(6); flips > 0; flips--) {
    const uint8_t byte = static_cast<uint8_t>(random.Next());
    const off_t at = static_cast<off_t>(random.Below(2) == 0 ? random.Below(64)
                                                             : 4096 + random.Below(3000));
    Check(pwrite(ledger->fd(), &byte, 1, at) == 1, "nothing written", seed);
  }
  const std::unique_ptr<Ledger> again = Ledger::Open(dup(ledger->fd()));
  if (!again) return;
  size_t total = 0;
  again->Each([&](uint32_t, uint64_t, const uint8_t* at, size_t length) {
    for (size_t i = 0; i < length; i++) total += at[i];
  });
  again->Put(1, 1, "x", 1);
}

}  // namespace

int main() {
  for (uint64_t seed = 1; seed <= 20; seed++) AgainstModel(seed, 4000, 100);
  // So much that it is compacted, above and below.
  AgainstModel(21, 3000, 60'000);
  for (uint64_t seed = 1; seed <= 20'000; seed++) Damaged(seed);
  std::printf("ledger: 83000 steps, 20000 damaged\n");
}
