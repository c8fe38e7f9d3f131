#include "session.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>

namespace tarn {
namespace {

// Requests waiting for JavaScript; readers pause above it, which bounds the memory.
constexpr size_t kQueueMax = 1024;
// Pages of 4 KiB in the largest READ: 1 MiB, the kernel's own limit.
constexpr uint16_t kReadPagesMax = 256;
constexpr size_t kReadBytesMax = kReadPagesMax * 4096UL;
constexpr uint32_t kReadaheadBytes = 4 * 1024 * 1024;
constexpr uint16_t kBackgroundMax = 16;
constexpr uint16_t kCongestion = 12;
// A program that works through small files asks again within some tens of microseconds of a reply;
// an idle thread takes longer than that to be woken.
constexpr std::chrono::microseconds kLingerMax(80);
// The backing file may not itself lie on a stacked file system.
constexpr uint32_t kStackDepth = 1;

// Only interrupts a blocked read(2); its handler does nothing.
int WakeSignal() { return SIGRTMIN + 9; }

void InstallWakeSignal() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(WakeSignal(), &action, nullptr);
  });
}

bool IsWrite(uint32_t opcode) {
  switch (opcode) {
    case wire::kSetattr:
    case wire::kSymlink:
    case wire::kMknod:
    case wire::kMkdir:
    case wire::kUnlink:
    case wire::kRmdir:
    case wire::kRename:
    case wire::kRename2:
    case wire::kLink:
    case wire::kWrite:
    case wire::kSetxattr:
    case wire::kRemovexattr:
    case wire::kCreate:
    case wire::kTmpfile:
    case wire::kFallocate:
    case wire::kCopyFileRange:
    case wire::kCopyFileRange64:
      return true;
    default:
      return false;
  }
}

bool IsUserXattr(std::string_view name) { return name.substr(0, 5) == "user."; }

// Signals of the process are for Node's own thread; here they would only interrupt reads.
void BlockSignals() {
  sigset_t all;
  sigfillset(&all);
  for (const int kept : {WakeSignal(), SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) {
    sigdelset(&all, kept);
  }
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

// Taken on a thread's first READ: threads that only serve metadata do without.
struct Session::ReadBuffer {
  uint8_t* bytes = nullptr;

  uint8_t* Get() {
    if (bytes == nullptr) {
      void* at = mmap(nullptr, kReadBytesMax, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
      if (at != MAP_FAILED) bytes = static_cast<uint8_t*>(at);
    }
    return bytes;
  }
  ~ReadBuffer() {
    if (bytes != nullptr) munmap(bytes, kReadBytesMax);
  }
};

Session::Session(const SessionOptions& options, std::function<void()> wake)
    : options_(options), wake_(std::move(wake)), device_(options.device), queue_(kQueueMax + 1) {}

Session::~Session() {
  Stop();
  Close();
}

bool Session::Start() {
  InstallWakeSignal();
  std::lock_guard<std::mutex> lock(threads_mutex_);
  for (unsigned i = 0; i < options_.threads; i++) {
    running_++;
    try {
      threads_.emplace_back([this] { Run(); });
    } catch (const std::system_error&) {
      running_--;
      break;
    }
  }
  return !threads_.empty();
}

void Session::Stop() {
  std::lock_guard<std::mutex> lock(threads_mutex_);
  stopping_ = true;
  {
    std::lock_guard<std::mutex> queue_lock(queue_mutex_);
    queue_room_.notify_all();
  }
  // A signal that arrives just before read(2) is lost, so it is sent until every thread has seen it.
  while (running_ > 0) {
    for (auto& thread : threads_) pthread_kill(thread.native_handle(), WakeSignal());
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void Session::Close() {
  const int device = device_.exchange(-1);
  if (device >= 0) close(device);
}

void Session::Run() {
  BlockSignals();
  pthread_setname_np(pthread_self(), "tarn-fuse");
  std::vector<uint8_t> request(wire::kRequestBytesMax);
  ReadBuffer data;
  int why = 0;
  while (!stopping_ && ReadOne(request.data(), &data, &why)) {
  }
  // The first thread that sees the end tells the others, which may be waiting for room.
  if (why != 0) {
    ended_ = true;
    stopping_ = true;
    std::lock_guard<std::mutex> lock(queue_mutex_);
    queue_room_.notify_all();
  }
  if (--running_ == 0) {
    Queued ended = {};
    ended.opcode = kEnded;
    ended.size = static_cast<uint32_t>(why);
    Push(ended);
  }
}

bool Session::ReadOne(uint8_t* request, ReadBuffer* data, int* why) {
  const ssize_t length = read(device_, request, wire::kRequestBytesMax);
  if (length == 0) {
    // Not from /dev/fuse; what stands in for it in tests was closed.
    *why = ENODEV;
    return false;
  }
  if (length < 0) {
    // ENOENT: the request was interrupted before we had it.
    if (errno == EINTR || errno == EAGAIN || errno == ENOENT) return true;
    *why = errno;
    return false;
  }
  Request decoded;
  switch (Decode(request, static_cast<size_t>(length), &decoded)) {
    case Decoded::kOk:
      Handle(decoded, data);
      break;
    case Decoded::kBadBody:
      counters_.malformed++;
      Reply(decoded.unique, EIO, nullptr, 0);
      break;
    case Decoded::kBadHeader:
      counters_.malformed++;
      break;
  }
  return true;
}

void Session::Handle(const Request& request, ReadBuffer* data) {
  if (IsWrite(request.opcode)) {
    Reply(request.unique, EROFS, nullptr, 0);
    return;
  }
  switch (request.opcode) {
    case wire::kInit:
      return HandleInit(request);
    case wire::kForget:
    case wire::kBatchForget:
    case wire::kNotifyReply:
      // Inode numbers are computed, so there is nothing to forget; none of these has an answer.
      return;
    case wire::kDestroy:
      Reply(request.unique, 0, nullptr, 0);
      return;
    case wire::kOpen:
      return HandleOpen(request);
    case wire::kRead:
      return HandleRead(request, data);
    case wire::kRelease:
      files_.Close(request.fh);
      Reply(request.unique, 0, nullptr, 0);
      return Enqueue(request);
    case wire::kReleasedir:
      Reply(request.unique, 0, nullptr, 0);
      return Enqueue(request);
    case wire::kLookup:
    case wire::kGetxattr:
      if (request.name.size() > wire::kNameMax) {
        Reply(request.unique, request.opcode == wire::kLookup ? ENAMETOOLONG : ERANGE, nullptr, 0);
        return;
      }
      if (request.opcode == wire::kGetxattr && !IsUserXattr(request.name)) {
        // Not ENODATA: programs like ls then ask for labels and ACLs only once, not for every file.
        Reply(request.unique, EOPNOTSUPP, nullptr, 0);
        return;
      }
      return Enqueue(request);
    case wire::kGetattr:
    case wire::kReadlink:
    case wire::kListxattr:
    case wire::kOpendir:
    case wire::kReaddir:
    case wire::kReaddirplus:
    case wire::kStatfs:
    case wire::kInterrupt:
      return Enqueue(request);
    case wire::kIoctl:
      Reply(request.unique, ENOTTY, nullptr, 0);
      return;
    default:
      // The kernel then does it itself (ACCESS, FLUSH, FSYNC, LSEEK, STATX, POLL, locks) and, for
      // most, does not ask again.
      Reply(request.unique, ENOSYS, nullptr, 0);
      return;
  }
}

void Session::HandleOpen(const Request& request) {
  const bool writes = (request.flags & O_ACCMODE) != O_RDONLY || (request.flags & O_TRUNC) != 0;
  if (writes) {
    Reply(request.unique, EROFS, nullptr, 0);
    return;
  }
  Enqueue(request);
}

void Session::HandleRead(const Request& request, ReadBuffer* data) {
  const std::shared_ptr<OpenFile> file = files_.Find(request.fh);
  uint8_t* bytes = file && request.size <= kReadBytesMax ? data->Get() : nullptr;
  if (bytes == nullptr) return Enqueue(request);
  size_t length = 0;
  switch (file->Read(request.offset, request.size, bytes, &length)) {
    case OpenFile::ReadResult::kNotGranted:
      return Enqueue(request);
    case OpenFile::ReadResult::kFailed:
      Reply(request.unique, EIO, nullptr, 0);
      return;
    case OpenFile::ReadResult::kDone:
      counters_.native_reads++;
      Reply(request.unique, 0, bytes, length);
      return;
  }
}

void Session::HandleInit(const Request& request) {
  const wire::InitIn& in = request.init;
  wire::InitOut out = {};
  out.major = wire::kMajor;
  out.minor = wire::kMinor;
  if (in.major > wire::kMajor) {
    // The kernel asks again in our major version.
    Reply(request.unique, 0, &out, sizeof(out));
    return;
  }
  Queued told = {};
  told.opcode = wire::kInit;
  told.pid = in.minor;
  if (in.major < wire::kMajor || in.minor < wire::kMinorMin) {
    Reply(request.unique, EPROTO, nullptr, 0);
    told.size = EPROTO;
    Push(told);
    return;
  }
  uint64_t offered = in.flags;
  if (in.flags & wire::kInitExt) offered |= static_cast<uint64_t>(in.flags2) << 32;
  // READDIRPLUS_AUTO is left out: it made a cold scan several times slower.
  uint64_t wanted = wire::kAsyncRead | wire::kDoReaddirplus | wire::kAsyncDio |
                    wire::kParallelDirops | wire::kMaxPages | wire::kInitExt;
  if (options_.frozen) wanted |= wire::kCacheSymlinks;
  if (options_.passthrough) wanted |= wire::kPassthrough;
  const uint64_t agreed = offered & wanted;
  out.flags = static_cast<uint32_t>(agreed);
  out.flags2 = static_cast<uint32_t>(agreed >> 32);
  out.max_readahead = kReadaheadBytes;
  out.max_background = kBackgroundMax;
  out.congestion_threshold = kCongestion;
  out.max_write = 4096;
  out.time_gran = 1;
  out.max_pages = kReadPagesMax;
  const bool passthrough = (agreed & wire::kPassthrough) != 0;
  if (passthrough) {
    out.max_stack_depth = kStackDepth;
    files_.AllowPassthrough(device_);
  }
  told.size = static_cast<uint32_t>(Reply(request.unique, 0, &out, sizeof(out)));
  told.fh = passthrough ? 1 : 0;
  told.offset = (agreed & wire::kMaxPages) ? kReadBytesMax : 128 * 1024;
  Push(told);
}

void Session::Enqueue(const Request& request) {
  Queued item;
  item.opcode = request.opcode;
  item.pid = request.pid;
  item.unique = request.unique;
  item.nodeid = request.nodeid;
  item.fh = request.opcode == wire::kInterrupt ? request.target : request.fh;
  item.offset = request.offset;
  item.size = request.size;
  item.name_length = static_cast<uint32_t>(request.name.size());
  if (!request.name.empty()) std::memcpy(item.name, request.name.data(), request.name.size());
  Push(item);
}

void Session::Push(const Queued& item) {
  bool first;
  {
    std::unique_lock<std::mutex> lock(queue_mutex_);
    // The end always has a place: one slot is kept for it.
    queue_room_.wait(lock, [&] {
      return queue_count_ < kQueueMax || stopping_ || item.opcode == kEnded;
    });
    if (queue_count_ >= kQueueMax && item.opcode != kEnded) return;
    queue_[(queue_head_ + queue_count_) % queue_.size()] = item;
    first = queue_count_++ == 0 && !lingering_;
    queue_length_.store(queue_count_, std::memory_order_relaxed);
  }
  if (first) wake_();
}

bool Session::Linger() {
  {
    std::lock_guard<std::mutex> lock(queue_mutex_);
    if (queue_count_ > 0) return true;
    lingering_ = true;
  }
  const auto end = std::chrono::steady_clock::now() + kLingerMax;
  while (queue_length_.load(std::memory_order_relaxed) == 0 && !stopping_ &&
         std::chrono::steady_clock::now() < end) {
  }
  std::lock_guard<std::mutex> lock(queue_mutex_);
  lingering_ = false;
  return queue_count_ > 0;
}

bool Session::Drain(size_t max, const std::function<void(const Queued&)>& take) {
  std::lock_guard<std::mutex> lock(queue_mutex_);
  for (; max > 0 && queue_count_ > 0; max--) {
    take(queue_[queue_head_]);
    queue_head_ = (queue_head_ + 1) % queue_.size();
    queue_count_--;
  }
  queue_length_.store(queue_count_, std::memory_order_relaxed);
  queue_room_.notify_all();
  return queue_count_ > 0;
}

int Session::Reply(uint64_t unique, int error, const void* data, size_t length) {
  wire::OutHeader header;
  header.len = static_cast<uint32_t>(sizeof(header) + length);
  header.error = -error;
  header.unique = unique;
  struct iovec parts[2] = {{&header, sizeof(header)}, {const_cast<void*>(data), length}};
  while (writev(device_, parts, length > 0 ? 2 : 1) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int Session::ReplyOpen(uint64_t unique, uint64_t handle, uint64_t inode, const Backing& backing) {
  const FileTable::Opened opened = files_.Open(handle, inode, backing);
  wire::OpenOut out = {};
  out.fh = handle;
  if (opened.backing_id != 0) {
    // Never with KEEP_CACHE, for which the kernel fails the open with EIO.
    out.open_flags = wire::kFopenPassthrough;
    out.backing_id = opened.backing_id;
  } else if (options_.frozen) {
    out.open_flags = wire::kFopenKeepCache;
  }
  const int error = Reply(unique, 0, &out, sizeof(out));
  if (error != 0) {
    files_.Close(handle);
  } else if (opened.backing_id != 0) {
    counters_.passthrough_opens++;
  }
  return error;
}

void Session::Grant(uint64_t handle, uint64_t start, uint64_t end) {
  if (const std::shared_ptr<OpenFile> file = files_.Find(handle)) file->Grant(start, end);
}

}  // namespace tarn
