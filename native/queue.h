// Requests on their way from the reader threads to JavaScript.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "decode.h"

namespace tarn {

// A request without pointers into a reader's buffer. Only those with a payload allocate.
struct Queued {
  uint32_t opcode = 0;
  uint32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t unique = 0;
  uint64_t nodeid = 0;
  uint64_t fh = 0;
  uint64_t offset = 0;
  uint32_t size = 0;
  uint32_t flags = 0;
  uint32_t mode = 0;
  uint32_t open_flags = 0;
  uint64_t node2 = 0;
  uint64_t fh2 = 0;
  uint64_t offset2 = 0;
  uint64_t length = 0;
  int64_t atime = 0;
  int64_t mtime = 0;
  uint32_t atime_nsec = 0;
  uint32_t mtime_nsec = 0;
  bool resent = false;
  uint32_t name_length = 0;
  uint32_t payload_length = 0;
  std::unique_ptr<uint8_t[]> payload;
  char name[wire::kNameMax + 1];
};

// Not the kernel's opcodes.
// The last thing queued: no thread reads any more. `size` is the errno that ended the reading,
// ENODEV after an unmount.
constexpr uint32_t kEnded = 0;
// A WRITE waits for bytes [offset, offset + size) of its file as they are, for Session::Fill.
constexpr uint32_t kNeed = 0x10000;

// `request.name` must have kNameMax bytes at most.
void CopyRequest(const Request& request, Queued* out);

class RequestQueue {
 public:
  // `wake` is called on any thread when the queue is no longer empty.
  explicit RequestQueue(std::function<void()> wake);

  // Waits for room, unless Open(false) says that nobody takes anything any more; then `item` is lost,
  // but never a kEnded.
  void Push(Queued&& item);
  // As Push, but for the thread that drains: does not wait.
  void PushNow(Queued&& item);
  // Gives up waiting for room.
  void Close();

  // Moves up to `max` requests to `take`, in order; true when more are waiting.
  bool Drain(size_t max, const std::function<void(Queued&)>& take);

  // Waits, busily, a moment for a request; false when none came. To be called by whoever drains.
  // Meanwhile `wake` is not called, so that neither thread has to be woken by the other.
  bool Linger();

 private:
  void Put(Queued&& item, std::unique_lock<std::mutex>* lock);

  const std::function<void()> wake_;
  std::mutex mutex_;
  std::condition_variable room_;
  // A ring: `count_` items from `head_`.
  std::vector<Queued> ring_;
  size_t head_ = 0;
  size_t count_ = 0;
  // Whether Linger will see what is pushed.
  bool lingering_ = false;
  std::atomic<bool> closed_{false};
  // What count_ was last, for a look without the lock.
  std::atomic<size_t> length_{0};
};

}  // namespace tarn
