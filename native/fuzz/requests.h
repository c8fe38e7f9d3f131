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
    wire::kLookup,      wire::kForget,     wire::kGetattr,       wire::kSetattr,
    wire::kReadlink,    wire::kSymlink,    wire::kMknod,         wire::kMkdir,
    wire::kUnlink,      wire::kRmdir,      wire::kRename,        wire::kLink,
    wire::kOpen,        wire::kRead,       wire::kWrite,         wire::kStatfs,
    wire::kRelease,     wire::kFsync,      wire::kSetxattr,      wire::kGetxattr,
    wire::kListxattr,   wire::kRemovexattr, wire::kFlush,        wire::kInit,
    wire::kOpendir,     wire::kReaddir,    wire::kReleasedir,    wire::kFsyncdir,
    wire::kAccess,      wire::kCreate,     wire::kInterrupt,     wire::kIoctl,
    wire::kBatchForget, wire::kFallocate,  wire::kReaddirplus,   wire::kRename2,
    wire::kLseek,       wire::kCopyFileRange, wire::kTmpfile,    wire::kCopyFileRange64,
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

inline void AppendBytes(Bytes* out, size_t length, Random* random) {
  for (; length > 0; length--) out->push_back(static_cast<uint8_t>(random->Next()));
}

inline uint32_t Small(Random* random, uint64_t limit) {
  return static_cast<uint32_t>(random->Below(limit));
}

// Requests that make, move or remove names.
inline void AppendNames(Bytes* out, uint32_t opcode, Random* random) {
  switch (opcode) {
    case wire::kCreate:
      Append(out, wire::CreateIn{Small(random, 4096), Small(random, 65536), 0, 0});
      break;
    case wire::kMknod:
      Append(out, wire::MknodIn{Small(random, 65536), Small(random, 65536), 0, 0});
      break;
    case wire::kMkdir:
      Append(out, wire::MkdirIn{Small(random, 65536), 0});
      break;
    case wire::kLink:
      Append(out, wire::LinkIn{random->Below(100)});
      break;
    case wire::kRename:
      Append(out, wire::RenameIn{random->Below(100)});
      AppendName(out, random);
      break;
    case wire::kRename2:
      Append(out, wire::Rename2In{random->Below(100), Small(random, 4), 0});
      AppendName(out, random);
      break;
    case wire::kSymlink:
      AppendName(out, random);
      break;
    default:
      break;
  }
  AppendName(out, random);
}

// Requests on the bytes of open files; false for others.
inline bool AppendFile(Bytes* out, uint32_t opcode, Random* random) {
  const uint64_t fh = random->Below(8);
  const uint64_t offset = random->Below(40'000);
  switch (opcode) {
    case wire::kWrite: {
      wire::WriteIn in = {};
      in.fh = fh;
      in.offset = offset;
      in.size = Small(random, random->Below(4) == 0 ? 20'000 : 300);
      Append(out, in);
      AppendBytes(out, in.size, random);
      return true;
    }
    case wire::kFallocate:
      Append(out, wire::FallocateIn{fh, offset, random->Below(9000), Small(random, 20), 0});
      return true;
    case wire::kLseek:
      Append(out, wire::LseekIn{fh, offset, 3 + Small(random, 2), 0});
      return true;
    case wire::kCopyFileRange:
    case wire::kCopyFileRange64:
      Append(out, wire::CopyFileRangeIn{fh, offset, 1, random->Below(8), offset, 9000, 0});
      return true;
    case wire::kFsync:
    case wire::kFsyncdir:
      Append(out, wire::FsyncIn{fh, 0, 0});
      return true;
    default:
      return false;
  }
}

inline void AppendBody(Bytes* out, uint32_t opcode, Random* random) {
  if (AppendFile(out, opcode, random)) return;
  switch (opcode) {
    case wire::kLookup:
    case wire::kUnlink:
    case wire::kRmdir:
    case wire::kCreate:
    case wire::kMknod:
    case wire::kMkdir:
    case wire::kSymlink:
    case wire::kLink:
    case wire::kRename:
    case wire::kRename2:
      return AppendNames(out, opcode, random);
    case wire::kSetattr: {
      wire::SetattrIn in = {};
      in.valid = Small(random, 4096);
      in.fh = random->Below(8);
      in.size = random->Next() >> 1;
      in.atime = static_cast<int64_t>(random->Next());
      return Append(out, in);
    }
    case wire::kForget:
      return Append(out, wire::ForgetIn{random->Below(5)});
    case wire::kBatchForget: {
      const uint32_t count = Small(random, 20);
      Append(out, wire::BatchForgetIn{count, 0});
      for (uint32_t i = 0; i < count; i++) Append(out, wire::ForgetOne{random->Below(100), 1});
      return;
    }
    case wire::kSetxattr: {
      const uint32_t size = Small(random, 200);
      Append(out, wire::SetxattrIn{size, 0});
      AppendName(out, random);
      return AppendBytes(out, size, random);
    }
    case wire::kRemovexattr:
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
      AppendBytes(out, random->Below(64), random);
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
