// Work off the JavaScript thread that ends in a number.
#pragma once

#include <node_api.h>

#include <functional>

namespace tarn {

// Runs `run` on a pool thread, then `done` (may be empty) on the JavaScript thread, then resolves
// the returned promise with what `run` returned. `done` runs also while the environment ends.
napi_value RunTask(napi_env env, std::function<int()> run, std::function<void()> done);

}  // namespace tarn
