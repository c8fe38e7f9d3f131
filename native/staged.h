// The local file that holds what was changed of a file; the rules: src/overlay/OVERLAY.md, Bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

namespace tarn {

constexpr uint64_t kPageBytes = 4096;

// Whoever looks at bits of a page map, writes what they say and changes them holds this. One for
// each page map in the process, whichever session has it open; null when `map_fd` is no file.
std::shared_ptr<std::recursive_mutex> PageMapLock(int map_fd);

// Part of a file, from where it was asked for.
struct Piece {
  enum class From { kStaged, kBase, kZeros };
  From from;
  uint64_t end;
};

// The page map of a partial file, mapped shared, so that what TypeScript changes is seen at once.
class PageMap {
 public:
  // Null when it is none.
  static std::unique_ptr<PageMap> Open(int fd);
  ~PageMap();
  PageMap(const PageMap&) = delete;
  PageMap& operator=(const PageMap&) = delete;

  // The base shows below it.
  uint64_t limit() const;
  // Pages that the base has.
  uint64_t pages() const { return pages_; }
  // Whether the page is in the staged file; what the base does not reach always is.
  bool has(uint64_t page) const;
  // Of pages [first, last).
  void Set(uint64_t first, uint64_t last);
  // What shows from `offset` on, and how far; `offset` lies before `end`.
  Piece Next(uint64_t offset, uint64_t end) const;

 private:
  PageMap(uint8_t* at, size_t length, uint64_t pages) : at_(at), length_(length), pages_(pages) {}

  uint8_t* const at_;
  const size_t length_;
  const uint64_t pages_;
};

// Committed bytes of a file as far as they may be read here.
class BaseBytes {
 public:
  virtual ~BaseBytes() = default;
  // True when [start, end) may be read.
  virtual bool Has(uint64_t start, uint64_t end) = 0;
  // All of [start, end), or false.
  virtual bool Read(uint64_t start, uint64_t end, uint8_t* out) = 0;
};

class StagedFile {
 public:
  // Keeps duplicates of the descriptors; `map_fd` is -1 for a whole file. Null and an errno when
  // that cannot be.
  static std::shared_ptr<StagedFile> Open(int fd, int map_fd, int* error);
  ~StagedFile();
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;

  bool whole() const { return !map_; }

  // kNotHere: bytes of the base are wanted that may not be read here.
  enum class Outcome { kDone, kNotHere, kFailed };
  struct Result {
    Outcome outcome;
    // Bytes read or written, the errno, or the first byte of the page that is wanted.
    uint64_t value;
  };
  // Fewer bytes than `size` at the end of the file only.
  Result Read(uint64_t offset, size_t size, uint8_t* out, BaseBytes* base);
  Result Write(uint64_t offset, const uint8_t* bytes, size_t size, BaseBytes* base);
  // Puts what a page shows into the staged file, if it is not there yet. `length` bytes at the start
  // of the page; the rest is behind the end of the base. Zero or an errno.
  int Fill(uint64_t page, const uint8_t* bytes, size_t length);

 private:
  StagedFile(int fd, std::unique_ptr<PageMap> map, std::shared_ptr<std::recursive_mutex> lock)
      : fd_(fd), map_(std::move(map)), lock_(std::move(lock)) {}
  Result WriteWhole(uint64_t offset, const uint8_t* bytes, size_t size);
  // Of the page that `at` lies in: puts [start, end) there, as it shows.
  Result FillEdge(uint64_t start, uint64_t end, BaseBytes* base);

  const int fd_;
  const std::unique_ptr<PageMap> map_;
  const std::shared_ptr<std::recursive_mutex> lock_;
};

// All of [offset, offset + length), or zero when the file is shorter; else an errno.
int ReadAll(int fd, uint64_t offset, size_t length, uint8_t* out, size_t* got);

}  // namespace tarn
