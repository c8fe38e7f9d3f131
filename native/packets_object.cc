#include "packets_object.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "packets.h"

namespace tarn {
namespace {

// () Two connected sockets, or an errno.
Napi::Value PacketPair(const Napi::CallbackInfo& info) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return Napi::Number::New(info.Env(), errno);
  }
  Napi::Array out = Napi::Array::New(info.Env(), 2);
  for (uint32_t i = 0; i < 2; i++) out.Set(i, Napi::Number::New(info.Env(), sockets[i]));
  return out;
}

// (path) A socket or a negative errno.
Napi::Value Connect(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), ConnectPackets(info[0].As<Napi::String>().Utf8Value()));
}

// (socket, text, descriptors) Zero or an errno.
Napi::Value Send(const Napi::CallbackInfo& info) {
  const std::string text = info[1].As<Napi::String>().Utf8Value();
  const Napi::Array given = info[2].As<Napi::Array>();
  int descriptors[kPacketDescriptorsMax];
  const uint32_t count = given.Length();
  if (count > kPacketDescriptorsMax) return Napi::Number::New(info.Env(), EMSGSIZE);
  for (uint32_t i = 0; i < count; i++) {
    descriptors[i] = given.Get(i).As<Napi::Number>().Int32Value();
  }
  const int socket = info[0].As<Napi::Number>().Int32Value();
  return Napi::Number::New(info.Env(), SendPacket(socket, text, descriptors, count));
}

// (socket) `{text, descriptors}`, or an errno.
Napi::Value Receive(const Napi::CallbackInfo& info) {
  Packet packet;
  const int error = ReceivePacket(info[0].As<Napi::Number>().Int32Value(), &packet);
  if (error != 0) return Napi::Number::New(info.Env(), error);
  Napi::Array descriptors = Napi::Array::New(info.Env());
  for (const int descriptor : packet.descriptors) {
    if (descriptor < 0) continue;
    descriptors.Set(descriptors.Length(), Napi::Number::New(info.Env(), descriptor));
  }
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("text", Napi::String::New(info.Env(), packet.text));
  out.Set("descriptors", descriptors);
  return out;
}

}  // namespace

void DefinePackets(Napi::Env env, Napi::Object exports) {
  exports.Set("packetPair", Napi::Function::New(env, PacketPair));
  exports.Set("connectPackets", Napi::Function::New(env, Connect));
  exports.Set("sendPacket", Napi::Function::New(env, Send));
  exports.Set("receivePacket", Napi::Function::New(env, Receive));
}

}  // namespace tarn
