// Packets as JavaScript sees them; the interface is stated in src/mount/native/addon.ts.
#pragma once

#include <napi.h>

namespace tarn {

void DefinePackets(Napi::Env env, Napi::Object exports);

}  // namespace tarn
