// The directories of which any thread may answer OPENDIR: JavaScript has answered it before, and would
// say the same again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_set>

namespace tarn {

class ListedDirectories {
 public:
  // `first` is the first handle that it gives out.
  explicit ListedDirectories(uint64_t first) : next_(first) {}

  void Add(uint64_t inode) {
    std::lock_guard<std::mutex> lock(mutex_);
    // Where nothing is forgotten, a walk over everything would fill the memory.
    if (inodes_.size() >= kMost) inodes_.clear();
    inodes_.insert(inode);
  }

  void Forget(uint64_t inode) {
    std::lock_guard<std::mutex> lock(mutex_);
    inodes_.erase(inode);
  }

  // A handle for one more opening; 0 where JavaScript has to be asked.
  uint64_t Open(uint64_t inode) {
    std::lock_guard<std::mutex> lock(mutex_);
    return inodes_.count(inode) == 0 ? 0 : next_++;
  }

 private:
  static constexpr size_t kMost = 65536;

  std::mutex mutex_;
  std::unordered_set<uint64_t> inodes_;
  uint64_t next_;
};

}  // namespace tarn
