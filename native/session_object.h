// A Session as JavaScript sees it; the interface is stated in src/mount/native/addon.ts.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "session.h"

namespace tarn {

class SessionObject : public Napi::ObjectWrap<SessionObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit SessionObject(const Napi::CallbackInfo& info);
  ~SessionObject() override;

 private:
  Napi::Value Start(const Napi::CallbackInfo& info);
  Napi::Value Restore(const Napi::CallbackInfo& info);
  void Unrestore(const Napi::CallbackInfo& info);
  Napi::Value Resend(const Napi::CallbackInfo& info);
  void TellEverything(const Napi::CallbackInfo& info);
  void SetKept(const Napi::CallbackInfo& info);
  Napi::Value Stop(const Napi::CallbackInfo& info);
  Napi::Value Reply(const Napi::CallbackInfo& info);
  Napi::Value ReplyBytes(const Napi::CallbackInfo& info);
  Napi::Value ReplyOpen(const Napi::CallbackInfo& info);
  Napi::Value Fill(const Napi::CallbackInfo& info);
  Napi::Value Payload(const Napi::CallbackInfo& info);
  Napi::Value SetStaged(const Napi::CallbackInfo& info);
  void EntryChanged(const Napi::CallbackInfo& info);
  void NodeChanged(const Napi::CallbackInfo& info);
  void Grant(const Napi::CallbackInfo& info);
  void Listed(const Napi::CallbackInfo& info);
  void Abandon(const Napi::CallbackInfo& info);
  Napi::Value Counters(const Napi::CallbackInfo& info);

  Opening OpeningOf(const Napi::CallbackInfo& info) const;
  static void OnWake(napi_env env, napi_value callback, void* context, void* data);
  static void OnExit(void* self);
  // Takes a batch of requests to JavaScript; false when there was none, or more wait.
  bool PassOn(napi_env env, napi_value callback);
  // True when no request waits for the event loop.
  bool Call(napi_env env, napi_value callback, size_t count);
  void GiveUp();
  // The last step of every way to stop, on the JavaScript thread; does nothing twice.
  void LetGo();

  napi_env env_;
  std::shared_ptr<Session> session_;
  napi_threadsafe_function wake_ = nullptr;

  // Memory shared with JavaScript, kept alive by the references.
  double* records_ = nullptr;
  size_t records_max_ = 0;
  uint8_t* names_ = nullptr;
  uint8_t* reply_ = nullptr;
  size_t reply_bytes_ = 0;
  // Of the batch that JavaScript has, in its order.
  std::vector<std::pair<std::unique_ptr<uint8_t[]>, size_t>> payloads_;
  unsigned lingered_ = 0;
  Napi::ObjectReference buffers_;

  // What it shows may change.
  bool changes_ = false;
  // While it runs: what the end of the environment has to unmount.
  bool running_ = false;
  // Another process goes on with the mount when this one ends.
  bool kept_ = false;
  std::string directory_;
  std::string helper_;
};

}  // namespace tarn
