// The system calls of mounting. Every function returns zero or an errno unless it says otherwise.
#pragma once

#include <string>

namespace tarn {

// A descriptor of /dev/fuse or a negative errno.
int OpenDevice();
// Nosuid, nodev, read-only unless `writable`, type fuse.tarn. `options` is what the kernel's fuse takes as data.
int MountDirect(int device, const std::string& source, const std::string& directory,
                const std::string& options, bool writable);
int UnmountDirect(const std::string& directory, bool detach);
// fusermount3 -u -z; for the moment when no event loop runs any more.
int DetachByHelper(const std::string& helper, const std::string& directory);

// Two connected sockets, close-on-exec.
int SocketPair(int out[2]);
// The descriptor that fusermount3 has sent on `socket`, or a negative errno; does not wait.
int ReceiveDescriptor(int socket);

// Whether this process may mount and use passthrough (CAP_SYS_ADMIN).
bool HasAdminCapability();

}  // namespace tarn
