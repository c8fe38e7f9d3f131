#include "staged.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>

namespace tarn {
namespace {

// Layout of the page map: OVERLAY.md, Bytes.
constexpr size_t kHeaderBytes = 4096;
constexpr size_t kLimitAt = 8;
constexpr size_t kBaseBytesAt = 16;
constexpr uint8_t kMagic[8] = {'t', 'a', 'r', 'n', 'p', 'a', 'g', 1};

uint64_t PageOf(uint64_t offset) { return offset / kPageBytes; }
uint64_t PagesIn(uint64_t bytes) { return bytes / kPageBytes + (bytes % kPageBytes != 0); }

// The file's length, or -1 and errno.
int64_t LengthOf(int fd) {
  struct stat found;
  return fstat(fd, &found) == 0 ? found.st_size : -1;
}

// Bytes written; fewer than `size` only with an errno.
size_t WriteAll(int fd, uint64_t offset, const uint8_t* bytes, size_t size, int* error) {
  size_t done = 0;
  *error = 0;
  while (done < size) {
    const ssize_t put = pwrite(fd, bytes + done, size - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      *error = put < 0 ? errno : EIO;
      break;
    }
    done += static_cast<size_t>(put);
  }
  return done;
}

StagedFile::Result Done(uint64_t bytes) { return {StagedFile::Outcome::kDone, bytes}; }
StagedFile::Result Failed(int error) {
  return {StagedFile::Outcome::kFailed, static_cast<uint64_t>(error)};
}
StagedFile::Result NotHere(uint64_t page_start) {
  return {StagedFile::Outcome::kNotHere, page_start};
}

}  // namespace

std::shared_ptr<std::recursive_mutex> PageMapLock(int map_fd) {
  static std::mutex guard;
  static std::map<std::pair<uint64_t, uint64_t>, std::weak_ptr<std::recursive_mutex>> locks;
  struct stat found;
  if (fstat(map_fd, &found) != 0) return nullptr;
  const std::pair<uint64_t, uint64_t> key(found.st_dev, found.st_ino);
  std::lock_guard<std::mutex> held(guard);
  auto at = locks.find(key);
  if (at != locks.end()) {
    if (std::shared_ptr<std::recursive_mutex> lock = at->second.lock()) return lock;
  }
  for (auto old = locks.begin(); old != locks.end();) {
    old = old->second.expired() ? locks.erase(old) : std::next(old);
  }
  auto lock = std::make_shared<std::recursive_mutex>();
  locks[key] = lock;
  return lock;
}

int ReadAll(int fd, uint64_t offset, size_t length, uint8_t* out, size_t* got) {
  *got = 0;
  while (*got < length) {
    const ssize_t part = pread(fd, out + *got, length - *got, static_cast<off_t>(offset + *got));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return errno;
    if (part == 0) break;
    *got += static_cast<size_t>(part);
  }
  return 0;
}

std::unique_ptr<PageMap> PageMap::Open(int fd) {
  const int64_t length = LengthOf(fd);
  uint8_t header[24];
  size_t got = 0;
  if (length < static_cast<int64_t>(kHeaderBytes) ||
      ReadAll(fd, 0, sizeof(header), header, &got) != 0 || got < sizeof(header) ||
      std::memcmp(header, kMagic, sizeof(kMagic)) != 0) {
    return nullptr;
  }
  uint64_t base_bytes;
  std::memcpy(&base_bytes, header + kBaseBytesAt, sizeof(base_bytes));
  const uint64_t pages = PagesIn(base_bytes);
  const uint64_t bits = pages / 8 + (pages % 8 != 0);
  if (static_cast<uint64_t>(length) < kHeaderBytes + bits) return nullptr;
  const size_t mapped = static_cast<size_t>(kHeaderBytes + bits);
  void* at = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return nullptr;
  return std::unique_ptr<PageMap>(new PageMap(static_cast<uint8_t*>(at), mapped, pages));
}

PageMap::~PageMap() { munmap(at_, length_); }

uint64_t PageMap::limit() const {
  return __atomic_load_n(reinterpret_cast<const uint64_t*>(at_ + kLimitAt), __ATOMIC_ACQUIRE);
}

bool PageMap::has(uint64_t page) const {
  if (page >= pages_) return true;
  const uint8_t bits = __atomic_load_n(at_ + kHeaderBytes + page / 8, __ATOMIC_ACQUIRE);
  return (bits >> (page % 8) & 1) != 0;
}

void PageMap::Set(uint64_t first, uint64_t last) {
  for (uint64_t page = first; page < std::min(last, pages_);) {
    uint8_t* const at = at_ + kHeaderBytes + page / 8;
    uint8_t bits = 0;
    const uint64_t next = std::min({(page / 8 + 1) * 8, last, pages_});
    for (; page < next; page++) bits = static_cast<uint8_t>(bits | 1U << (page % 8));
    __atomic_fetch_or(at, bits, __ATOMIC_RELEASE);
  }
}

Piece PageMap::Next(uint64_t offset, uint64_t end) const {
  const bool staged = has(PageOf(offset));
  uint64_t page = PageOf(offset) + 1;
  while (page * kPageBytes < end && page < pages_ && has(page) == staged) page++;
  uint64_t until = std::min(page * kPageBytes, end);
  if (staged) {
    // Behind the base there is nothing but staged pages.
    if (page >= pages_) until = end;
    return {Piece::From::kStaged, until};
  }
  const uint64_t shown = limit();
  if (offset >= shown) return {Piece::From::kZeros, until};
  return {Piece::From::kBase, std::min(until, shown)};
}

std::shared_ptr<StagedFile> StagedFile::Open(int fd, int map_fd, int* error) {
  std::unique_ptr<PageMap> map;
  std::shared_ptr<std::recursive_mutex> lock;
  *error = 0;
  if (map_fd >= 0) {
    map = PageMap::Open(map_fd);
    lock = PageMapLock(map_fd);
    if (!map || !lock) {
      *error = EIO;
      return nullptr;
    }
  }
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) {
    *error = errno;
    return nullptr;
  }
  return std::shared_ptr<StagedFile>(new StagedFile(own, std::move(map), std::move(lock)));
}

StagedFile::~StagedFile() { close(fd_); }

StagedFile::Result StagedFile::Read(uint64_t offset, size_t size, uint8_t* out, BaseBytes* base) {
  size_t got = 0;
  if (!map_) {
    const int error = ReadAll(fd_, offset, size, out, &got);
    return error == 0 ? Done(got) : Failed(error);
  }
  const int64_t length = LengthOf(fd_);
  if (length < 0) return Failed(errno);
  const uint64_t end = std::min<uint64_t>(offset + size, static_cast<uint64_t>(length));
  for (uint64_t at = offset; at < end;) {
    const Piece piece = map_->Next(at, end);
    uint8_t* const to = out + (at - offset);
    const size_t part = static_cast<size_t>(piece.end - at);
    switch (piece.from) {
      case Piece::From::kZeros:
        std::memset(to, 0, part);
        break;
      case Piece::From::kBase:
        if (!base->Has(at, piece.end)) return NotHere(at);
        if (!base->Read(at, piece.end, to)) return Failed(EIO);
        break;
      case Piece::From::kStaged: {
        const int error = ReadAll(fd_, at, part, to, &got);
        if (error != 0) return Failed(error);
        // It was truncated just now.
        if (got < part) return Done(at - offset + got);
      }
    }
    at = piece.end;
  }
  return Done(offset < end ? end - offset : 0);
}

StagedFile::Result StagedFile::WriteWhole(uint64_t offset, const uint8_t* bytes, size_t size) {
  int error = 0;
  const size_t done = WriteAll(fd_, offset, bytes, size, &error);
  return done == 0 && error != 0 ? Failed(error) : Done(done);
}

StagedFile::Result StagedFile::FillEdge(uint64_t start, uint64_t end, BaseBytes* base) {
  if (start >= end) return Done(0);
  uint8_t page[kPageBytes] = {};
  const uint64_t shown = std::clamp(map_->limit(), start, end);
  if (start < shown) {
    if (!base->Has(start, shown)) return NotHere(PageOf(start) * kPageBytes);
    if (!base->Read(start, shown, page)) return Failed(EIO);
  }
  int error = 0;
  WriteAll(fd_, start, page, static_cast<size_t>(end - start), &error);
  return error == 0 ? Done(0) : Failed(error);
}

StagedFile::Result StagedFile::Write(uint64_t offset, const uint8_t* bytes, size_t size,
                                     BaseBytes* base) {
  if (!map_ || size == 0) return WriteWhole(offset, bytes, size);
  std::lock_guard<std::recursive_mutex> held(*lock_);
  const uint64_t end = offset + size;
  const uint64_t first = PageOf(offset);
  const uint64_t last = PageOf(end - 1);
  const int64_t length = LengthOf(fd_);
  if (length < 0) return Failed(errno);
  // Nothing behind the end of the file is filled: that would make it longer.
  const uint64_t file_end = static_cast<uint64_t>(length);
  if (!map_->has(first)) {
    const Result filled = FillEdge(first * kPageBytes, std::min(offset, file_end), base);
    if (filled.outcome != Outcome::kDone) return filled;
  }
  if (!map_->has(last)) {
    const Result filled = FillEdge(end, std::min((last + 1) * kPageBytes, file_end), base);
    if (filled.outcome != Outcome::kDone) return filled;
  }
  int error = 0;
  uint64_t done = WriteAll(fd_, offset, bytes, size, &error);
  const uint64_t cut = offset + done;
  // What was written of a page that is not whole here would not show.
  if (done < size && cut % kPageBytes != 0 && !map_->has(PageOf(cut))) {
    const uint64_t page_start = PageOf(cut) * kPageBytes;
    done = page_start > offset ? page_start - offset : 0;
    // Nor may it make the file longer.
    const uint64_t whole_end = done > 0 ? std::max(file_end, offset + done) : file_end;
    if (cut > whole_end && ftruncate(fd_, static_cast<off_t>(whole_end)) != 0) error = errno;
  }
  if (done == 0) return Failed(error);
  map_->Set(first, PageOf(offset + done - 1) + 1);
  return Done(done);
}

int StagedFile::Fill(uint64_t page, const uint8_t* bytes, size_t length) {
  if (!map_) return 0;
  std::lock_guard<std::recursive_mutex> held(*lock_);
  if (map_->has(page)) return 0;
  const int64_t file_length = LengthOf(fd_);
  if (file_length < 0) return errno;
  const uint64_t start = page * kPageBytes;
  const uint64_t end = std::min<uint64_t>(start + kPageBytes, static_cast<uint64_t>(file_length));
  uint8_t filled[kPageBytes] = {};
  // The limit may have been lowered since the bytes were read.
  const uint64_t shown = std::clamp(map_->limit(), start, start + kPageBytes) - start;
  std::memcpy(filled, bytes, std::min<size_t>({length, kPageBytes, static_cast<size_t>(shown)}));
  int error = 0;
  if (start < end) WriteAll(fd_, start, filled, static_cast<size_t>(end - start), &error);
  if (error == 0) map_->Set(page, page + 1);
  return error;
}

}  // namespace tarn
