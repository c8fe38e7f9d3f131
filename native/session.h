// One connection to the kernel: threads that read requests, answer what needs no decision, and
// queue the rest for JavaScript. Knows nothing of N-API.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "decode.h"
#include "files.h"
#include "wire.h"

namespace tarn {

struct SessionOptions {
  int device = -1;
  unsigned threads = 2;
  // What is shown never changes.
  bool frozen = false;
  // Ask the kernel for passthrough.
  bool passthrough = false;
};

// A request on its way to JavaScript, without pointers so that a queue of them never allocates.
struct Queued {
  uint32_t opcode;
  uint32_t pid;
  uint64_t unique;
  uint64_t nodeid;
  uint64_t fh;
  uint64_t offset;
  uint32_t size;
  uint32_t name_length;
  char name[wire::kNameMax + 1];
};

// The opcode of the last thing queued: no thread reads any more. `size` is the errno that ended
// the reading, ENODEV after an unmount.
constexpr uint32_t kEnded = 0;

struct Counters {
  std::atomic<uint64_t> native_reads{0};
  std::atomic<uint64_t> passthrough_opens{0};
  std::atomic<uint64_t> malformed{0};
};

class Session {
 public:
  // `wake` is called on any thread when the queue is no longer empty.
  Session(const SessionOptions& options, std::function<void()> wake);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // False when no thread could be started.
  bool Start();
  // Makes every thread return and joins them. Any thread may call, also twice.
  void Stop();
  // After Stop, on the thread that replies: lets the device go, which ends what is unanswered.
  void Close();

  // True once the kernel has ended the connection.
  bool ended() const { return ended_; }

  // Waits, busily, a moment for a request; false when none came. To be called by whoever drains.
  // Meanwhile `wake` is not called, so that neither thread has to be woken by the other.
  bool Linger();

  // Moves up to `max` requests to `take`, in order; true when more are waiting.
  bool Drain(size_t max, const std::function<void(const Queued&)>& take);

  // Zero or the errno of the write; ENOENT when the kernel no longer waits for the answer.
  int Reply(uint64_t unique, int error, const void* data, size_t length);
  int ReplyOpen(uint64_t unique, uint64_t handle, uint64_t inode, const Backing& backing);
  void Grant(uint64_t handle, uint64_t start, uint64_t end);

  const Counters& counters() const { return counters_; }

 private:
  struct ReadBuffer;
  void Run();
  // False when the connection has ended.
  bool ReadOne(uint8_t* request, ReadBuffer* data, int* why);
  void Handle(const Request& request, ReadBuffer* data);
  void HandleOpen(const Request& request);
  void HandleRead(const Request& request, ReadBuffer* data);
  void HandleInit(const Request& request);
  void Enqueue(const Request& request);
  void Push(const Queued& item);

  const SessionOptions options_;
  const std::function<void()> wake_;
  FileTable files_;
  Counters counters_;

  std::mutex threads_mutex_;
  std::vector<std::thread> threads_;
  std::atomic<unsigned> running_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> ended_{false};
  std::atomic<int> device_;

  std::mutex queue_mutex_;
  std::condition_variable queue_room_;
  // A ring: `queue_count_` items from `queue_head_`.
  std::vector<Queued> queue_;
  size_t queue_head_ = 0;
  size_t queue_count_ = 0;
  // Whether Linger will see what is pushed.
  bool lingering_ = false;
  // What queue_count_ was last, for a look without the lock.
  std::atomic<size_t> queue_length_{0};
};

}  // namespace tarn
