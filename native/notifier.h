// Tells the kernel what it must no longer keep. From a thread of its own: such a message waits for
// requests that hold the directory or the page it is about, and those wait for our answers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "ledger.h"

namespace tarn {

class Notifier : public std::enable_shared_from_this<Notifier> {
 public:
  void SetDevice(int device) { device_ = device; }
  // False when no thread could be started. While something is to be said the ledger has kUntold.
  bool Start(std::shared_ptr<Ledger> ledger);
  // Says no more. The thread may be waiting in the kernel for requests that are not answered: they
  // should be, or the connection cut; otherwise it is left behind after some seconds.
  void Stop();

  // What the kernel agreed to.
  void SetExpires(bool expires) { expires_ = expires; }
  // The name is looked up, and the directory listed, again.
  void Entry(uint64_t parent, std::string_view name);
  // Attributes, and with `bytes` the contents, are asked for again.
  void Inode(uint64_t inode, bool bytes);
  // How much the kernel has not heard yet.
  size_t unheard();
  // Every name is looked up again, where the kernel can do that.
  void Everything();
  // At once, unlike the others: zero or an errno.
  int Resend();

 private:
  struct Item {
    uint64_t inode;
    bool bytes;
    // Empty for an inode.
    std::string name;
  };
  void Add(Item&& item);
  void Run();
  void Send(const Item& item);
  int SendInode(uint64_t inode, int64_t offset);
  int Write(int32_t code, const void* body, size_t length, const std::string& name);

  int device_ = -1;
  std::shared_ptr<Ledger> ledger_;
  std::atomic<bool> expires_{false};
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<Item> items_;
  std::condition_variable over_;
  bool stopping_ = false;
  bool ended_ = true;
  // More was to be said than there was room for, so everything is to be asked for again.
  bool overflowed_ = false;
  // The thread is in the kernel.
  bool saying_ = false;
};

}  // namespace tarn
