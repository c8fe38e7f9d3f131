// Requests as a kernel sends them, and what a hostile one could make of them.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "../wire.h"
#include "random.h"

namespace tarn::fuzz {

using Bytes = std::vector<uint8_t>;

constexpr uint32_t kOpcodes[] = {
    wire::kLookup,   wire::kForget,      wire::kGetattr,   wire::kSetattr,     wire::kReadlink,
    wire::kOpen,     wire::kRead,        wire::kWrite,     wire::kStatfs,      wire::kRelease,
    wire::kGetxattr, wire::kListxattr,   wire::kInit,      wire::kOpendir,     wire::kReaddir,
    wire::kAccess,   wire::kReleasedir,  wire::kInterrupt, wire::kReaddirplus, wire::kBatchForget,
    wire::kIoctl,    wire::kSetxattr,    wire::kCreate,    wire::kFlush,       wire::kLseek,
};

template <typename T>
void Append(Bytes* out, const T& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  out->insert(out->end(), bytes, bytes + sizeof(T));
}

inline void AppendName(Bytes* out, Random* random) {
  const size_t length = 1 + random->Below(random->Below(8) == 0 ? 600 : 40);
  for (size_t i = 0; i < length; i++) out->push_back(static_cast<uint8_t>(1 + random->Below(255)));
  out->push_back(0);
}

inline void AppendBody(Bytes* out, uint32_t opcode, Random* random) {
  switch (opcode) {
    case wire::kLookup:
      return AppendName(out, random);
    case wire::kGetxattr:
      Append(out, wire::GetxattrIn{static_cast<uint32_t>(random->Below(70000)), 0});
      return AppendName(out, random);
    case wire::kListxattr:
      return Append(out, wire::GetxattrIn{static_cast<uint32_t>(random->Below(70000)), 0});
    case wire::kOpen:
    case wire::kOpendir:
      return Append(out, wire::OpenIn{static_cast<uint32_t>(random->Below(4)), 0});
    case wire::kRead:
    case wire::kReaddir:
    case wire::kReaddirplus: {
      wire::ReadIn in = {};
      in.fh = random->Below(8);
      in.offset = random->Below(9000);
      in.size = static_cast<uint32_t>(random->Below(9000));
      return Append(out, in);
    }
    case wire::kRelease:
    case wire::kReleasedir: {
      wire::ReleaseIn in = {};
      in.fh = random->Below(8);
      return Append(out, in);
    }
    case wire::kInterrupt:
      return Append(out, wire::InterruptIn{random->Below(1000)});
    case wire::kInit: {
      wire::InitIn in = {};
      in.major = 7;
      in.minor = static_cast<uint32_t>(20 + random->Below(30));
      in.flags = static_cast<uint32_t>(random->Next());
      in.flags2 = static_cast<uint32_t>(random->Next());
      return Append(out, in);
    }
    default:
      for (uint64_t left = random->Below(64); left > 0; left--) {
        out->push_back(static_cast<uint8_t>(random->Next()));
      }
  }
}

inline Bytes ValidRequest(Random* random) {
  wire::InHeader header = {};
  header.opcode = kOpcodes[random->Below(std::size(kOpcodes))];
  header.unique = 2 * random->Below(1000);
  header.nodeid = 1 + random->Below(100);
  header.pid = static_cast<uint32_t>(random->Below(100));
  Bytes out;
  Append(&out, header);
  AppendBody(&out, header.opcode, random);
  header.len = static_cast<uint32_t>(out.size());
  std::memcpy(out.data(), &header, sizeof(header));
  return out;
}

// Flips, cuts or grows; the length field mostly follows, so that the damage gets past the header.
inline void Mutate(Bytes* bytes, Random* random) {
  for (uint64_t times = 1 + random->Below(4); times > 0; times--) {
    switch (random->Below(4)) {
      case 0:
        if (!bytes->empty()) (*bytes)[random->Below(bytes->size())] ^= 1 << random->Below(8);
        break;
      case 1:
        bytes->resize(random->Below(bytes->size() + 1));
        break;
      case 2:
        bytes->resize(bytes->size() + random->Below(32), static_cast<uint8_t>(random->Next()));
        break;
      default:
        if (bytes->size() >= 8) {
          const uint64_t word = random->Below(3) == 0 ? ~0ULL : random->Next();
          std::memcpy(bytes->data() + random->Below(bytes->size() - 7), &word, 8);
        }
    }
  }
  if (bytes->size() >= 4 && random->Below(8) != 0) {
    const auto length = static_cast<uint32_t>(bytes->size());
    std::memcpy(bytes->data(), &length, sizeof(length));
  }
}

inline Bytes RandomBytes(Random* random) {
  Bytes out(random->Below(200));
  for (auto& byte : out) byte = static_cast<uint8_t>(random->Next());
  return out;
}

}  // namespace tarn::fuzz
