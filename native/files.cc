#include "files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "wire.h"

namespace tarn {

void Ranges::Add(uint64_t start, uint64_t end) {
  if (start >= end) return;
  auto next = ranges_.upper_bound(start);
  if (next != ranges_.begin()) {
    auto before = std::prev(next);
    if (before->second >= start) {
      start = before->first;
      end = std::max(end, before->second);
      next = ranges_.erase(before);
    }
  }
  while (next != ranges_.end() && next->first <= end) {
    end = std::max(end, next->second);
    next = ranges_.erase(next);
  }
  ranges_.emplace_hint(next, start, end);
}

bool Ranges::Contains(uint64_t start, uint64_t end) const {
  if (start >= end) return true;
  auto next = ranges_.upper_bound(start);
  return next != ranges_.begin() && std::prev(next)->second >= end;
}

OpenFile::~OpenFile() {
  if (backing_.fd >= 0) close(backing_.fd);
}

void OpenFile::Grant(uint64_t start, uint64_t end) {
  std::lock_guard<std::mutex> lock(mutex_);
  granted_.Add(start, std::min(end, backing_.length));
}

OpenFile::ReadResult OpenFile::Read(uint64_t offset, size_t size, uint8_t* out, size_t* length) {
  if (backing_.fd < 0) return ReadResult::kNotGranted;
  const uint64_t end = std::min<uint64_t>(offset + size, backing_.length);
  *length = offset < end ? end - offset : 0;
  if (!backing_.verified) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!granted_.Contains(offset, end)) return ReadResult::kNotGranted;
  }
  size_t done = 0;
  while (done < *length) {
    const ssize_t got = pread(backing_.fd, out + done, *length - done,
                              static_cast<off_t>(backing_.offset + offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return ReadResult::kFailed;
    done += static_cast<size_t>(got);
  }
  return ReadResult::kDone;
}

void FileTable::AllowPassthrough(int device) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  device_ = device;
}

FileTable::Opened FileTable::Open(uint64_t handle, uint64_t inode, const Backing& backing) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  Inode& state = inodes_[inode];
  if (state.opens == 0 && device_ >= 0 && backing.fd >= 0 && backing.exact && backing.verified) {
    wire::BackingMap map{backing.fd, 0, 0};
    const int id = ioctl(device_, wire::kIocBackingOpen, &map);
    // A refusal (a stacked file system below, no rights) leaves the cached way, which always works.
    if (id > 0) state.backing_id = id;
  }
  state.opens++;
  Backing own = backing;
  // Bytes of a passthrough file are never asked of us; spare the descriptor.
  own.fd = state.backing_id == 0 && backing.fd >= 0 ? fcntl(backing.fd, F_DUPFD_CLOEXEC, 0) : -1;
  files_[handle] = std::make_shared<OpenFile>(inode, own);
  return Opened{state.backing_id};
}

void FileTable::Close(uint64_t handle) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  auto file = files_.find(handle);
  if (file == files_.end()) return;
  auto inode = inodes_.find(file->second->inode());
  files_.erase(file);
  if (--inode->second.opens > 0) return;
  if (inode->second.backing_id != 0) {
    uint32_t id = static_cast<uint32_t>(inode->second.backing_id);
    ioctl(device_, wire::kIocBackingClose, &id);
  }
  inodes_.erase(inode);
}

std::shared_ptr<OpenFile> FileTable::Find(uint64_t handle) const {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  auto file = files_.find(handle);
  return file == files_.end() ? nullptr : file->second;
}

}  // namespace tarn
