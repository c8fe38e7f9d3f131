// A whole session on a socket that stands in for /dev/fuse: good, damaged and random requests come
// in on its reader threads while another thread answers, opens, grants and finally stops it.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "../session.h"
#include "requests.h"

using namespace tarn;
using namespace tarn::fuzz;

namespace {

constexpr uint64_t kFileBytes = 8000;

int BackingFile() {
  const int fd = memfd_create("backing", MFD_CLOEXEC);
  Check(fd >= 0 && ftruncate(fd, kFileBytes) == 0, "no backing file", 0);
  return fd;
}

// What the kernel would check of every answer.
void TakeAnswers(int kernel, std::atomic<bool>* done) {
  Bytes answer(2 * 1024 * 1024);
  struct pollfd wait = {kernel, POLLIN, 0};
  while (!*done) {
    if (poll(&wait, 1, 10) <= 0) continue;
    const ssize_t length = recv(kernel, answer.data(), answer.size(), MSG_DONTWAIT);
    if (length <= 0) continue;
    wire::OutHeader header;
    Check(static_cast<size_t>(length) >= sizeof(header), "an answer without a header", 0);
    std::memcpy(&header, answer.data(), sizeof(header));
    Check(header.len == static_cast<size_t>(length), "an answer of another length", 0);
    Check(header.error <= 0 && header.error > -1000, "an answer with an odd errno", 0);
    Check(header.error == 0 || header.len == sizeof(header), "an error with a body", 0);
  }
}

void Serve(Session* session, const Queued& item, int backing, Random* random) {
  switch (item.opcode) {
    case kEnded:
    case wire::kInit:
    case wire::kRelease:
    case wire::kReleasedir:
    case wire::kInterrupt:
      return;
    case wire::kOpen: {
      const bool verified = random->Below(2) == 0;
      const uint64_t handle = random->Below(8);
      session->ReplyOpen(item.unique, handle, item.nodeid,
                         Backing{backing, random->Below(100), kFileBytes, false, verified});
      session->Grant(handle, random->Below(4000), random->Below(9000));
      return;
    }
    default:
      Check(item.name_length <= wire::kNameMax, "a name that is too long", 0);
      session->Reply(item.unique, item.opcode % 3 == 0 ? ENOENT : 0, nullptr, 0);
  }
}

void RunSession(uint64_t seed, uint64_t requests, bool kernel_ends) {
  int pair[2];
  Check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "no sockets", seed);
  const int size = 4 * 1024 * 1024;
  setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
  const int backing = BackingFile();
  std::atomic<bool> done{false};
  std::atomic<bool> ended{false};
  Random serving(seed + 1);
  SessionOptions options;
  options.device = pair[1];
  options.threads = 3;
  options.frozen = true;
  options.passthrough = true;
  Session session(options, [] {});
  Check(session.Start(), "no threads", seed);
  std::thread answers(TakeAnswers, pair[0], &done);
  std::thread server([&] {
    while (!ended && !done) {
      session.Drain(64, [&](const Queued& item) {
        if (item.opcode == kEnded) ended = true;
        Serve(&session, item, backing, &serving);
      });
    }
  });
  Random random(seed);
  for (uint64_t i = 0; i < requests; i++) {
    Bytes bytes = ValidRequest(&random);
    if (random.Below(3) == 0) Mutate(&bytes, &random);
    if (random.Below(16) == 0) bytes = RandomBytes(&random);
    // A message of no bytes would be the end.
    if (!bytes.empty()) send(pair[0], bytes.data(), bytes.size(), 0);
  }
  if (kernel_ends) shutdown(pair[0], SHUT_WR);
  while (kernel_ends && !session.ended()) std::this_thread::yield();
  session.Stop();
  done = true;
  answers.join();
  server.join();
  session.Close();
  close(pair[0]);
  close(backing);
}

}  // namespace

int main() {
  constexpr uint64_t kSessions = 40;
  constexpr uint64_t kRequests = 3000;
  for (uint64_t seed = 1; seed <= kSessions; seed++) RunSession(seed, kRequests, seed % 2 == 0);
  std::printf("session: %llu requests\n",
              static_cast<unsigned long long>(kSessions * kRequests));
}
