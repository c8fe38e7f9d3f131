// The open files of a mount: which of their bytes a reader thread may take from a local file, and
// which inodes are open by kernel passthrough.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "staged.h"

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

// The bytes of a file that was not changed: those of its backing that may be read.
class BackingBytes : public BaseBytes {
 public:
  // Takes over backing.fd.
  explicit BackingBytes(const Backing& backing) : backing_(backing) {}
  ~BackingBytes() override;

  bool isAnywhere() const { return backing_.fd >= 0; }
  uint64_t length() const { return backing_.length; }
  void Grant(uint64_t start, uint64_t end);
  bool Has(uint64_t start, uint64_t end) override;
  bool Read(uint64_t start, uint64_t end, uint8_t* out) override;

 private:
  const Backing backing_;
  std::mutex mutex_;
  Ranges granted_;
};

// What the handles of an inode share.
class OpenInode {
 public:
  std::shared_ptr<StagedFile> staged() const;
  // Whatever was opened before shows it from now on. The first one stays, until one with a page map
  // comes in place of one without: who writes there at this moment has written before.
  void SetStaged(std::shared_ptr<StagedFile> staged);

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<StagedFile> staged_;
};

class OpenFile {
 public:
  // Takes over backing.fd: of the bytes that were committed.
  OpenFile(uint64_t inode, std::shared_ptr<OpenInode> shared, const Backing& backing)
      : inode_(inode), shared_(std::move(shared)), base_(backing) {}

  uint64_t inode() const { return inode_; }
  void Grant(uint64_t start, uint64_t end) { base_.Grant(start, end); }

  // kNotHere: JavaScript has to do it; of a write into a partial file, after it gave the page.
  // Reads fail rather than give out fewer bytes than are committed, since a backing file that
  // shrank has lost what was granted.
  StagedFile::Result Read(uint64_t offset, size_t size, uint8_t* out);
  // `*staged` tells whether JavaScript can help with StagedFile::Fill.
  StagedFile::Result Write(uint64_t offset, const uint8_t* bytes, size_t size, bool* staged);
  int Fill(uint64_t page, const uint8_t* bytes, size_t length);

 private:
  const uint64_t inode_;
  const std::shared_ptr<OpenInode> shared_;
  BackingBytes base_;
};

// What an open file is made of.
struct Opening {
  uint64_t handle = 0;
  uint64_t inode = 0;
  // All descriptors stay the caller's.
  Backing base;
  // -1 for a file that was not changed.
  int staged_fd = -1;
  // -1 for a staged file that holds every byte.
  int map_fd = -1;
  // Of a partial file: what the kernel has cached of it is right.
  bool cached_right = false;
  // It may change, so that only a staged file may pass through.
  bool changes = false;
  // It holds every byte now, and may be followed by one that does not: it may not pass through.
  bool asked = false;
  // Each read and write of a program comes to us as it is, and the kernel keeps nothing.
  bool direct = false;
  // As of the system call, to be recorded.
  uint32_t flags = 0;
};

class FileTable {
 public:
  struct Opened {
    // 0 when the file is not open by passthrough.
    int32_t backing_id = 0;
    // An errno when it cannot be opened.
    int error = 0;
  };

  // `device` is the /dev/fuse descriptor, or -1 where passthrough is not to be used.
  void AllowPassthrough(int device);
  // An inode that is open in one way stays in it, whatever is asked, until its last release: the
  // kernel refuses to mix cached and passthrough opens of an inode.
  Opened Open(const Opening& opening);
  // What the kernel has open already, and by which backing file, or by none. Zero or an errno.
  int Restore(const Opening& opening, int32_t backing_id);
  void Close(uint64_t handle);
  // Lets go of all of them, when no release will come any more.
  void CloseAll();
  std::shared_ptr<OpenFile> Find(uint64_t handle) const;
  // The inode has a staged file by now. Zero or an errno.
  int SetStaged(uint64_t inode, int staged_fd, int map_fd);

 private:
  struct Inode {
    uint64_t opens = 0;
    int32_t backing_id = 0;
    std::shared_ptr<OpenInode> shared = std::make_shared<OpenInode>();
  };
  // Zero or an errno. The lock is held.
  int Add(const Opening& opening, Inode* state);
  int32_t OpenBacking(int fd) const;

  mutable std::shared_mutex mutex_;
  int device_ = -1;
  std::unordered_map<uint64_t, std::shared_ptr<OpenFile>> files_;
  std::unordered_map<uint64_t, Inode> inodes_;
};

}  // namespace tarn
