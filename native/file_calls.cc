#include "file_calls.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "staged.h"

namespace tarn {
namespace {

int Descriptor(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

int64_t Offset(const Napi::Value& value) { return value.As<Napi::Number>().Int64Value(); }

Napi::Value Result(const Napi::CallbackInfo& info, int64_t value) {
  return Napi::Number::New(info.Env(), static_cast<double>(value));
}

// (fd, mode, offset, length)
Napi::Value Fallocate(const Napi::CallbackInfo& info) {
  const int mode = info[1].As<Napi::Number>().Int32Value();
  int result;
  do {
    result = fallocate(Descriptor(info[0]), mode, Offset(info[2]), Offset(info[3]));
  } while (result != 0 && errno == EINTR);
  return Result(info, result == 0 ? 0 : -errno);
}

// (fd, offset, whether data is looked for)
Napi::Value SeekFile(const Napi::CallbackInfo& info) {
  const int whence = info[2].As<Napi::Boolean>().Value() ? SEEK_DATA : SEEK_HOLE;
  const off_t at = lseek(Descriptor(info[0]), Offset(info[1]), whence);
  return Result(info, at >= 0 ? at : -errno);
}

// (from, offset, to, offset, length)
Napi::Value CopyFileRange(const Napi::CallbackInfo& info) {
  off_t from_offset = Offset(info[1]);
  off_t to_offset = Offset(info[3]);
  const ssize_t copied =
      copy_file_range(Descriptor(info[0]), &from_offset, Descriptor(info[2]), &to_offset,
                      static_cast<size_t>(Offset(info[4])), 0);
  return Result(info, copied >= 0 ? copied : -errno);
}

// Seconds, nanoseconds: undefined leaves the time as it is, null is now.
struct timespec Time(const Napi::Value& seconds, const Napi::Value& nanoseconds) {
  if (seconds.IsUndefined()) return {0, UTIME_OMIT};
  if (seconds.IsNull()) return {0, UTIME_NOW};
  return {Offset(seconds), static_cast<long>(Offset(nanoseconds))};
}

// (fd, atime as two arguments, mtime as two)
Napi::Value SetTimes(const Napi::CallbackInfo& info) {
  const struct timespec times[2] = {Time(info[1], info[2]), Time(info[3], info[4])};
  return Result(info, futimens(Descriptor(info[0]), times) == 0 ? 0 : -errno);
}

// (fd) A lease for writing is had only where nobody else has the file open for writing, or mapped.
Napi::Value IsWrittenElsewhere(const Napi::CallbackInfo& info) {
  const int fd = Descriptor(info[0]);
  // Whoever opens the file meanwhile has a signal sent to us, which by default would be deadly.
  fcntl(fd, F_SETSIG, SIGURG);
  const bool alone = fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
  const bool busy = !alone && errno == EAGAIN;
  if (alone) fcntl(fd, F_SETLEASE, F_UNLCK);
  return Napi::Boolean::New(info.Env(), busy);
}

// (page map fd, function) What the function returns or throws.
Napi::Value Alone(const Napi::CallbackInfo& info) {
  const std::shared_ptr<std::recursive_mutex> lock = PageMapLock(Descriptor(info[0]));
  if (!lock) {
    Napi::Error::New(info.Env(), "the page map is not open").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  std::lock_guard<std::recursive_mutex> held(*lock);
  return info[1].As<Napi::Function>().Call({});
}

}  // namespace

void DefineFileCalls(Napi::Env env, Napi::Object exports) {
  exports.Set("fallocate", Napi::Function::New(env, Fallocate));
  exports.Set("seekFile", Napi::Function::New(env, SeekFile));
  exports.Set("copyFileRange", Napi::Function::New(env, CopyFileRange));
  exports.Set("setTimes", Napi::Function::New(env, SetTimes));
  exports.Set("isWrittenElsewhere", Napi::Function::New(env, IsWrittenElsewhere));
  exports.Set("alone", Napi::Function::New(env, Alone));
}

}  // namespace tarn
