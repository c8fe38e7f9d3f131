// Messages with descriptors over a unix socket of type SOCK_SEQPACKET, between daemon and keeper.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tarn {

constexpr size_t kPacketBytesMax = 4096;
constexpr size_t kPacketDescriptorsMax = 2;

// What the first byte of a packet says. From the daemon:
//   kHello   what do you hold? Answered with a kHeld for each mount, then kEnd.
//   kHold    hold this mount: id, NUL, path of the file that aborts its connection, NUL, directory;
//            the device and its ledger. One of that id is replaced.
//   kServed  the mount `id` is served again
//   kDrop    let go of the mount `id`
//   kBye     let go of everything, and end
enum PacketType : char {
  kHello = 'H',
  kHold = 'A',
  kServed = 'S',
  kDrop = 'D',
  kBye = 'B',
  // From the keeper: id; the device and its ledger.
  kHeld = 'M',
  kEnd = 'E',
};

struct Packet {
  std::string text;
  // -1 where none came; whoever has the packet closes them.
  int descriptors[kPacketDescriptorsMax] = {-1, -1};
};

// Zero or an errno.
int SendPacket(int socket, std::string_view text, const int* descriptors, size_t count);
// Zero, or an errno: EPIPE when the peer has gone.
int ReceivePacket(int socket, Packet* out);
void CloseDescriptors(Packet* packet);

// A connection to whoever listens at `path`, or a negative errno. It waits 5 s for a packet at most.
int ConnectPackets(const std::string& path);
// A listening socket that only this user reaches, in place of one that was there; or a negative errno.
int ListenPackets(const std::string& path);

}  // namespace tarn
