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

constexpr uint64_t kFileBytes = 20'000;

struct Files {
  int base;
  int whole;
  int partial;
  int map;
};

int File(uint64_t bytes) {
  const int fd = memfd_create("file", MFD_CLOEXEC);
  Check(fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes)) == 0, "no file", 0);
  return fd;
}

Files MakeFiles() {
  Files out = {File(kFileBytes), File(0), File(kFileBytes), File(4096 + 8)};
  const uint8_t magic[8] = {'t', 'a', 'r', 'n', 'p', 'a', 'g', 1};
  const uint64_t sizes[2] = {kFileBytes, kFileBytes};
  Check(pwrite(out.map, magic, 8, 0) == 8 && pwrite(out.map, sizes, 16, 8) == 16, "no map", 0);
  return out;
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
    // A notice: its code stands where the errno does, and it is no answer.
    if (header.unique == 0 && header.error > 0) continue;
    Check(header.error <= 0 && header.error > -1000, "an answer with an odd errno", 0);
    Check(header.error == 0 || header.len == sizeof(header), "an error with a body", 0);
  }
}

Opening RandomOpening(const Queued& item, const Files& files, Random* random) {
  Opening opening;
  opening.handle = random->Below(8);
  // Mostly one way for an inode, as TypeScript has it.
  opening.inode = item.nodeid;
  opening.changes = true;
  opening.base = Backing{files.base, random->Below(100), kFileBytes, false, random->Below(2) == 0};
  const uint64_t how = item.nodeid % 3;
  if (how == 1) opening.staged_fd = files.whole;
  if (how == 2) {
    opening.staged_fd = files.partial;
    opening.map_fd = files.map;
  }
  return opening;
}

void Serve(Session* session, const Queued& item, const Files& files, Random* random) {
  switch (item.opcode) {
    case kEnded:
    case wire::kInit:
    case wire::kRelease:
    case wire::kReleasedir:
    case wire::kInterrupt:
    case wire::kForget:
    case wire::kBatchForget:
      return;
    case wire::kOpen:
    case wire::kCreate: {
      const Opening opening = RandomOpening(item, files, random);
      const uint8_t entry[sizeof(wire::EntryOut)] = {};
      session->ReplyOpen(item.unique, opening, entry,
                         item.opcode == wire::kCreate ? sizeof(entry) : 0);
      session->Grant(opening.handle, random->Below(4000), random->Below(9000));
      if (random->Below(4) == 0) session->SetStaged(item.nodeid, files.whole, -1);
      return;
    }
    case kNeed: {
      Check(item.offset % kPageBytes == 0 && item.size == kPageBytes, "no page", 0);
      const uint8_t page[kPageBytes] = {};
      if (random->Below(4) == 0) {
        session->Reply(item.unique, EINTR, nullptr, 0);
      } else {
        session->Fill(item.unique, page, random->Below(kPageBytes + 1));
      }
      return;
    }
    default:
      Check(item.name_length <= wire::kNameMax, "a name that is too long", 0);
      session->Reply(item.unique, item.opcode % 3 == 0 ? ENOENT : 0, nullptr, 0);
      if (item.opcode == wire::kOpendir) session->Listed(item.nodeid);
      if (random->Below(8) == 0) session->notifier().Entry(item.nodeid, "calibration.yaml");
      if (random->Below(8) == 0) session->notifier().Inode(item.nodeid, random->Below(2) == 0);
  }
}

void RunSession(uint64_t seed, uint64_t requests, bool kernel_ends, bool writable) {
  int pair[2];
  Check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "no sockets", seed);
  const int size = 4 * 1024 * 1024;
  setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
  const Files files = MakeFiles();
  std::atomic<bool> done{false};
  std::atomic<bool> ended{false};
  Random serving(seed + 1);
  SessionOptions options;
  options.device = pair[1];
  options.threads = 3;
  options.frozen = !writable;
  options.holds = writable;
  options.writable = writable;
  options.passthrough = true;
  options.ledger = Ledger::Open(-1);
  options.resumed = kernel_ends;
  Session session(options, [] {});
  if (options.resumed) {
    Opening open;
    open.handle = 3;
    open.inode = 3;
    open.changes = true;
    open.staged_fd = files.whole;
    Check(session.Restore(open, 0) == 0, "not restored", seed);
  }
  Check(session.Start() && session.Resend() == 0, "no threads", seed);
  std::thread answers(TakeAnswers, pair[0], &done);
  std::thread server([&] {
    while (!ended && !done) {
      std::vector<Queued> batch;
      session.queue().Drain(64, [&](Queued& item) { batch.push_back(std::move(item)); });
      for (const Queued& item : batch) {
        if (item.opcode == kEnded) ended = true;
        Serve(&session, item, files, &serving);
      }
    }
  });
  Random random(seed);
  for (uint64_t i = 0; i < requests; i++) {
    Bytes bytes = ValidRequest(&random);
    if (random.Below(3) == 0) Mutate(&bytes, &random);
    if (random.Below(16) == 0) bytes = RandomBytes(&random);
    // Some as if they had been delivered before.
    if (bytes.size() >= 16 && random.Below(8) == 0) bytes[15] |= 0x80;
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
  for (const int fd : {files.base, files.whole, files.partial, files.map}) close(fd);
}

}  // namespace

int main() {
  constexpr uint64_t kSessions = 40;
  constexpr uint64_t kRequests = 2000;
  for (uint64_t seed = 1; seed <= kSessions; seed++) {
    RunSession(seed, kRequests, seed % 2 == 0, seed % 4 < 2);
  }
  std::printf("session: %llu requests\n",
              static_cast<unsigned long long>(kSessions * kRequests));
}
