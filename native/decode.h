// Bytes from the kernel to a request: a pure function, so that it can be fuzzed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire.h"

namespace tarn {

// One request; what its opcode does not carry is zero. `name` points into the decoded buffer.
struct Request {
  uint32_t opcode = 0;
  uint32_t pid = 0;
  uint64_t unique = 0;
  uint64_t nodeid = 0;
  uint64_t fh = 0;
  uint64_t offset = 0;
  uint32_t size = 0;
  // As of open(2).
  uint32_t flags = 0;
  // Of INTERRUPT: the request that is no longer wanted.
  uint64_t target = 0;
  std::string_view name;
  wire::InitIn init = {};
};

enum class Decoded {
  kOk,
  // No whole header, or one whose length is not what was read: nothing in it can be answered.
  kBadHeader,
  // `unique` holds and can be answered with an error; the rest means nothing.
  kBadBody,
};

// Largest number that JavaScript holds exactly.
constexpr uint64_t kNumberMax = (1ULL << 53) - 1;

Decoded Decode(const uint8_t* bytes, size_t length, Request* out);

}  // namespace tarn
