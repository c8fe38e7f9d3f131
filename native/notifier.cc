#include "notifier.h"

#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>

#include <cerrno>
#include <chrono>
#include <system_error>

#include "wire.h"

namespace tarn {
namespace {

// Bounds the memory; a rebase onto a tree that differs in more names says so in one message.
constexpr size_t kItemsMax = 262'144;
constexpr std::chrono::seconds kStopMax(5);

}  // namespace

bool Notifier::Start(std::shared_ptr<Ledger> ledger) {
  ledger_ = std::move(ledger);
  try {
    ended_ = false;
    // The thread may outlive the session.
    thread_ = std::thread([self = shared_from_this()] { self->Run(); });
    return true;
  } catch (const std::system_error&) {
    ended_ = true;
    return false;
  }
}

void Notifier::Stop() {
  std::unique_lock<std::mutex> lock(mutex_);
  stopping_ = true;
  items_.clear();
  added_.notify_all();
  const bool over = over_.wait_for(lock, kStopMax, [&] { return ended_; });
  lock.unlock();
  if (!thread_.joinable()) return;
  if (over) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

void Notifier::Entry(uint64_t parent, std::string_view name) {
  Add(Item{parent, true, std::string(name)});
}

void Notifier::Inode(uint64_t inode, bool bytes) { Add(Item{inode, bytes, std::string()}); }

size_t Notifier::unheard() {
  std::lock_guard<std::mutex> lock(mutex_);
  return items_.size() + (overflowed_ ? 1 : 0) + (saying_ ? 1 : 0);
}

void Notifier::Everything() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_) return;
  overflowed_ = true;
  added_.notify_one();
}

void Notifier::Add(Item&& item) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_ || overflowed_) return;
  if (items_.empty() && ledger_) ledger_->Put(kUntold, 0, nullptr, 0);
  if (items_.size() >= kItemsMax) {
    items_.clear();
    overflowed_ = true;
  } else {
    items_.push_back(std::move(item));
  }
  added_.notify_one();
}

void Notifier::Run() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pthread_setname_np(pthread_self(), "tarn-notify");
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    added_.wait(lock, [&] { return stopping_ || overflowed_ || !items_.empty(); });
    if (stopping_) break;
    saying_ = true;
    if (overflowed_) {
      overflowed_ = false;
      lock.unlock();
      Write(wire::kNotifyIncEpoch, nullptr, 0, std::string());
    } else {
      const Item item = std::move(items_.front());
      items_.pop_front();
      lock.unlock();
      Send(item);
    }
    lock.lock();
    saying_ = false;
    if (items_.empty() && !overflowed_ && ledger_) ledger_->Drop(kUntold, 0);
  }
  ended_ = true;
  over_.notify_all();
}

// An error means that the kernel keeps nothing of it (ENOENT), or that there is no mount any more.
void Notifier::Send(const Item& item) {
  if (item.name.empty()) {
    SendInode(item.inode, item.bytes ? 0 : -1);
    return;
  }
  wire::InvalEntryOut out = {};
  out.parent = item.inode;
  out.namelen = static_cast<uint32_t>(item.name.size());
  out.flags = expires_ ? wire::kExpireOnly : 0;
  const int error = Write(wire::kNotifyInvalEntry, &out, sizeof(out), item.name);
  // With the name the kernel also outdates its directory; without one, a listing may be kept still.
  if (error == ENOENT) SendInode(item.inode, 0);
}

int Notifier::SendInode(uint64_t inode, int64_t offset) {
  wire::InvalInodeOut out = {};
  out.ino = inode;
  out.off = offset;
  return Write(wire::kNotifyInvalInode, &out, sizeof(out), std::string());
}

int Notifier::Resend() { return Write(wire::kNotifyResend, nullptr, 0, std::string()); }

int Notifier::Write(int32_t code, const void* body, size_t length, const std::string& name) {
  wire::OutHeader header = {};
  header.error = code;
  // A name goes with its NUL.
  const size_t named = name.empty() ? 0 : name.size() + 1;
  header.len = static_cast<uint32_t>(sizeof(header) + length + named);
  struct iovec parts[3] = {{&header, sizeof(header)},
                           {const_cast<void*>(body), length},
                           {const_cast<char*>(name.c_str()), named}};
  while (writev(device_, parts, named > 0 ? 3 : length > 0 ? 2 : 1) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

}  // namespace tarn
