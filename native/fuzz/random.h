// Random numbers that are the same on every machine and in every run.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace tarn::fuzz {

// xorshift64*
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}

  uint64_t Next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1dULL;
  }
  uint64_t Below(uint64_t limit) { return Next() % limit; }

 private:
  uint64_t state_;
};

// An assertion that optimised builds keep.
inline void Check(bool holds, const char* what, uint64_t round) {
  if (holds) return;
  std::fprintf(stderr, "round %llu: %s\n", static_cast<unsigned long long>(round), what);
  std::abort();
}

}  // namespace tarn::fuzz
