#include "ledger.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <vector>

namespace tarn {
namespace {

constexpr uint64_t kMagic = 0x0167646c6e726174;  // "tarnldg" and the version, 1
constexpr size_t kMagicWord = 0;
constexpr size_t kWhichWord = 1;
constexpr size_t kHeaderWord = 2;
constexpr size_t kBrokenWord = 6;
constexpr uint64_t kFirst = 4096;
constexpr uint64_t kStartBytes = 64 * 1024;
constexpr uint64_t kBytesMax = 1ULL << 30;
constexpr uint64_t kPayloadMax = 1 << 20;
// Never compacted below: then it costs nothing that could be seen.
constexpr uint64_t kCompactBytes = 8 * 1024 * 1024;
constexpr uint32_t kDropped = 1U << 31;

struct RecordHeader {
  uint32_t length;
  uint32_t kind;
  uint64_t number;
};
static_assert(sizeof(RecordHeader) == 16);

uint64_t Padded(uint64_t length) { return (length + 7) & ~7ULL; }

struct Key {
  uint32_t kind;
  uint64_t number;
  bool operator==(const Key& other) const { return kind == other.kind && number == other.number; }
};

struct KeyHash {
  size_t operator()(const Key& key) const {
    return std::hash<uint64_t>()(key.number * 0x9e3779b97f4a7c15ULL + key.kind);
  }
};

}  // namespace

std::unique_ptr<Ledger> Ledger::Open(int fd) {
  const bool fresh = fd < 0;
  if (fresh) fd = memfd_create("tarn-ledger", MFD_CLOEXEC);
  if (fd < 0) return nullptr;
  std::unique_ptr<Ledger> ledger(new Ledger(fd));
  if (fresh) {
    if (!ledger->Map(kStartBytes)) return nullptr;
    *ledger->Word(kHeaderWord) = *ledger->Word(kHeaderWord + 1) = kFirst;
    *ledger->Word(kMagicWord) = kMagic;
    return ledger;
  }
  struct stat stat;
  if (fstat(fd, &stat) != 0 || static_cast<uint64_t>(stat.st_size) < kFirst) return nullptr;
  if (static_cast<uint64_t>(stat.st_size) > kBytesMax) return nullptr;
  if (!ledger->Map(static_cast<uint64_t>(stat.st_size))) return nullptr;
  if (*ledger->Word(kMagicWord) != kMagic || *ledger->Word(kWhichWord) > 1) return nullptr;
  const Header header = ledger->ReadHeader();
  if (header.start < kFirst || header.start > header.end || header.end > ledger->mapped_ ||
      header.start % 8 != 0 || header.end % 8 != 0) {
    return nullptr;
  }
  return ledger;
}

Ledger::~Ledger() {
  if (memory_ != nullptr) munmap(memory_, mapped_);
  close(fd_);
}

void Ledger::Put(uint32_t kind, uint64_t number, const void* payload, size_t length) {
  std::lock_guard<std::mutex> lock(mutex_);
  Append(kind & ~kDropped, number, payload, length);
}

void Ledger::Drop(uint32_t kind, uint64_t number) {
  std::lock_guard<std::mutex> lock(mutex_);
  Append(kind | kDropped, number, nullptr, 0);
}

bool Ledger::Each(const Take& take) const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (*Word(kBrokenWord) != 0) return false;
  return FindLive([&](Live live) {
    RecordHeader header;
    std::memcpy(&header, memory_ + live.at, sizeof(header));
    take(header.kind, header.number, memory_ + live.at + sizeof(header), header.length);
  });
}

bool Ledger::Map(uint64_t bytes) {
  if (ftruncate(fd_, static_cast<off_t>(bytes)) != 0) return false;
  void* at = memory_ == nullptr
                 ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0)
                 : mremap(memory_, mapped_, bytes, MREMAP_MAYMOVE);
  if (at == MAP_FAILED) return false;
  memory_ = static_cast<uint8_t*>(at);
  mapped_ = bytes;
  return true;
}

void Ledger::Append(uint32_t kind, uint64_t number, const void* payload, size_t length) {
  if (*Word(kBrokenWord) != 0) return;
  const uint64_t bytes = sizeof(RecordHeader) + Padded(length);
  if (length > kPayloadMax || !MakeRoom(bytes)) {
    *Word(kBrokenWord) = 1;
    return;
  }
  const Header header = ReadHeader();
  const RecordHeader record = {static_cast<uint32_t>(length), kind, number};
  uint8_t* const at = memory_ + header.end;
  std::memcpy(at, &record, sizeof(record));
  if (length > 0) std::memcpy(at + sizeof(record), payload, length);
  Publish(header.end + bytes);
}

bool Ledger::EachRaw(const std::function<bool(uint32_t, uint64_t, Live)>& take) const {
  const Header header = ReadHeader();
  for (uint64_t at = header.start; at < header.end;) {
    RecordHeader record;
    if (header.end - at < sizeof(record)) return false;
    std::memcpy(&record, memory_ + at, sizeof(record));
    const uint64_t bytes = sizeof(record) + Padded(record.length);
    if (record.length > kPayloadMax || bytes > header.end - at) return false;
    if (!take(record.kind, record.number, Live{at, bytes})) return false;
    at += bytes;
  }
  return true;
}

// The records that were neither dropped nor replaced, in the order in which they were put.
bool Ledger::FindLive(const std::function<void(Live)>& take) const {
  std::unordered_map<Key, Live, KeyHash> live;
  const bool sound = EachRaw([&](uint32_t kind, uint64_t number, Live found) {
    const Key key{kind & ~kDropped, number};
    if ((kind & kDropped) != 0) {
      live.erase(key);
    } else {
      live[key] = found;
    }
    return true;
  });
  if (!sound) return false;
  std::vector<Live> ordered;
  ordered.reserve(live.size());
  for (const auto& [key, found] : live) ordered.push_back(found);
  std::sort(ordered.begin(), ordered.end(), [](Live a, Live b) { return a.at < b.at; });
  for (const Live found : ordered) take(found);
  return true;
}

bool Ledger::MakeRoom(uint64_t bytes) {
  Header header = ReadHeader();
  if (header.end - header.start >= std::max(kCompactBytes, compacted_ * 2)) {
    Compact();
    header = ReadHeader();
  }
  if (header.end + bytes <= mapped_) return true;
  const uint64_t wanted = std::max(mapped_ * 2, header.end + bytes);
  return wanted <= kBytesMax && Map(wanted);
}

// Copies what is live below or behind what there is, and makes that valid in one store.
void Ledger::Compact() {
  const Header header = ReadHeader();
  uint64_t total = 0;
  std::vector<Live> kept;
  const bool sound = FindLive([&](Live found) {
    kept.push_back(found);
    total += found.bytes;
  });
  if (!sound) return;
  const bool below = kFirst + total <= header.start;
  uint64_t to = below ? kFirst : header.end;
  if (to + total > mapped_ && (to + total > kBytesMax || !Map(to + total))) return;
  const uint64_t start = to;
  for (const Live found : kept) {
    std::memcpy(memory_ + to, memory_ + found.at, found.bytes);
    to += found.bytes;
  }
  const uint64_t which = 1 - *Word(kWhichWord);
  *Word(kHeaderWord + which * 2) = start;
  *Word(kHeaderWord + which * 2 + 1) = to;
  __atomic_store_n(Word(kWhichWord), which, __ATOMIC_RELEASE);
  compacted_ = total;
  // Below, what was read before lies behind the new end and is written over; else it goes now.
  if (!below) {
    fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kFirst,
              static_cast<off_t>(start - kFirst));
  }
}

Ledger::Header Ledger::ReadHeader() const {
  const size_t at = kHeaderWord + *Word(kWhichWord) * 2;
  return Header{*Word(at), *Word(at + 1)};
}

void Ledger::Publish(uint64_t end) {
  __atomic_store_n(Word(kHeaderWord + *Word(kWhichWord) * 2 + 1), end, __ATOMIC_RELEASE);
}

}  // namespace tarn
