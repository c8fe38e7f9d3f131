// What a Session does with the bytes of open files.
#include <fcntl.h>

#include <cerrno>

#include "session.h"

namespace tarn {

void Session::HandleOpen(const Request& request) {
  const bool writes = (request.flags & O_ACCMODE) != O_RDONLY || (request.flags & O_TRUNC) != 0;
  if (writes && !options_.writable) {
    Reply(request.unique, EROFS, nullptr, 0);
    return;
  }
  Enqueue(request);
}

void Session::HandleRead(const Request& request, ReadBuffer* data) {
  const std::shared_ptr<OpenFile> file = files_.Find(request.fh);
  uint8_t* bytes = file && request.size <= data->length() ? data->Get() : nullptr;
  if (bytes == nullptr) return Enqueue(request);
  const StagedFile::Result read = file->Read(request.offset, request.size, bytes);
  switch (read.outcome) {
    case StagedFile::Outcome::kNotHere:
      return Enqueue(request);
    case StagedFile::Outcome::kFailed:
      Reply(request.unique, static_cast<int>(read.value), nullptr, 0);
      return;
    case StagedFile::Outcome::kDone:
      counters_.native_reads++;
      Reply(request.unique, 0, bytes, static_cast<size_t>(read.value));
      return;
  }
}

void Session::HandleWrite(const Request& request) {
  const std::shared_ptr<OpenFile> file = files_.Find(request.fh);
  if (!file) return Enqueue(request);
  const auto* bytes = reinterpret_cast<const uint8_t*>(request.payload.data());
  bool staged = false;
  const StagedFile::Result written =
      file->Write(request.offset, bytes, request.payload.size(), &staged);
  switch (written.outcome) {
    case StagedFile::Outcome::kNotHere: {
      if (!staged) return Enqueue(request);
      Waiting waiting;
      waiting.fh = request.fh;
      waiting.offset = request.offset;
      waiting.page = written.value / kPageBytes;
      waiting.bytes.assign(bytes, bytes + request.payload.size());
      return AskFor(request.unique, request.pid, std::move(waiting));
    }
    case StagedFile::Outcome::kFailed:
      Reply(request.unique, static_cast<int>(written.value), nullptr, 0);
      return;
    case StagedFile::Outcome::kDone: {
      counters_.native_writes++;
      wire::WriteOut out = {static_cast<uint32_t>(written.value), 0};
      Reply(request.unique, 0, &out, sizeof(out));
      return;
    }
  }
}

void Session::AskFor(uint64_t unique, uint32_t pid, Waiting&& waiting) {
  Queued need;
  need.opcode = kNeed;
  need.pid = pid;
  need.unique = unique;
  need.fh = waiting.fh;
  need.offset = waiting.page * kPageBytes;
  need.size = kPageBytes;
  waiting.pid = pid;
  {
    std::lock_guard<std::mutex> lock(waiting_mutex_);
    waiting_[unique] = std::move(waiting);
    waiting_count_ = waiting_.size();
  }
  queue_.PushNow(std::move(need));
}

int Session::Fill(uint64_t unique, const uint8_t* bytes, size_t length) {
  Waiting waiting;
  {
    std::lock_guard<std::mutex> lock(waiting_mutex_);
    auto found = waiting_.find(unique);
    if (found == waiting_.end()) return ENOENT;
    waiting = std::move(found->second);
    waiting_.erase(found);
    waiting_count_ = waiting_.size();
  }
  const std::shared_ptr<OpenFile> file = files_.Find(waiting.fh);
  const int error = file ? file->Fill(waiting.page, bytes, length) : EBADF;
  if (error != 0) return Reply(unique, error, nullptr, 0);
  bool staged = false;
  const StagedFile::Result written =
      file->Write(waiting.offset, waiting.bytes.data(), waiting.bytes.size(), &staged);
  if (written.outcome == StagedFile::Outcome::kNotHere) {
    waiting.page = written.value / kPageBytes;
    AskFor(unique, waiting.pid, std::move(waiting));
    return 0;
  }
  if (written.outcome == StagedFile::Outcome::kFailed) {
    return Reply(unique, static_cast<int>(written.value), nullptr, 0);
  }
  const wire::WriteOut out = {static_cast<uint32_t>(written.value), 0};
  return Reply(unique, 0, &out, sizeof(out));
}

int Session::ReplyOpen(uint64_t unique, const Opening& opening, const void* entry,
                       size_t entry_length) {
  const FileTable::Opened opened = files_.Open(opening);
  if (opened.error != 0) {
    Reply(unique, opened.error, nullptr, 0);
    return opened.error;
  }
  wire::OpenOut out = {};
  out.fh = opening.handle;
  if (opening.direct) {
    out.open_flags = wire::kFopenDirectIo;
  } else if (opened.backing_id != 0) {
    // Never with KEEP_CACHE, for which the kernel fails the open with EIO.
    out.open_flags = wire::kFopenPassthrough;
    out.backing_id = opened.backing_id;
  } else if (!opening.changes || opening.cached_right ||
             (options_.holds && opening.staged_fd < 0)) {
    // What is staged may have been written through another mount meanwhile.
    out.open_flags = wire::kFopenKeepCache;
  }
  if (options_.ledger) {
    const OpenRecord record = {unique, opening.inode, opening.flags, opened.backing_id};
    options_.ledger->Put(kOpenFile, opening.handle, &record, sizeof(record));
  }
  const struct iovec body[2] = {{const_cast<void*>(entry), entry_length}, {&out, sizeof(out)}};
  const int error = entry_length > 0 ? Send(unique, 0, body, 2) : Send(unique, 0, body + 1, 1);
  if (error != 0) {
    files_.Close(opening.handle);
    if (options_.ledger) options_.ledger->Drop(kOpenFile, opening.handle);
  } else if (opened.backing_id != 0) {
    counters_.passthrough_opens++;
  }
  return error;
}

void Session::HandleOpendir(const Request& request) {
  // What is delivered again may have been answered by the process before, whose handle JavaScript knows.
  const uint64_t handle = request.resent ? 0 : listed_.Open(request.nodeid);
  if (handle == 0) return Enqueue(request);
  Request opened = request;
  opened.fh = handle;
  if (options_.ledger) {
    const double record[] = {static_cast<double>(request.nodeid),
                             static_cast<double>(request.unique)};
    options_.ledger->Put(kOpenDirectory, handle, record, sizeof(record));
  }
  // Before the answer: what the kernel then asks of the handle another thread may queue at once.
  Enqueue(opened);
  counters_.native_opendirs++;
  wire::OpenOut out = {};
  out.fh = handle;
  out.open_flags = wire::kFopenKeepCache | wire::kFopenCacheDir;
  if (Reply(request.unique, 0, &out, sizeof(out)) == 0) return;
  opened.opcode = wire::kReleasedir;
  HandleReleasedir(opened);
}

void Session::HandleReleasedir(const Request& request) {
  if (options_.ledger) options_.ledger->Drop(kOpenDirectory, request.fh);
  Enqueue(request);
}

void Session::Unrestore(uint64_t handle) {
  files_.Close(handle);
  if (options_.ledger) options_.ledger->Drop(kOpenFile, handle);
}

void Session::Grant(uint64_t handle, uint64_t start, uint64_t end) {
  if (const std::shared_ptr<OpenFile> file = files_.Find(handle)) file->Grant(start, end);
}

}  // namespace tarn
