#include "queue.h"

#include <sched.h>

#include <chrono>
#include <cstring>

namespace tarn {
namespace {

// Requests waiting for JavaScript; readers pause above it, which bounds the memory.
constexpr size_t kQueueMax = 1024;
// Places kept for what must not wait: the end, and needs, of which each thread has one at most.
constexpr size_t kReserved = 64;
// A program that works through small files asks again within some tens of microseconds of a reply;
// an idle thread takes longer than that to be woken.
constexpr std::chrono::microseconds kLingerMax(80);

}  // namespace

void CopyRequest(const Request& request, Queued* out) {
  out->opcode = request.opcode;
  out->pid = request.pid;
  out->uid = request.uid;
  out->gid = request.gid;
  out->unique = request.unique;
  out->nodeid = request.nodeid;
  out->fh = request.fh;
  out->offset = request.offset;
  out->size = request.size;
  out->flags = request.flags;
  out->mode = request.mode;
  out->open_flags = request.open_flags;
  out->node2 = request.node2;
  out->fh2 = request.fh2;
  out->offset2 = request.offset2;
  out->length = request.length;
  out->atime = request.atime;
  out->mtime = request.mtime;
  out->atime_nsec = request.atime_nsec;
  out->mtime_nsec = request.mtime_nsec;
  out->resent = request.resent;
  out->name_length = static_cast<uint32_t>(request.name.size());
  if (!request.name.empty()) std::memcpy(out->name, request.name.data(), request.name.size());
  out->payload_length = static_cast<uint32_t>(request.payload.size());
  if (!request.payload.empty()) {
    out->payload.reset(new uint8_t[request.payload.size()]);
    std::memcpy(out->payload.get(), request.payload.data(), request.payload.size());
  }
}

RequestQueue::RequestQueue(std::function<void()> wake)
    : wake_(std::move(wake)), ring_(kQueueMax + kReserved) {}

void RequestQueue::Push(Queued&& item) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (item.opcode != kEnded) {
    room_.wait(lock, [&] { return count_ < kQueueMax || closed_; });
    if (count_ >= kQueueMax) return;
  }
  Put(std::move(item), &lock);
}

void RequestQueue::PushNow(Queued&& item) {
  std::unique_lock<std::mutex> lock(mutex_);
  Put(std::move(item), &lock);
}

void RequestQueue::Put(Queued&& item, std::unique_lock<std::mutex>* lock) {
  if (count_ == ring_.size()) {
    std::vector<Queued> longer(ring_.size() * 2);
    for (size_t i = 0; i < count_; i++) longer[i] = std::move(ring_[(head_ + i) % ring_.size()]);
    ring_.swap(longer);
    head_ = 0;
  }
  ring_[(head_ + count_) % ring_.size()] = std::move(item);
  const bool first = count_++ == 0 && !lingering_;
  length_.store(count_, std::memory_order_relaxed);
  lock->unlock();
  if (first) wake_();
}

void RequestQueue::Close() {
  std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  room_.notify_all();
}

bool RequestQueue::Drain(size_t max, const std::function<void(Queued&)>& take) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (; max > 0 && count_ > 0; max--) {
    take(ring_[head_]);
    ring_[head_].payload.reset();
    head_ = (head_ + 1) % ring_.size();
    count_--;
  }
  length_.store(count_, std::memory_order_relaxed);
  room_.notify_all();
  return count_ > 0;
}

bool RequestQueue::Linger() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (count_ > 0) return true;
    lingering_ = true;
  }
  const auto end = std::chrono::steady_clock::now() + kLingerMax;
  while (length_.load(std::memory_order_relaxed) == 0 && !closed_ &&
         std::chrono::steady_clock::now() < end) {
    // Whoever asks next may wait for this processor.
    sched_yield();
  }
  std::lock_guard<std::mutex> lock(mutex_);
  lingering_ = false;
  return count_ > 0;
}

}  // namespace tarn
