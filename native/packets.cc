#include "packets.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tarn {
namespace {

constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int) * kPacketDescriptorsMax);
constexpr struct timeval kWaitMax = {5, 0};

bool Address(const std::string& path, struct sockaddr_un* out) {
  if (path.size() >= sizeof(out->sun_path)) return false;
  *out = {};
  out->sun_family = AF_UNIX;
  std::memcpy(out->sun_path, path.data(), path.size());
  return true;
}

void Take(struct msghdr* message, Packet* out) {
  size_t count = 0;
  for (struct cmsghdr* part = CMSG_FIRSTHDR(message); part != nullptr;
       part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
      int descriptor;
      std::memcpy(&descriptor, reinterpret_cast<uint8_t*>(part) + at, sizeof(descriptor));
      if (count < kPacketDescriptorsMax) {
        out->descriptors[count++] = descriptor;
      } else {
        close(descriptor);
      }
    }
  }
}

}  // namespace

int SendPacket(int socket, std::string_view text, const int* descriptors, size_t count) {
  if (text.size() > kPacketBytesMax || count > kPacketDescriptorsMax) return EMSGSIZE;
  struct iovec part = {const_cast<char*>(text.data()), text.size()};
  alignas(struct cmsghdr) char control[kControlBytes] = {};
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    std::memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
  }
  while (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int ReceivePacket(int socket, Packet* out) {
  char bytes[kPacketBytesMax];
  struct iovec part = {bytes, sizeof(bytes)};
  alignas(struct cmsghdr) char control[kControlBytes];
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t got;
  do {
    got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errno;
  Take(&message, out);
  if (got == 0 || (message.msg_flags & MSG_TRUNC) != 0) {
    CloseDescriptors(out);
    return got == 0 ? EPIPE : EMSGSIZE;
  }
  out->text.assign(bytes, static_cast<size_t>(got));
  return 0;
}

void CloseDescriptors(Packet* packet) {
  for (int& descriptor : packet->descriptors) {
    if (descriptor >= 0) close(descriptor);
    descriptor = -1;
  }
}

int ConnectPackets(const std::string& path) {
  struct sockaddr_un address;
  if (!Address(path, &address)) return -ENAMETOOLONG;
  const int out = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (out < 0) return -errno;
  setsockopt(out, SOL_SOCKET, SO_RCVTIMEO, &kWaitMax, sizeof(kWaitMax));
  setsockopt(out, SOL_SOCKET, SO_SNDTIMEO, &kWaitMax, sizeof(kWaitMax));
  if (connect(out, reinterpret_cast<struct sockaddr*>(&address), sizeof(address)) == 0) return out;
  const int error = errno;
  close(out);
  return -error;
}

int ListenPackets(const std::string& path) {
  struct sockaddr_un address;
  if (!Address(path, &address)) return -ENAMETOOLONG;
  const int out = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (out < 0) return -errno;
  unlink(path.c_str());
  const mode_t before = umask(0177);
  const bool bound =
      bind(out, reinterpret_cast<struct sockaddr*>(&address), sizeof(address)) == 0;
  int error = errno;
  umask(before);
  if (bound && listen(out, 8) == 0) return out;
  if (bound) error = errno;
  close(out);
  return -error;
}

}  // namespace tarn
