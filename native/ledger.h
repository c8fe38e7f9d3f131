// What another process needs to serve a mount on where this one ended: records in memory that is
// shared with whoever holds its descriptor, so that they are there however this process ends.
//
// A record is put, replaced and dropped by its kind and number. The memory is a log: two headers, of
// which one word says which is valid, and records, appended and then published by the end in the
// header. All numbers are little-endian:
//
//   0..7     magic and version
//   8..15    which header is valid, 0 or 1
//   16..31   header 0: where the first record starts, where the last one ends
//   32..47   header 1
//   48..55   1 once something could not be recorded
//   4096..   records: bytes of the payload and kind (32 bits each), number (64), payload; padded
//            to 8 bytes. A kind with kDropped says that the record is no more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

namespace tarn {

// Kinds that the session itself records; TypeScript has others (src/mount/native/ledger.ts).
enum Recorded : uint32_t {
  // By handle: an OpenRecord, and of an open directory the inode and the request that it answered, both
  // as double.
  kOpenFile = 1,
  kOpenDirectory = 2,
  // By 0: the kernel has not been told everything.
  kUntold = 3,
};

struct OpenRecord {
  // The request that it answered.
  uint64_t unique;
  uint64_t inode;
  // As of the system call.
  uint32_t flags;
  // 0 where it is not open by passthrough.
  int32_t backing_id;
};
static_assert(sizeof(OpenRecord) == 24);

class Ledger {
 public:
  // Null where there is no memory, or `fd` holds no ledger; takes over `fd`, which is -1 for a new one.
  static std::unique_ptr<Ledger> Open(int fd);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  int fd() const { return fd_; }

  // Any thread. What has no room any more makes the whole ledger useless.
  void Put(uint32_t kind, uint64_t number, const void* payload, size_t length);
  void Drop(uint32_t kind, uint64_t number);

  // False where something could not be recorded, or the records are damaged.
  using Take = std::function<void(uint32_t kind, uint64_t number, const uint8_t*, size_t)>;
  bool Each(const Take& take) const;

 private:
  struct Header {
    uint64_t start;
    uint64_t end;
  };
  struct Live {
    uint64_t at;
    uint64_t bytes;
  };
  explicit Ledger(int fd) : fd_(fd) {}
  bool Map(uint64_t bytes);
  void Append(uint32_t kind, uint64_t number, const void* payload, size_t length);
  bool EachRaw(const std::function<bool(uint32_t kind, uint64_t number, Live)>& take) const;
  bool FindLive(const std::function<void(Live)>& take) const;
  bool MakeRoom(uint64_t bytes);
  void Compact();
  Header ReadHeader() const;
  void Publish(uint64_t end);
  uint64_t* Word(size_t index) const { return reinterpret_cast<uint64_t*>(memory_) + index; }

  const int fd_;
  mutable std::mutex mutex_;
  uint8_t* memory_ = nullptr;
  uint64_t mapped_ = 0;
  // Bytes of records when it was last compacted.
  uint64_t compacted_ = 0;
};

}  // namespace tarn
