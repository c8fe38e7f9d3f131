#include "session_object.h"

#include <algorithm>
#include <cstring>

#include "ledger_object.h"
#include "mount.h"
#include "task.h"

namespace tarn {
namespace {

// Numbers a request takes in the records, in the order of RECORD in src/mount/native/addon.ts.
constexpr size_t kRecordNumbers = 24;
// Bytes kept for the name of each record, in the order of the records.
constexpr size_t kNameSlot = wire::kNameMax + 1;

// How often in a row the JavaScript thread lingers before its event loop has a turn.
constexpr unsigned kLingersMax = 16;

uint64_t Number(const Napi::Value& value) {
  return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
}

// As far as JavaScript holds it exactly; what lies beyond is beyond any file, too.
double Clamped(uint64_t value) { return static_cast<double>(std::min(value, kNumberMax)); }

void WriteRecord(const Queued& item, double* record, uint8_t* name, size_t name_start) {
  record[0] = item.opcode;
  record[1] = static_cast<double>(item.unique);
  record[2] = static_cast<double>(item.nodeid);
  record[3] = static_cast<double>(item.fh);
  record[4] = Clamped(item.offset);
  record[5] = item.size;
  record[6] = item.pid;
  record[7] = static_cast<double>(name_start);
  record[8] = static_cast<double>(name_start + item.name_length);
  record[9] = item.payload_length;
  record[10] = item.uid;
  record[11] = item.gid;
  record[12] = item.mode;
  record[13] = item.flags;
  record[14] = item.open_flags;
  record[15] = static_cast<double>(item.node2);
  record[16] = static_cast<double>(item.fh2);
  record[17] = Clamped(item.offset2);
  record[18] = Clamped(item.length);
  record[19] = static_cast<double>(item.atime);
  record[20] = item.atime_nsec;
  record[21] = static_cast<double>(item.mtime);
  record[22] = item.mtime_nsec;
  record[23] = item.resent ? 1 : 0;
  std::memcpy(name, item.name, item.name_length);
}

}  // namespace

Napi::Function SessionObject::Define(Napi::Env env) {
  return DefineClass(env, "Session",
                     {
                         InstanceMethod("start", &SessionObject::Start),
                         InstanceMethod("restore", &SessionObject::Restore),
                         InstanceMethod("unrestore", &SessionObject::Unrestore),
                         InstanceMethod("resend", &SessionObject::Resend),
                         InstanceMethod("everythingChanged", &SessionObject::TellEverything),
                         InstanceMethod("setKept", &SessionObject::SetKept),
                         InstanceMethod("stop", &SessionObject::Stop),
                         InstanceMethod("reply", &SessionObject::Reply),
                         InstanceMethod("replyBytes", &SessionObject::ReplyBytes),
                         InstanceMethod("replyOpen", &SessionObject::ReplyOpen),
                         InstanceMethod("fill", &SessionObject::Fill),
                         InstanceMethod("payload", &SessionObject::Payload),
                         InstanceMethod("setStaged", &SessionObject::SetStaged),
                         InstanceMethod("entryChanged", &SessionObject::EntryChanged),
                         InstanceMethod("nodeChanged", &SessionObject::NodeChanged),
                         InstanceMethod("grant", &SessionObject::Grant),
                         InstanceMethod("listed", &SessionObject::Listed),
                         InstanceMethod("abandon", &SessionObject::Abandon),
                         InstanceMethod("counters", &SessionObject::Counters),
                     });
}

SessionObject::SessionObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<SessionObject>(info), env_(info.Env()) {
  const Napi::Object given = info[0].As<Napi::Object>();
  SessionOptions options;
  options.device = given.Get("device").As<Napi::Number>().Int32Value();
  options.threads = given.Get("threads").As<Napi::Number>().Uint32Value();
  options.frozen = given.Get("frozen").As<Napi::Boolean>().Value();
  options.holds = given.Get("holds").As<Napi::Boolean>().Value();
  options.writable = given.Get("writable").As<Napi::Boolean>().Value();
  options.passthrough = given.Get("passthrough").As<Napi::Boolean>().Value();
  options.resumed = given.Get("resumed").As<Napi::Boolean>().Value();
  options.expires = given.Get("expires").As<Napi::Boolean>().Value();
  options.first_handle = Number(given.Get("firstHandle"));
  options.ledger = LedgerOf(given.Get("ledger"));

  changes_ = !options.frozen;

  auto records = given.Get("records").As<Napi::Float64Array>();
  auto names = given.Get("names").As<Napi::Uint8Array>();
  auto reply = given.Get("reply").As<Napi::Uint8Array>();
  records_ = records.Data();
  names_ = names.Data();
  records_max_ =
      std::min(records.ElementLength() / kRecordNumbers, names.ElementLength() / kNameSlot);
  reply_ = reply.Data();
  reply_bytes_ = reply.ElementLength();
  buffers_ = Napi::Persistent(given);

  napi_value name;
  napi_create_string_utf8(env_, "tarn.fuse", NAPI_AUTO_LENGTH, &name);
  const napi_status status =
      napi_create_threadsafe_function(env_, given.Get("onBatch"), nullptr, name, 0, 1, nullptr,
                                      nullptr, this, OnWake, &wake_);
  if (status != napi_ok) {
    Napi::Error::New(env_, "no thread-safe function").ThrowAsJavaScriptException();
    return;
  }
  session_ = std::make_shared<Session>(
      options, [wake = wake_] { napi_call_threadsafe_function(wake, nullptr, napi_tsfn_nonblocking); });
  // Registered after the thread-safe function so that it runs before that one's own end.
  napi_add_env_cleanup_hook(env_, OnExit, this);
}

SessionObject::~SessionObject() {
  if (session_) session_->Stop();
  LetGo();
}

Napi::Value SessionObject::Start(const Napi::CallbackInfo& info) {
  directory_ = info[0].As<Napi::String>().Utf8Value();
  helper_ = info[1].As<Napi::String>().Utf8Value();
  running_ = session_->Start();
  if (running_) Ref();
  return Napi::Boolean::New(info.Env(), running_);
}

Napi::Value SessionObject::Stop(const Napi::CallbackInfo& info) {
  // Kept alive until the threads are gone; a running session was so from its start.
  if (!running_) Ref();
  return Napi::Value(info.Env(), RunTask(
                                     info.Env(),
                                     [session = session_] {
                                       session->Stop();
                                       return 0;
                                     },
                                     [this] {
                                       if (wake_ == nullptr) return;
                                       LetGo();
                                       Unref();
                                     }));
}

void SessionObject::LetGo() {
  if (wake_ == nullptr) return;
  running_ = false;
  if (session_) session_->Close();
  napi_remove_env_cleanup_hook(env_, OnExit, this);
  napi_release_threadsafe_function(wake_, napi_tsfn_release);
  wake_ = nullptr;
}

// The worker, or the process without process.exit(), ends.
void SessionObject::OnExit(void* data) {
  SessionObject* self = static_cast<SessionObject*>(data);
  self->GiveUp();
  // The environment closes the thread-safe function itself, next.
  self->wake_ = nullptr;
}

void SessionObject::Abandon(const Napi::CallbackInfo&) { GiveUp(); }

// Nobody will answer any more, so a mount that still exists goes.
void SessionObject::GiveUp() {
  const bool mounted = running_ && !session_->ended() && !kept_;
  running_ = false;
  // First, so that nothing in the kernel waits for answers while the threads are stopped.
  if (mounted && helper_.empty()) UnmountDirect(directory_, true);
  session_->Stop(!kept_);
  session_->Close();
  if (mounted && !helper_.empty()) DetachByHelper(helper_, directory_);
}

// Each call is a turn of its own, with its microtasks run at the end: replies that settle in them
// are out before the next call lingers.
void SessionObject::OnWake(napi_env env, napi_value callback, void* context, void* lingering) {
  SessionObject* self = static_cast<SessionObject*>(context);
  if (env == nullptr || self->wake_ == nullptr) return;
  if (lingering == nullptr) {
    self->lingered_ = 0;
  } else if (!self->Call(env, callback, 0) || !self->session_->queue().Linger()) {
    return;
  }
  if (!self->PassOn(env, callback) || self->lingered_ >= kLingersMax) return;
  self->lingered_++;
  napi_call_threadsafe_function(self->wake_, self, napi_tsfn_nonblocking);
}

bool SessionObject::PassOn(napi_env env, napi_value callback) {
  size_t count = 0;
  payloads_.clear();
  const bool more = session_->queue().Drain(records_max_, [&](Queued& item) {
    const size_t start = count * kNameSlot;
    WriteRecord(item, records_ + count * kRecordNumbers, names_ + start, start);
    payloads_.emplace_back(std::move(item.payload), item.payload_length);
    count++;
  });
  if (more) napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
  if (count > 0) Call(env, callback, count);
  return count > 0 && !more && wake_ != nullptr;
}

bool SessionObject::Call(napi_env env, napi_value callback, size_t count) {
  napi_value undefined;
  napi_value argument;
  napi_value result;
  bool idle = false;
  napi_get_undefined(env, &undefined);
  napi_create_uint32(env, static_cast<uint32_t>(count), &argument);
  return napi_call_function(env, undefined, callback, 1, &argument, &result) == napi_ok &&
         napi_get_value_bool(env, result, &idle) == napi_ok && idle;
}

// (unique, errno, bytes of the shared reply buffer)
Napi::Value SessionObject::Reply(const Napi::CallbackInfo& info) {
  const size_t length = std::min<size_t>(info[2].As<Napi::Number>().Uint32Value(), reply_bytes_);
  const int error = info[1].As<Napi::Number>().Int32Value();
  return Napi::Number::New(info.Env(), session_->Reply(Number(info[0]), error, reply_, length));
}

// (unique, bytes, length)
Napi::Value SessionObject::ReplyBytes(const Napi::CallbackInfo& info) {
  auto bytes = info[1].As<Napi::Uint8Array>();
  const size_t length =
      std::min<size_t>(info[2].As<Napi::Number>().Uint32Value(), bytes.ElementLength());
  return Napi::Number::New(info.Env(),
                           session_->Reply(Number(info[0]), 0, bytes.Data(), length));
}

// (unique, bytes of the shared reply buffer that are the entry of CREATE, handle, inode, base fd or
// -1, offset, length, exact, verified, staged fd or -1, page map fd or -1, direct, cached right, flags
// of the system call)
Napi::Value SessionObject::ReplyOpen(const Napi::CallbackInfo& info) {
  const size_t entry = std::min<size_t>(info[1].As<Napi::Number>().Uint32Value(), reply_bytes_);
  return Napi::Number::New(
      info.Env(), session_->ReplyOpen(Number(info[0]), OpeningOf(info), reply_, entry));
}

// (backing id, 0, and on as ReplyOpen)
Napi::Value SessionObject::Restore(const Napi::CallbackInfo& info) {
  return Napi::Number::New(
      info.Env(), session_->Restore(OpeningOf(info), info[0].As<Napi::Number>().Int32Value()));
}

// (handle)
void SessionObject::Unrestore(const Napi::CallbackInfo& info) {
  session_->Unrestore(Number(info[0]));
}

Napi::Value SessionObject::Resend(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), session_->Resend());
}

void SessionObject::TellEverything(const Napi::CallbackInfo&) {
  session_->notifier().Everything();
}

void SessionObject::SetKept(const Napi::CallbackInfo& info) {
  kept_ = info[0].As<Napi::Boolean>().Value();
}

Opening SessionObject::OpeningOf(const Napi::CallbackInfo& info) const {
  Opening opening;
  opening.handle = Number(info[2]);
  opening.inode = Number(info[3]);
  opening.base.fd = info[4].As<Napi::Number>().Int32Value();
  opening.base.offset = Number(info[5]);
  opening.base.length = Number(info[6]);
  opening.base.exact = info[7].As<Napi::Boolean>().Value();
  opening.base.verified = info[8].As<Napi::Boolean>().Value();
  opening.staged_fd = info[9].As<Napi::Number>().Int32Value();
  opening.map_fd = info[10].As<Napi::Number>().Int32Value();
  if (info.Length() > 14) {
    opening.direct = info[11].As<Napi::Boolean>().Value();
    opening.cached_right = info[12].As<Napi::Boolean>().Value();
    opening.asked = info[13].As<Napi::Boolean>().Value();
    opening.flags = info[14].As<Napi::Number>().Uint32Value();
  }
  opening.changes = changes_;
  return opening;
}

// (unique, bytes, length)
Napi::Value SessionObject::Fill(const Napi::CallbackInfo& info) {
  auto bytes = info[1].As<Napi::Uint8Array>();
  const size_t length =
      std::min<size_t>(info[2].As<Napi::Number>().Uint32Value(), bytes.ElementLength());
  return Napi::Number::New(info.Env(), session_->Fill(Number(info[0]), bytes.Data(), length));
}

// (index in the batch) A copy, to keep.
Napi::Value SessionObject::Payload(const Napi::CallbackInfo& info) {
  const size_t index = info[0].As<Napi::Number>().Uint32Value();
  if (index >= payloads_.size()) return info.Env().Undefined();
  const auto& [bytes, length] = payloads_[index];
  return Napi::Buffer<uint8_t>::Copy(info.Env(), bytes.get(), length);
}

// (inode, staged fd, page map fd or -1)
Napi::Value SessionObject::SetStaged(const Napi::CallbackInfo& info) {
  const int staged = info[1].As<Napi::Number>().Int32Value();
  const int map = info[2].As<Napi::Number>().Int32Value();
  return Napi::Number::New(info.Env(), session_->SetStaged(Number(info[0]), staged, map));
}

// (parent, name as bytes)
void SessionObject::EntryChanged(const Napi::CallbackInfo& info) {
  auto name = info[1].As<Napi::Uint8Array>();
  const char* const bytes = reinterpret_cast<const char*>(name.Data());
  session_->notifier().Entry(Number(info[0]), std::string_view(bytes, name.ElementLength()));
}

// (inode, whether its bytes changed)
void SessionObject::NodeChanged(const Napi::CallbackInfo& info) {
  session_->notifier().Inode(Number(info[0]), info[1].As<Napi::Boolean>().Value());
}

// (handle, start, end)
void SessionObject::Grant(const Napi::CallbackInfo& info) {
  session_->Grant(Number(info[0]), Number(info[1]), Number(info[2]));
}

// (inode)
void SessionObject::Listed(const Napi::CallbackInfo& info) { session_->Listed(Number(info[0])); }

Napi::Value SessionObject::Counters(const Napi::CallbackInfo& info) {
  const struct Counters& counters = session_->counters();
  Napi::Object out = Napi::Object::New(info.Env());
  const auto set = [&](const char* name, uint64_t value) {
    out.Set(name, Napi::Number::New(info.Env(), static_cast<double>(value)));
  };
  set("nativeReads", counters.native_reads);
  set("nativeWrites", counters.native_writes);
  set("passthroughOpens", counters.passthrough_opens);
  set("nativeOpendirs", counters.native_opendirs);
  set("malformed", counters.malformed);
  set("unheard", session_->notifier().unheard());
  return out;
}

}  // namespace tarn
