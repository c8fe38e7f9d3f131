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

// Pages of 4 KiB in the largest READ or WRITE.
constexpr uint16_t kPagesMax = wire::kDataBytesMax / 4096;
constexpr uint32_t kReadaheadBytes = 4 * 1024 * 1024;
constexpr uint16_t kBackgroundMax = 16;
constexpr uint16_t kCongestion = 12;
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

bool HasNoAnswer(uint32_t opcode) {
  return opcode == wire::kForget || opcode == wire::kBatchForget ||
         opcode == wire::kNotifyReply || opcode == wire::kInterrupt;
}

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

Session::Session(const SessionOptions& options, std::function<void()> wake)
    : options_(options),
      request_bytes_max_(options.writable ? wire::kWritingRequestBytesMax
                                          : wire::kRequestBytesMax),
      queue_(std::move(wake)),
      listed_(options.first_handle),
      device_(options.device) {
  notifier_->SetDevice(device_);
  if (!options.resumed) return;
  if (options.passthrough) files_.AllowPassthrough(device_);
  notifier_->SetExpires(options.expires);
}

Session::~Session() {
  Stop();
  Close();
}

bool Session::Start() {
  InstallWakeSignal();
  std::lock_guard<std::mutex> lock(threads_mutex_);
  if (!options_.frozen && !notifier_->Start(options_.ledger)) return false;
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

void Session::Stop(bool refuses) {
  std::lock_guard<std::mutex> lock(threads_mutex_);
  // What the notifier may wait for in the kernel is answered before it is waited for.
  if (refuses) refusing_ = true;
  queue_.Close();
  notifier_->Stop();
  stopping_ = true;
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
  // An unmount drops the releases that the kernel had not handed over yet.
  files_.CloseAll();
}

void Session::Run() {
  BlockSignals();
  pthread_setname_np(pthread_self(), "tarn-fuse");
  ReadBuffer request(request_bytes_max_);
  ReadBuffer data(wire::kDataBytesMax);
  int why = request.Get() == nullptr ? ENOMEM : 0;
  while (why == 0 && !stopping_ && ReadOne(&request, &data, &why)) {
  }
  // The first thread that sees the end tells the others, which may be waiting for room.
  if (why != 0) {
    ended_ = true;
    stopping_ = true;
    queue_.Close();
  }
  if (--running_ == 0) {
    Queued ended;
    ended.opcode = kEnded;
    ended.size = static_cast<uint32_t>(why);
    queue_.Push(std::move(ended));
  }
}

bool Session::ReadOne(ReadBuffer* request, ReadBuffer* data, int* why) {
  const ssize_t length = read(device_, request->Get(), request->length());
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
  switch (Decode(request->Get(), static_cast<size_t>(length), &decoded)) {
    case Decoded::kOk:
      Handle(decoded, data);
      break;
    case Decoded::kBadBody:
      counters_.malformed++;
      if (!HasNoAnswer(decoded.opcode)) Reply(decoded.unique, EIO, nullptr, 0);
      break;
    case Decoded::kBadHeader:
      counters_.malformed++;
      break;
  }
  return true;
}

void Session::Refuse(const Request& request) {
  if (!HasNoAnswer(request.opcode)) Reply(request.unique, ENOTCONN, nullptr, 0);
}

void Session::Handle(const Request& request, ReadBuffer* data) {
  if (request.resent && !HasNoAnswer(request.opcode)) {
    std::lock_guard<std::mutex> lock(resent_mutex_);
    resent_.insert(request.unique);
    resent_count_ = resent_.size();
  }
  if (refusing_) return Refuse(request);
  if (IsWrite(request.opcode)) {
    if (options_.writable) return HandleWriting(request);
    Reply(request.unique, EROFS, nullptr, 0);
    return;
  }
  switch (request.opcode) {
    case wire::kInit:
      return HandleInit(request);
    case wire::kForget:
    case wire::kBatchForget:
      return HandleForget(request);
    case wire::kNotifyReply:
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
      if (options_.ledger) options_.ledger->Drop(kOpenFile, request.fh);
      Reply(request.unique, 0, nullptr, 0);
      return Enqueue(request);
    case wire::kOpendir:
      return HandleOpendir(request);
    case wire::kReleasedir:
      Reply(request.unique, 0, nullptr, 0);
      return HandleReleasedir(request);
    case wire::kLookup:
    case wire::kGetxattr:
      return HandleNamed(request);
    case wire::kGetattr:
    case wire::kReadlink:
    case wire::kListxattr:
    case wire::kReaddir:
    case wire::kReaddirplus:
    case wire::kStatfs:
    case wire::kInterrupt:
      return Enqueue(request);
    case wire::kFsync:
    case wire::kFsyncdir:
    case wire::kLseek:
      if (options_.writable) return Enqueue(request);
      Reply(request.unique, ENOSYS, nullptr, 0);
      return;
    case wire::kIoctl:
      Reply(request.unique, ENOTTY, nullptr, 0);
      return;
    default:
      // The kernel then does it itself (ACCESS, FLUSH, STATX, POLL, locks; FSYNC and LSEEK of what
      // never changes) and, for most, does not ask again.
      Reply(request.unique, ENOSYS, nullptr, 0);
      return;
  }
}

void Session::HandleForget(const Request& request) {
  // What never changes computes its inode numbers, so there is nothing to forget.
  if (!options_.holds) return;
  if (request.opcode == wire::kForget) {
    listed_.Forget(request.nodeid);
  } else {
    wire::ForgetOne one;
    for (size_t at = 0; at + sizeof(one) <= request.payload.size(); at += sizeof(one)) {
      std::memcpy(&one, request.payload.data() + at, sizeof(one));
      listed_.Forget(one.nodeid);
    }
  }
  Enqueue(request);
}

// Of a file system that is written.
void Session::HandleWriting(const Request& request) {
  switch (request.opcode) {
    case wire::kWrite:
      return HandleWrite(request);
    case wire::kTmpfile:
      // The kernel tells the program EOPNOTSUPP, and does not ask again.
      Reply(request.unique, ENOSYS, nullptr, 0);
      return;
    case wire::kSetattr:
    case wire::kFallocate:
    case wire::kCopyFileRange:
    case wire::kCopyFileRange64:
      return Enqueue(request);
    default:
      return HandleNamed(request);
  }
}

void Session::HandleNamed(const Request& request) {
  const bool ofXattr = request.opcode == wire::kGetxattr || request.opcode == wire::kSetxattr ||
                       request.opcode == wire::kRemovexattr;
  const bool twoNames = request.opcode == wire::kRename || request.opcode == wire::kRename2;
  if (request.name.size() > wire::kNameMax || (twoNames && request.payload.size() > wire::kNameMax)) {
    Reply(request.unique, ofXattr ? ERANGE : ENAMETOOLONG, nullptr, 0);
    return;
  }
  if (ofXattr && !IsUserXattr(request.name)) {
    // Not ENODATA: programs like ls then ask for labels and ACLs only once, not for every file.
    Reply(request.unique, EOPNOTSUPP, nullptr, 0);
    return;
  }
  Enqueue(request);
}

uint64_t Session::Wanted() const {
  // READDIRPLUS_AUTO is left out: it made a cold scan several times slower.
  uint64_t wanted = wire::kAsyncRead | wire::kDoReaddirplus | wire::kAsyncDio |
                    wire::kParallelDirops | wire::kMaxPages | wire::kInitExt | wire::kHasResend;
  if (options_.frozen || options_.holds) wanted |= wire::kCacheSymlinks;
  // Not WRITEBACK_CACHE, with which the kernel takes no backing files; and none of the locks, which
  // it then keeps by itself.
  if (options_.writable) {
    wanted |= wire::kAtomicOTrunc | wire::kBigWrites | wire::kHandleKillprivV2;
  }
  if (!options_.frozen && options_.holds) wanted |= wire::kHasExpireOnly;
  if (options_.passthrough) wanted |= wire::kPassthrough;
  return wanted;
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
  Queued told;
  told.opcode = wire::kInit;
  told.pid = in.minor;
  if (in.major < wire::kMajor || in.minor < wire::kMinorMin) {
    Reply(request.unique, EPROTO, nullptr, 0);
    told.size = EPROTO;
    queue_.Push(std::move(told));
    return;
  }
  uint64_t offered = in.flags;
  if (in.flags & wire::kInitExt) offered |= static_cast<uint64_t>(in.flags2) << 32;
  const uint64_t agreed = offered & Wanted();
  out.flags = static_cast<uint32_t>(agreed);
  out.flags2 = static_cast<uint32_t>(agreed >> 32);
  out.max_readahead = kReadaheadBytes;
  out.max_background = kBackgroundMax;
  out.congestion_threshold = kCongestion;
  out.max_write = options_.writable ? wire::kDataBytesMax : 4096;
  out.time_gran = 1;
  out.max_pages = kPagesMax;
  const bool passthrough = (agreed & wire::kPassthrough) != 0;
  if (passthrough) {
    out.max_stack_depth = kStackDepth;
    files_.AllowPassthrough(device_);
  }
  notifier_->SetExpires((agreed & wire::kHasExpireOnly) != 0);
  told.size = static_cast<uint32_t>(Reply(request.unique, 0, &out, sizeof(out)));
  told.fh = passthrough ? 1 : 0;
  told.fh2 = (agreed & wire::kHandleKillprivV2) ? 1 : 0;
  told.node2 = (agreed & wire::kHasExpireOnly) ? 1 : 0;
  told.length = (agreed & wire::kHasResend) ? 1 : 0;
  told.offset = (agreed & wire::kMaxPages) ? wire::kDataBytesMax : 128 * 1024;
  queue_.Push(std::move(told));
}

void Session::Enqueue(const Request& request) {
  Queued item;
  CopyRequest(request, &item);
  queue_.Push(std::move(item));
}

int Session::Reply(uint64_t unique, int error, const void* data, size_t length) {
  if (waiting_count_ > 0) {
    // A WRITE that waited for a page and is refused instead.
    std::lock_guard<std::mutex> lock(waiting_mutex_);
    waiting_.erase(unique);
    waiting_count_ = waiting_.size();
  }
  struct iovec part = {const_cast<void*>(data), length};
  return Send(unique, error, &part, length > 0 ? 1 : 0);
}

int Session::Send(uint64_t unique, int error, const struct iovec* body, int count) {
  wire::OutHeader header;
  struct iovec parts[3] = {{&header, sizeof(header)}};
  size_t length = sizeof(header);
  for (int i = 0; i < count; i++) {
    parts[i + 1] = body[i];
    length += body[i].iov_len;
  }
  header.len = static_cast<uint32_t>(length);
  header.error = -error;
  header.unique = AsDelivered(unique);
  while (writev(device_, parts, count + 1) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

uint64_t Session::AsDelivered(uint64_t unique) {
  if (resent_count_ == 0) return unique;
  std::lock_guard<std::mutex> lock(resent_mutex_);
  if (resent_.erase(unique) == 0) return unique;
  resent_count_ = resent_.size();
  return unique | wire::kUniqueResend;
}

}  // namespace tarn
