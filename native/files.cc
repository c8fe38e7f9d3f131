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

BackingBytes::~BackingBytes() {
  if (backing_.fd >= 0) close(backing_.fd);
}

void BackingBytes::Grant(uint64_t start, uint64_t end) {
  std::lock_guard<std::mutex> lock(mutex_);
  granted_.Add(start, std::min(end, backing_.length));
}

bool BackingBytes::Has(uint64_t start, uint64_t end) {
  if (backing_.fd < 0 || end > backing_.length) return false;
  if (backing_.verified) return true;
  std::lock_guard<std::mutex> lock(mutex_);
  return granted_.Contains(start, end);
}

bool BackingBytes::Read(uint64_t start, uint64_t end, uint8_t* out) {
  size_t got = 0;
  const size_t length = static_cast<size_t>(end - start);
  return ReadAll(backing_.fd, backing_.offset + start, length, out, &got) == 0 && got == length;
}

std::shared_ptr<StagedFile> OpenInode::staged() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return staged_;
}

void OpenInode::SetStaged(std::shared_ptr<StagedFile> staged) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!staged_ || (staged_->whole() && !staged->whole())) staged_ = std::move(staged);
}

StagedFile::Result OpenFile::Read(uint64_t offset, size_t size, uint8_t* out) {
  if (const std::shared_ptr<StagedFile> staged = shared_->staged()) {
    return staged->Read(offset, size, out, &base_);
  }
  const uint64_t end = std::min<uint64_t>(offset + size, base_.length());
  if (!base_.isAnywhere()) return {StagedFile::Outcome::kNotHere, offset};
  if (offset >= end) return {StagedFile::Outcome::kDone, 0};
  if (!base_.Has(offset, end)) return {StagedFile::Outcome::kNotHere, offset};
  if (!base_.Read(offset, end, out)) return {StagedFile::Outcome::kFailed, EIO};
  return {StagedFile::Outcome::kDone, end - offset};
}

StagedFile::Result OpenFile::Write(uint64_t offset, const uint8_t* bytes, size_t size,
                                   bool* staged) {
  const std::shared_ptr<StagedFile> file = shared_->staged();
  *staged = file != nullptr;
  if (!file) return {StagedFile::Outcome::kNotHere, offset};
  return file->Write(offset, bytes, size, &base_);
}

int OpenFile::Fill(uint64_t page, const uint8_t* bytes, size_t length) {
  const std::shared_ptr<StagedFile> file = shared_->staged();
  return file ? file->Fill(page, bytes, length) : EBADF;
}

void FileTable::AllowPassthrough(int device) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  device_ = device;
}

// A refusal (a stacked file system below, no rights) leaves the cached way, which always works.
int32_t FileTable::OpenBacking(int fd) const {
  if (device_ < 0) return 0;
  wire::BackingMap map{fd, 0, 0};
  const int id = ioctl(device_, wire::kIocBackingOpen, &map);
  return id > 0 ? id : 0;
}

FileTable::Opened FileTable::Open(const Opening& opening) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  Inode& state = inodes_[opening.inode];
  const Backing& base = opening.base;
  const bool staged = opening.staged_fd >= 0;
  if (state.opens == 0 && staged && opening.map_fd < 0) {
    if (!opening.asked) state.backing_id = OpenBacking(opening.staged_fd);
  } else if (state.opens == 0 && !opening.changes && base.fd >= 0 && base.exact && base.verified) {
    state.backing_id = OpenBacking(base.fd);
  }
  const int error = Add(opening, &state);
  return error == 0 ? Opened{state.backing_id, 0} : Opened{0, error};
}

int FileTable::Restore(const Opening& opening, int32_t backing_id) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  Inode& state = inodes_[opening.inode];
  state.backing_id = backing_id;
  return Add(opening, &state);
}

int FileTable::Add(const Opening& opening, Inode* state) {
  // Bytes of a passthrough file are never asked of us; spare the descriptors.
  const bool asked = state->backing_id == 0;
  if (asked && opening.staged_fd >= 0 && !state->shared->staged()) {
    int error = 0;
    std::shared_ptr<StagedFile> file =
        StagedFile::Open(opening.staged_fd, opening.map_fd, &error);
    if (!file) {
      if (state->opens == 0) inodes_.erase(opening.inode);
      return error;
    }
    state->shared->SetStaged(std::move(file));
  }
  state->opens++;
  const Backing& base = opening.base;
  Backing own = base;
  own.fd = asked && base.fd >= 0 ? fcntl(base.fd, F_DUPFD_CLOEXEC, 0) : -1;
  files_[opening.handle] = std::make_shared<OpenFile>(opening.inode, state->shared, own);
  return 0;
}

int FileTable::SetStaged(uint64_t inode, int staged_fd, int map_fd) {
  std::unique_lock<std::shared_mutex> lock(mutex_);
  auto found = inodes_.find(inode);
  if (found == inodes_.end() || found->second.backing_id != 0) return 0;
  const std::shared_ptr<StagedFile> before = found->second.shared->staged();
  if (before && (map_fd < 0 || !before->whole())) return 0;
  int error = 0;
  std::shared_ptr<StagedFile> file = StagedFile::Open(staged_fd, map_fd, &error);
  if (file) found->second.shared->SetStaged(std::move(file));
  return error;
}

void FileTable::Close(uint64_t handle) {
  // What it held is let go after the lock.
  std::shared_ptr<OpenFile> last;
  std::shared_ptr<OpenInode> shared;
  std::unique_lock<std::shared_mutex> lock(mutex_);
  auto file = files_.find(handle);
  if (file == files_.end()) return;
  last = std::move(file->second);
  auto inode = inodes_.find(last->inode());
  files_.erase(file);
  if (--inode->second.opens > 0) return;
  if (inode->second.backing_id != 0) {
    uint32_t id = static_cast<uint32_t>(inode->second.backing_id);
    ioctl(device_, wire::kIocBackingClose, &id);
  }
  shared = std::move(inode->second.shared);
  inodes_.erase(inode);
}

void FileTable::CloseAll() {
  // What they held is let go after the lock. Backing ids go with the connection, or stay with it.
  std::unordered_map<uint64_t, std::shared_ptr<OpenFile>> files;
  std::unordered_map<uint64_t, Inode> inodes;
  std::unique_lock<std::shared_mutex> lock(mutex_);
  files.swap(files_);
  inodes.swap(inodes_);
  lock.unlock();
}

std::shared_ptr<OpenFile> FileTable::Find(uint64_t handle) const {
  std::shared_lock<std::shared_mutex> lock(mutex_);
  auto file = files_.find(handle);
  return file == files_.end() ? nullptr : file->second;
}

}  // namespace tarn
