// Holds the connections of mounts while no daemon runs, so that programs in them wait instead of
// getting errors, and starts the daemon again when it ends without a word. Usage:
//
//   tarn_keeper SOCKET LIMIT_MS PROGRAM ARGUMENT…
//
// The daemon that starts it speaks on descriptor 3, its successors connect to SOCKET (packets.h). A
// mount that is not served again within LIMIT_MS is let go of: then programs get errors from it, as
// they would have at once without this. PROGRAM gets this process's environment and descriptors 0 to
// 2, and on 3 one that takes what it reports.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>

#include "packets.h"

using namespace tarn;

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kDaemon = 3;
constexpr milliseconds kTick{50};
// A daemon that has served so long has not been killed by what it was asked last.
constexpr milliseconds kSound{300};
constexpr milliseconds kPauseFirst{100};
constexpr milliseconds kPauseMax{5000};

struct Held {
  std::string abort_file;
  std::string directory;
  int device = -1;
  int ledger = -1;
  bool served = true;
};

class Keeper {
 public:
  Keeper(char** arguments, int listener)
      : socket_path_(arguments[1]),
        limit_(std::atoi(arguments[2])),
        program_(arguments + 3),
        listener_(listener),
        daemon_(kDaemon) {}

  void Run() {
    while (!done_) {
      Wait();
      const Clock::time_point now = Clock::now();
      if (started_ > 0 && waitpid(started_, nullptr, WNOHANG) != 0) started_ = -1;
      Judge(now);
      if (done_) break;
      if (daemon_ < 0 && now >= next_start_ && started_ < 0) StartDaemon(now);
    }
  }

 private:
  void Wait() {
    struct pollfd on[2] = {{listener_, POLLIN, 0}, {daemon_, POLLIN, 0}};
    const int timeout = IsServed() && !in_doubt_ ? -1 : static_cast<int>(kTick.count());
    if (poll(on, 2, timeout) <= 0) return;
    if (on[1].revents != 0) Hear();
    if (on[0].revents != 0) Accept();
  }

  bool IsServed() const {
    return daemon_ >= 0 && std::all_of(held_.begin(), held_.end(),
                                       [](const auto& one) { return one.second.served; });
  }

  // Looks whether the time for a mount to be served again is over, or need not be watched any more.
  void Judge(Clock::time_point now) {
    if (IsServed()) {
      if (in_doubt_ && now - served_since_ >= kSound) {
        in_doubt_ = false;
        pause_ = kPauseFirst;
      }
      return;
    }
    if (!in_doubt_ || now < deadline_) return;
    for (auto one = held_.begin(); one != held_.end();) {
      if (daemon_ >= 0 && one->second.served) {
        ++one;
        continue;
      }
      LetGo(one->second);
      one = held_.erase(one);
    }
    if (daemon_ < 0) done_ = true;
  }

  void Accept() {
    const int peer = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0) return;
    struct ucred credentials;
    socklen_t length = sizeof(credentials);
    if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0 ||
        credentials.uid != getuid()) {
      close(peer);
      return;
    }
    // The lock of the home lets only one daemon come this far: the one before is dead.
    if (daemon_ >= 0) Bereave();
    daemon_ = peer;
  }

  void Hear() {
    Packet packet;
    if (ReceivePacket(daemon_, &packet) != 0 || !Obey(&packet)) Bereave();
    CloseDescriptors(&packet);
  }

  // False when the daemon cannot be understood.
  bool Obey(Packet* packet) {
    const std::string rest = packet->text.substr(1);
    switch (packet->text[0]) {
      case kHello:
        return Tell();
      case kHold:
        return Hold(rest, packet);
      case kServed:
        if (const auto one = held_.find(rest); one != held_.end()) one->second.served = true;
        if (IsServed()) served_since_ = Clock::now();
        return true;
      case kDrop:
        if (const auto one = held_.find(rest); one != held_.end()) {
          CloseOf(one->second);
          held_.erase(one);
        }
        if (IsServed()) served_since_ = Clock::now();
        return true;
      case kBye:
        for (auto& [id, one] : held_) CloseOf(one);
        held_.clear();
        done_ = true;
        return true;
      default:
        return false;
    }
  }

  bool Tell() {
    for (const auto& [id, one] : held_) {
      const int descriptors[] = {one.device, one.ledger};
      if (SendPacket(daemon_, std::string(1, kHeld) + id, descriptors, 2) != 0) return false;
    }
    if (IsServed()) served_since_ = Clock::now();
    return SendPacket(daemon_, std::string(1, kEnd), nullptr, 0) == 0;
  }

  bool Hold(const std::string& text, Packet* packet) {
    const size_t first = text.find('\0');
    const size_t second = first == std::string::npos ? first : text.find('\0', first + 1);
    if (second == std::string::npos || packet->descriptors[1] < 0) return false;
    Held& one = held_[text.substr(0, first)];
    CloseOf(one);
    one.abort_file = text.substr(first + 1, second - first - 1);
    one.directory = text.substr(second + 1);
    one.served = true;
    std::swap(one.device, packet->descriptors[0]);
    std::swap(one.ledger, packet->descriptors[1]);
    return true;
  }

  // The daemon has ended without saying so.
  void Bereave() {
    close(daemon_);
    daemon_ = -1;
    if (held_.empty()) {
      done_ = true;
      return;
    }
    const Clock::time_point now = Clock::now();
    if (!in_doubt_) {
      deadline_ = now + limit_;
      next_start_ = now;
    }
    in_doubt_ = true;
    for (auto& [id, one] : held_) one.served = false;
  }

  void StartDaemon(Clock::time_point now) {
    next_start_ = now + pause_;
    pause_ = std::min(pause_ * 2, kPauseMax);
    // Where the home was deleted nobody is to serve its mounts.
    if (access(socket_path_.c_str(), F_OK) != 0) {
      deadline_ = now;
      return;
    }
    started_ = fork();
    if (started_ != 0) return;
    setsid();
    const int report = open("/dev/null", O_WRONLY);
    if (report != kDaemon) dup2(report, kDaemon);
    for (const int number : {SIGHUP, SIGINT, SIGPIPE}) signal(number, SIG_DFL);
    execv(program_[0], program_);
    _exit(127);
  }

  static void CloseOf(Held& one) {
    for (int* descriptor : {&one.device, &one.ledger}) {
      if (*descriptor >= 0) close(*descriptor);
      *descriptor = -1;
    }
  }

  // Programs get errors from here on, also where a dying daemon still has the connection open.
  static void LetGo(Held& one) {
    const int file = open(one.abort_file.c_str(), O_WRONLY | O_CLOEXEC);
    const bool aborted = file >= 0 && write(file, "1", 1) == 1;
    if (file >= 0) close(file);
    if (!aborted) umount2(one.directory.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH | MNT_FORCE);
    CloseOf(one);
  }

  const std::string socket_path_;
  const milliseconds limit_;
  char** const program_;
  const int listener_;
  // -1 while none is known to run.
  int daemon_;
  std::map<std::string, Held> held_;
  // A daemon has ended, and none has served soundly since.
  bool in_doubt_ = false;
  Clock::time_point deadline_;
  Clock::time_point served_since_;
  Clock::time_point next_start_;
  milliseconds pause_ = kPauseFirst;
  // A daemon of ours that runs.
  pid_t started_ = -1;
  bool done_ = false;
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) return 2;
  prctl(PR_SET_NAME, "tarn-keeper");
  for (const int number : {SIGHUP, SIGINT, SIGPIPE}) signal(number, SIG_IGN);
  fcntl(kDaemon, F_SETFD, FD_CLOEXEC);
  const int listener = ListenPackets(arguments[1]);
  if (listener < 0) return 1;
  Keeper(arguments, listener).Run();
  // Before whoever waits for the end of this process can have started another one.
  unlink(arguments[1]);
  return 0;
}
