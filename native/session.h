// One connection to the kernel: threads that read requests, answer what needs no decision, and
// queue the rest for JavaScript. Knows nothing of N-API.
#pragma once

#include <pthread.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "decode.h"
#include "files.h"
#include "ledger.h"
#include "listed.h"
#include "notifier.h"
#include "queue.h"
#include "wire.h"

namespace tarn {

struct SessionOptions {
  int device = -1;
  unsigned threads = 2;
  // What is shown never changes.
  bool frozen = false;
  // What the kernel forgets is passed on; unless it is frozen, the kernel is told of changes.
  bool holds = false;
  // It may be written; otherwise all that writes gets EROFS.
  bool writable = false;
  // Ask the kernel for passthrough.
  bool passthrough = false;
  // Where what is open is recorded; null for nowhere.
  std::shared_ptr<Ledger> ledger;
  // Another process has begun this connection, and with it `passthrough`, and this, were agreed on.
  bool resumed = false;
  bool expires = false;
  // The first of the handles that the session itself gives to directories.
  uint64_t first_handle = 1;
};

struct Counters {
  std::atomic<uint64_t> native_reads{0};
  std::atomic<uint64_t> native_writes{0};
  std::atomic<uint64_t> passthrough_opens{0};
  std::atomic<uint64_t> native_opendirs{0};
  std::atomic<uint64_t> malformed{0};
};

// Memory is taken only as far as it is touched: threads that only serve metadata do with little.
struct ReadBuffer {
  explicit ReadBuffer(size_t length) : length_(length) {}

  uint8_t* Get() {
    if (bytes_ == nullptr) {
      void* at =
          mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (at != MAP_FAILED) bytes_ = static_cast<uint8_t*>(at);
    }
    return bytes_;
  }
  size_t length() const { return length_; }
  ~ReadBuffer() {
    if (bytes_ != nullptr) munmap(bytes_, length_);
  }

 private:
  const size_t length_;
  uint8_t* bytes_ = nullptr;
};

class Session {
 public:
  // `wake` as in RequestQueue.
  Session(const SessionOptions& options, std::function<void()> wake);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // False when no thread could be started.
  bool Start();
  // Makes every thread return and joins them. Any thread may call, also twice. What is not answered
  // yet, and comes meanwhile, is refused, unless it is left for another process.
  void Stop(bool refuses = true);
  // After Stop, on the thread that replies: lets the device go, which ends what is unanswered.
  void Close();

  // True once the kernel has ended the connection.
  bool ended() const { return ended_; }
  RequestQueue& queue() { return queue_; }
  Notifier& notifier() { return *notifier_; }

  // Zero or the errno of the write; ENOENT when the kernel no longer waits for the answer.
  int Reply(uint64_t unique, int error, const void* data, size_t length);
  // Answers OPEN or, after the `entry_length` bytes of its entry, CREATE.
  int ReplyOpen(uint64_t unique, const Opening& opening, const void* entry, size_t entry_length);
  // Of a resumed session, before Start: what is open already, by passthrough if `backing_id` is not 0.
  // Zero or an errno.
  int Restore(const Opening& opening, int32_t backing_id) {
    return files_.Restore(opening, backing_id);
  }
  // What was restored was never open, or cannot be opened.
  void Unrestore(uint64_t handle);
  // Of a resumed session, before Start: has the kernel deliver again what was read and not answered.
  // Zero or an errno.
  int Resend() { return notifier_->Resend(); }
  void Grant(uint64_t handle, uint64_t start, uint64_t end);
  // From now on the directory may be opened without asking JavaScript, which is told.
  void Listed(uint64_t inode) { listed_.Add(inode); }
  // Gives a WRITE the page that it needs (kNeed), does it again and answers, or asks for the next.
  // Zero or as Reply.
  int Fill(uint64_t unique, const uint8_t* bytes, size_t length);
  // The inode has a staged file by now; zero or an errno.
  int SetStaged(uint64_t inode, int staged_fd, int map_fd) {
    return files_.SetStaged(inode, staged_fd, map_fd);
  }

  const Counters& counters() const { return counters_; }

 private:
  // A WRITE that waits for a page.
  struct Waiting {
    uint32_t pid = 0;
    uint64_t fh = 0;
    uint64_t offset = 0;
    uint64_t page = 0;
    std::vector<uint8_t> bytes;
  };
  void Run();
  // False when the connection has ended.
  bool ReadOne(ReadBuffer* request, ReadBuffer* data, int* why);
  void Handle(const Request& request, ReadBuffer* data);
  void HandleWriting(const Request& request);
  void HandleOpen(const Request& request);
  void HandleOpendir(const Request& request);
  void HandleReleasedir(const Request& request);
  void HandleForget(const Request& request);
  void HandleRead(const Request& request, ReadBuffer* data);
  void HandleWrite(const Request& request);
  void AskFor(uint64_t unique, uint32_t pid, Waiting&& waiting);
  // Zero or an errno, as Reply.
  int Send(uint64_t unique, int error, const struct iovec* body, int count);
  void HandleInit(const Request& request);
  uint64_t Wanted() const;
  void HandleNamed(const Request& request);
  void Enqueue(const Request& request);
  void Refuse(const Request& request);

  uint64_t AsDelivered(uint64_t unique);

  const SessionOptions options_;
  const size_t request_bytes_max_;
  RequestQueue queue_;
  FileTable files_;
  ListedDirectories listed_;
  std::shared_ptr<Notifier> notifier_ = std::make_shared<Notifier>();
  Counters counters_;

  std::mutex threads_mutex_;
  std::vector<std::thread> threads_;
  std::atomic<unsigned> running_{0};
  // Everything is answered with ENOTCONN from now on.
  std::atomic<bool> refusing_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> ended_{false};
  std::atomic<int> device_;

  std::mutex waiting_mutex_;
  std::unordered_map<uint64_t, Waiting> waiting_;
  // Size of waiting_, for a look without the lock.
  std::atomic<size_t> waiting_count_{0};

  // Requests under way that were delivered again; they are to be answered as such.
  std::mutex resent_mutex_;
  std::unordered_set<uint64_t> resent_;
  std::atomic<size_t> resent_count_{0};
};

}  // namespace tarn
