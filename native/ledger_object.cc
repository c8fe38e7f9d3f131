#include "ledger_object.h"

#include <algorithm>
#include <vector>

namespace tarn {
namespace {

uint64_t Number(const Napi::Value& value) {
  return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
}

}  // namespace

Napi::Function LedgerObject::Define(Napi::Env env) {
  return DefineClass(env, "Ledger",
                     {
                         InstanceMethod("descriptor", &LedgerObject::Descriptor),
                         InstanceMethod("put", &LedgerObject::Put),
                         InstanceMethod("drop", &LedgerObject::Drop),
                         InstanceMethod("records", &LedgerObject::Records),
                     });
}

// (descriptor of a ledger, taken over, or -1)
LedgerObject::LedgerObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<LedgerObject>(info),
      ledger_(Ledger::Open(info[0].As<Napi::Number>().Int32Value())) {
  if (!ledger_) Napi::Error::New(info.Env(), "no ledger").ThrowAsJavaScriptException();
}

Napi::Value LedgerObject::Descriptor(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), ledger_->fd());
}

// (kind, number, bytes, length)
void LedgerObject::Put(const Napi::CallbackInfo& info) {
  auto bytes = info[2].As<Napi::Uint8Array>();
  const size_t length =
      std::min<size_t>(info[3].As<Napi::Number>().Uint32Value(), bytes.ElementLength());
  ledger_->Put(info[0].As<Napi::Number>().Uint32Value(), Number(info[1]), bytes.Data(), length);
}

// (kind, number)
void LedgerObject::Drop(const Napi::CallbackInfo& info) {
  ledger_->Drop(info[0].As<Napi::Number>().Uint32Value(), Number(info[1]));
}

// For each record, as in the ledger: bytes and kind (32 bits), number (64), payload, not padded; or
// undefined.
Napi::Value LedgerObject::Records(const Napi::CallbackInfo& info) {
  std::vector<uint8_t> out;
  const auto add = [&](const void* bytes, size_t length) {
    const auto* at = static_cast<const uint8_t*>(bytes);
    out.insert(out.end(), at, at + length);
  };
  const bool sound = ledger_->Each(
      [&](uint32_t kind, uint64_t number, const uint8_t* payload, size_t length) {
        const uint32_t head[2] = {static_cast<uint32_t>(length), kind};
        add(head, sizeof(head));
        add(&number, sizeof(number));
        add(payload, length);
      });
  if (!sound) return info.Env().Undefined();
  return Napi::Buffer<uint8_t>::Copy(info.Env(), out.data(), out.size());
}

std::shared_ptr<Ledger> LedgerOf(const Napi::Value& value) {
  if (value.IsUndefined()) return nullptr;
  return LedgerObject::Unwrap(value.As<Napi::Object>())->ledger();
}

}  // namespace tarn
