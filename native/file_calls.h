// System calls on open files that Node has no function for; the interface is stated in
// src/mount/native/addon.ts.
#pragma once

#include <napi.h>

namespace tarn {

void DefineFileCalls(Napi::Env env, Napi::Object exports);

}  // namespace tarn
