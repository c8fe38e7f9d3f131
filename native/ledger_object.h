// A Ledger as JavaScript sees it; the interface is stated in src/mount/native/addon.ts.
#pragma once

#include <napi.h>

#include <memory>

#include "ledger.h"

namespace tarn {

class LedgerObject : public Napi::ObjectWrap<LedgerObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit LedgerObject(const Napi::CallbackInfo& info);

  const std::shared_ptr<Ledger>& ledger() const { return ledger_; }

 private:
  Napi::Value Descriptor(const Napi::CallbackInfo& info);
  void Put(const Napi::CallbackInfo& info);
  void Drop(const Napi::CallbackInfo& info);
  Napi::Value Records(const Napi::CallbackInfo& info);

  std::shared_ptr<Ledger> ledger_;
};

// Null for undefined.
std::shared_ptr<Ledger> LedgerOf(const Napi::Value& value);

}  // namespace tarn
