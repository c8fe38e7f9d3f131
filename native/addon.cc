// What the addon exports; the interface is stated in src/mount/native/addon.ts.
#include <napi.h>
#include <unistd.h>

#include "file_calls.h"
#include "ledger_object.h"
#include "mount.h"
#include "packets_object.h"
#include "session_object.h"
#include "task.h"

namespace tarn {
namespace {

// Counted whenever what is exported changes; INTERFACE in src/mount/native/addon.ts.
constexpr int kInterface = 6;

Napi::Value OpenDeviceCall(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), OpenDevice());
}

Napi::Value MountDirectCall(const Napi::CallbackInfo& info) {
  const int device = info[0].As<Napi::Number>().Int32Value();
  const std::string source = info[1].As<Napi::String>().Utf8Value();
  const std::string directory = info[2].As<Napi::String>().Utf8Value();
  const std::string options = info[3].As<Napi::String>().Utf8Value();
  const bool writable = info[4].As<Napi::Boolean>().Value();
  return Napi::Value(
      info.Env(),
      RunTask(
          info.Env(), [=] { return MountDirect(device, source, directory, options, writable); }, nullptr));
}

Napi::Value UnmountDirectCall(const Napi::CallbackInfo& info) {
  const std::string directory = info[0].As<Napi::String>().Utf8Value();
  const bool detach = info[1].As<Napi::Boolean>().Value();
  return Napi::Value(
      info.Env(),
      RunTask(info.Env(), [=] { return UnmountDirect(directory, detach); }, nullptr));
}

Napi::Value SocketPairCall(const Napi::CallbackInfo& info) {
  int sockets[2];
  const int error = SocketPair(sockets);
  if (error != 0) return Napi::Number::New(info.Env(), error);
  Napi::Array out = Napi::Array::New(info.Env(), 2);
  for (uint32_t i = 0; i < 2; i++) out.Set(i, Napi::Number::New(info.Env(), sockets[i]));
  return out;
}

Napi::Value ReceiveDescriptorCall(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(),
                           ReceiveDescriptor(info[0].As<Napi::Number>().Int32Value()));
}

void CloseDescriptorCall(const Napi::CallbackInfo& info) {
  close(info[0].As<Napi::Number>().Int32Value());
}

Napi::Value HasAdminCapabilityCall(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), HasAdminCapability());
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("interface", Napi::Number::New(env, kInterface));
  exports.Set("openDevice", Napi::Function::New(env, OpenDeviceCall));
  exports.Set("mountDirect", Napi::Function::New(env, MountDirectCall));
  exports.Set("unmountDirect", Napi::Function::New(env, UnmountDirectCall));
  exports.Set("socketPair", Napi::Function::New(env, SocketPairCall));
  exports.Set("receiveDescriptor", Napi::Function::New(env, ReceiveDescriptorCall));
  exports.Set("closeDescriptor", Napi::Function::New(env, CloseDescriptorCall));
  exports.Set("hasAdminCapability", Napi::Function::New(env, HasAdminCapabilityCall));
  DefineFileCalls(env, exports);
  DefinePackets(env, exports);
  exports.Set("Ledger", LedgerObject::Define(env));
  exports.Set("Session", SessionObject::Define(env));
  return exports;
}

}  // namespace
}  // namespace tarn

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  return tarn::Init(env, exports);
}

NODE_API_MODULE(tarn_fuse, InitAddon)
