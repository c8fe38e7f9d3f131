// Bytes from the kernel to a request: a pure function, so that it can be fuzzed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire.h"

namespace tarn {

// One request; what its opcode does not carry is zero. `name` and `payload` point into the decoded
// buffer.
struct Request {
  uint32_t opcode = 0;
  uint32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t unique = 0;
  // It was delivered before, maybe to another process.
  bool resent = false;
  uint64_t nodeid = 0;
  // Of INTERRUPT: the request that is no longer wanted.
  uint64_t fh = 0;
  uint64_t offset = 0;
  uint32_t size = 0;
  // As of the system call; of SETATTR what is set, of LSEEK whence.
  uint32_t flags = 0;
  // Of a node that is made or changed; of FALLOCATE its mode.
  uint32_t mode = 0;
  // FUSE_OPEN_* of OPEN and CREATE.
  uint32_t open_flags = 0;
  // The new directory of RENAME, the node that LINK names.
  uint64_t node2 = 0;
  // The target of COPY_FILE_RANGE.
  uint64_t fh2 = 0;
  uint64_t offset2 = 0;
  // Bytes; of FORGET how often, of MKNOD the device.
  uint64_t length = 0;
  int64_t atime = 0;
  int64_t mtime = 0;
  uint32_t atime_nsec = 0;
  uint32_t mtime_nsec = 0;
  std::string_view name;
  // Bytes of WRITE, value of SETXATTR, new name of RENAME, target of SYMLINK, wire::ForgetOne of
  // BATCH_FORGET.
  std::string_view payload;
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
