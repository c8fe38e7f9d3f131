#include "task.h"

#include <memory>
#include <utility>

namespace tarn {
namespace {

struct Task {
  napi_async_work work = nullptr;
  napi_deferred deferred = nullptr;
  std::function<int()> run;
  std::function<void()> done;
  int result = 0;
};

// Statuses are not looked at: they fail only while the environment ends, when nobody waits.
void Complete(napi_env env, napi_status, void* data) {
  std::unique_ptr<Task> task(static_cast<Task*>(data));
  if (task->done) task->done();
  napi_value result;
  if (napi_create_int32(env, task->result, &result) == napi_ok) {
    napi_resolve_deferred(env, task->deferred, result);
  }
  napi_delete_async_work(env, task->work);
}

}  // namespace

napi_value RunTask(napi_env env, std::function<int()> run, std::function<void()> done) {
  auto task = std::make_unique<Task>();
  task->run = std::move(run);
  task->done = std::move(done);
  napi_value promise;
  napi_value name;
  napi_create_string_utf8(env, "tarn", NAPI_AUTO_LENGTH, &name);
  if (napi_create_promise(env, &task->deferred, &promise) != napi_ok ||
      napi_create_async_work(
          env, nullptr, name,
          [](napi_env, void* data) {
            Task* self = static_cast<Task*>(data);
            self->result = self->run();
          },
          Complete, task.get(), &task->work) != napi_ok ||
      napi_queue_async_work(env, task->work) != napi_ok) {
    napi_throw_error(env, nullptr, "the thread pool takes no work");
    return nullptr;
  }
  task.release();
  return promise;
}

}  // namespace tarn
