// The open files of a mount: which of their bytes a reader thread may take from a local file, and
// which inodes are open by kernel passthrough.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace tarn {

// Sorted ranges [start, end) that neither touch nor overlap.
class Ranges {
 public:
  void Add(uint64_t start, uint64_t end);
  bool Contains(uint64_t start, uint64_t end) const;

 private:
  std::map<uint64_t, uint64_t> ranges_;
};

// Where a file's bytes lie locally; `fd` is -1 when nowhere.
struct Backing {
  int fd = -1;
  uint64_t offset = 0;
  uint64_t length = 0;
  // The backing file holds these bytes and no others.
  bool exact = false;
  // Every byte may be given out; otherwise only those granted.
  bool verified = false;
};

class OpenFile {
 public:
  // Takes over backing.fd.
  OpenFile(uint64_t inode, const Backing& backing) : inode_(inode), backing_(backing) {}
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  uint64_t inode() const { return inode_; }
  void Grant(uint64_t start, uint64_t end);

  enum class ReadResult { kDone, kNotGranted, kFailed };
  // Reads as much of [offset, offset + size) as the file has into `out`. Fails rather than give
  // out fewer bytes, since a backing file that shrank has lost what was granted.
  ReadResult Read(uint64_t offset, size_t size, uint8_t* out, size_t* length);

 private:
  const uint64_t inode_;
  const Backing backing_;
  std::mutex mutex_;
  Ranges granted_;
};

class FileTable {
 public:
  struct Opened {
    // 0 when the file is not open by passthrough.
    int32_t backing_id = 0;
  };

  // `device` is the /dev/fuse descriptor, or -1 where passthrough is not to be used.
  void AllowPassthrough(int device);
  // The caller keeps backing.fd. An inode that is open in one way stays in it, whatever is asked,
  // until its last release: the kernel refuses to mix cached and passthrough opens of an inode.
  Opened Open(uint64_t handle, uint64_t inode, const Backing& backing);
  void Close(uint64_t handle);
  std::shared_ptr<OpenFile> Find(uint64_t handle) const;

 private:
  struct Inode {
    uint64_t opens = 0;
    int32_t backing_id = 0;
  };

  mutable std::shared_mutex mutex_;
  int device_ = -1;
  std::unordered_map<uint64_t, std::shared_ptr<OpenFile>> files_;
  std::unordered_map<uint64_t, Inode> inodes_;
};

}  // namespace tarn
