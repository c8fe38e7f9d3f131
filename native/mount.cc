#include "mount.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

extern char** environ;

namespace tarn {

int OpenDevice() {
  const int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  return device < 0 ? -errno : device;
}

int MountDirect(int device, const std::string& source, const std::string& directory,
                const std::string& options, bool writable) {
  const std::string data = "fd=" + std::to_string(device) + "," + options;
  const unsigned long flags = (writable ? 0 : MS_RDONLY) | MS_NOSUID | MS_NODEV;
  return mount(source.c_str(), directory.c_str(), "fuse.tarn", flags, data.c_str()) == 0 ? 0
                                                                                         : errno;
}

int UnmountDirect(const std::string& directory, bool detach) {
  // MNT_FORCE ends the requests that are under way: one whose answer will never come can hold what
  // other programs, or our own notifier, wait for.
  const int flags = UMOUNT_NOFOLLOW | (detach ? MNT_DETACH | MNT_FORCE : 0);
  return umount2(directory.c_str(), flags) == 0 ? 0 : errno;
}

int DetachByHelper(const std::string& helper, const std::string& directory) {
  const char* const arguments[] = {helper.c_str(), "-u", "-z", "-q", "--", directory.c_str(),
                                   nullptr};
  pid_t pid;
  const int error = posix_spawnp(&pid, helper.c_str(), nullptr, nullptr,
                                 const_cast<char* const*>(arguments), environ);
  if (error != 0) return error;
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return errno;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EIO;
}

int SocketPair(int out[2]) {
  return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) == 0 ? 0 : errno;
}

int ReceiveDescriptor(int socket) {
  char byte;
  struct iovec part = {&byte, 1};
  alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t got;
  do {
    got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return -errno;
  const struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int))) {
    return -EPROTO;
  }
  int descriptor;
  std::memcpy(&descriptor, CMSG_DATA(header), sizeof(descriptor));
  return descriptor;
}

bool HasAdminCapability() {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  return (data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN)) != 0;
}

}  // namespace tarn
