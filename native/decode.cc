#include "decode.h"

#include <cstring>

namespace tarn {
namespace {

// Largest offset in a file, off_t.
constexpr uint64_t kOffsetMax = (1ULL << 63) - 1;

struct Body {
  const uint8_t* at;
  size_t left;

  // Copies a struct out, since nothing promises that the buffer is aligned for it.
  template <typename T>
  bool Take(T* out) {
    if (left < sizeof(T)) return false;
    std::memcpy(out, at, sizeof(T));
    at += sizeof(T);
    left -= sizeof(T);
    return true;
  }

  // A name that is not empty, up to its NUL.
  bool TakeText(std::string_view* out) {
    const void* nul = left < 2 ? nullptr : std::memchr(at, 0, left);
    if (nul == nullptr || nul == at) return false;
    const size_t length = static_cast<size_t>(static_cast<const uint8_t*>(nul) - at);
    *out = std::string_view(reinterpret_cast<const char*>(at), length);
    at += length + 1;
    left -= length + 1;
    return true;
  }

  // The rest, which must be exactly one name.
  bool TakeName(std::string_view* out) { return TakeText(out) && left == 0; }

  // The rest, which must be of this length.
  bool TakePayload(size_t length, std::string_view* out) {
    if (left != length) return false;
    *out = std::string_view(reinterpret_cast<const char*>(at), left);
    return true;
  }
};

bool DecodeInit(Body body, Request* out) {
  if (body.left < wire::kInitInShort) return false;
  const size_t length = body.left < sizeof(out->init) ? wire::kInitInShort : sizeof(out->init);
  std::memcpy(&out->init, body.at, length);
  return true;
}

bool DecodeRead(Body body, Request* out) {
  wire::ReadIn in;
  if (!body.Take(&in)) return false;
  out->fh = in.fh;
  out->offset = in.offset;
  out->size = in.size;
  return in.fh <= kNumberMax && in.offset <= kNumberMax;
}

bool DecodeWrite(Body body, Request* out) {
  wire::WriteIn in;
  if (!body.Take(&in)) return false;
  out->fh = in.fh;
  out->offset = in.offset;
  out->size = in.size;
  out->flags = in.flags;
  return in.fh <= kNumberMax && in.offset <= kOffsetMax && in.size <= kOffsetMax - in.offset &&
         body.TakePayload(in.size, &out->payload);
}

bool DecodeSetattr(Body body, Request* out) {
  wire::SetattrIn in;
  if (!body.Take(&in)) return false;
  out->flags = in.valid;
  if (in.valid & wire::kSetByHandle) out->fh = in.fh;
  out->length = in.size;
  out->atime = in.atime;
  out->mtime = in.mtime;
  out->atime_nsec = in.atimensec;
  out->mtime_nsec = in.mtimensec;
  out->mode = in.mode;
  // Here these are what is set, not who asks.
  out->uid = in.uid;
  out->gid = in.gid;
  return out->fh <= kNumberMax;
}

// Opcodes that make, move or remove names.
bool DecodeNames(Body body, Request* out) {
  switch (out->opcode) {
    case wire::kCreate: {
      wire::CreateIn in;
      if (!body.Take(&in)) return false;
      out->flags = in.flags;
      out->mode = in.mode;
      out->open_flags = in.open_flags;
      return body.TakeName(&out->name);
    }
    case wire::kMknod: {
      wire::MknodIn in;
      if (!body.Take(&in)) return false;
      out->mode = in.mode;
      out->length = in.rdev;
      return body.TakeName(&out->name);
    }
    case wire::kMkdir: {
      wire::MkdirIn in;
      if (!body.Take(&in)) return false;
      out->mode = in.mode;
      return body.TakeName(&out->name);
    }
    case wire::kSymlink:
      return body.TakeText(&out->name) && body.TakeName(&out->payload);
    case wire::kLink: {
      wire::LinkIn in;
      if (!body.Take(&in)) return false;
      out->node2 = in.oldnodeid;
      return in.oldnodeid <= kNumberMax && body.TakeName(&out->name);
    }
    case wire::kRename:
    case wire::kRename2: {
      wire::Rename2In in = {};
      wire::RenameIn old;
      if (out->opcode == wire::kRename2 ? !body.Take(&in) : !body.Take(&old)) return false;
      out->node2 = out->opcode == wire::kRename2 ? in.newdir : old.newdir;
      out->flags = in.flags;
      return out->node2 <= kNumberMax && body.TakeText(&out->name) &&
             body.TakeName(&out->payload);
    }
    default:
      return body.TakeName(&out->name);
  }
}

// Opcodes on the bytes of an open file other than READ and WRITE.
bool DecodeFile(Body body, Request* out) {
  switch (out->opcode) {
    case wire::kFallocate: {
      wire::FallocateIn in;
      if (!body.Take(&in)) return false;
      out->fh = in.fh;
      out->offset = in.offset;
      out->length = in.length;
      out->mode = in.mode;
      return in.fh <= kNumberMax;
    }
    case wire::kLseek: {
      wire::LseekIn in;
      if (!body.Take(&in)) return false;
      out->fh = in.fh;
      out->offset = in.offset;
      out->flags = in.whence;
      return in.fh <= kNumberMax;
    }
    case wire::kCopyFileRange:
    case wire::kCopyFileRange64: {
      wire::CopyFileRangeIn in;
      if (!body.Take(&in)) return false;
      out->fh = in.fh_in;
      out->offset = in.off_in;
      out->fh2 = in.fh_out;
      out->offset2 = in.off_out;
      out->length = in.len;
      return in.fh_in <= kNumberMax && in.fh_out <= kNumberMax;
    }
    default: {
      wire::FsyncIn in;
      if (!body.Take(&in)) return false;
      out->fh = in.fh;
      out->flags = in.fsync_flags;
      return in.fh <= kNumberMax;
    }
  }
}

bool DecodeForgets(Body body, Request* out) {
  if (out->opcode == wire::kForget) {
    wire::ForgetIn in;
    if (!body.Take(&in)) return false;
    out->length = in.nlookup;
    return true;
  }
  wire::BatchForgetIn in;
  if (!body.Take(&in)) return false;
  out->size = in.count;
  return body.TakePayload(in.count * sizeof(wire::ForgetOne), &out->payload);
}

bool DecodeXattr(Body body, Request* out) {
  if (out->opcode == wire::kSetxattr) {
    wire::SetxattrIn in;
    if (!body.Take(&in)) return false;
    out->flags = in.flags;
    return body.TakeText(&out->name) && body.TakePayload(in.size, &out->payload);
  }
  if (out->opcode == wire::kRemovexattr) return body.TakeName(&out->name);
  wire::GetxattrIn in;
  if (!body.Take(&in)) return false;
  out->size = in.size;
  return out->opcode == wire::kListxattr || body.TakeName(&out->name);
}

bool DecodeBody(Body body, Request* out) {
  switch (out->opcode) {
    case wire::kInit:
      return DecodeInit(body, out);
    case wire::kOpen:
    case wire::kOpendir: {
      wire::OpenIn in;
      if (!body.Take(&in)) return false;
      out->flags = in.flags;
      out->open_flags = in.open_flags;
      return true;
    }
    case wire::kRead:
    case wire::kReaddir:
    case wire::kReaddirplus:
      return DecodeRead(body, out);
    case wire::kWrite:
      return DecodeWrite(body, out);
    case wire::kSetattr:
      return DecodeSetattr(body, out);
    case wire::kLookup:
    case wire::kUnlink:
    case wire::kRmdir:
    case wire::kCreate:
    case wire::kMknod:
    case wire::kMkdir:
    case wire::kSymlink:
    case wire::kLink:
    case wire::kRename:
    case wire::kRename2:
      return DecodeNames(body, out);
    case wire::kFsync:
    case wire::kFsyncdir:
    case wire::kFallocate:
    case wire::kLseek:
    case wire::kCopyFileRange:
    case wire::kCopyFileRange64:
      return DecodeFile(body, out);
    case wire::kForget:
    case wire::kBatchForget:
      return DecodeForgets(body, out);
    case wire::kSetxattr:
    case wire::kGetxattr:
    case wire::kListxattr:
    case wire::kRemovexattr:
      return DecodeXattr(body, out);
    case wire::kRelease:
    case wire::kReleasedir: {
      wire::ReleaseIn in;
      if (!body.Take(&in)) return false;
      out->fh = in.fh;
      return in.fh <= kNumberMax;
    }
    case wire::kInterrupt: {
      wire::InterruptIn in;
      if (!body.Take(&in)) return false;
      out->fh = in.unique & ~wire::kUniqueResend;
      return out->fh <= kNumberMax;
    }
    default:
      return true;
  }
}

}  // namespace

Decoded Decode(const uint8_t* bytes, size_t length, Request* out) {
  *out = Request{};
  Body body{bytes, length};
  wire::InHeader header;
  if (!body.Take(&header) || header.len != length) return Decoded::kBadHeader;
  // No extensions of requests are agreed on.
  out->opcode = header.opcode;
  out->unique = header.unique & ~wire::kUniqueResend;
  out->resent = (header.unique & wire::kUniqueResend) != 0;
  out->nodeid = header.nodeid;
  out->pid = header.pid;
  out->uid = header.uid;
  out->gid = header.gid;
  if (out->unique > kNumberMax || header.nodeid > kNumberMax) return Decoded::kBadBody;
  return DecodeBody(body, out) ? Decoded::kOk : Decoded::kBadBody;
}

}  // namespace tarn
