#include "decode.h"

#include <cstring>

namespace tarn {
namespace {

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

  // The rest, which must be exactly one name that is not empty and ends in the only NUL.
  bool TakeName(std::string_view* out) {
    if (left < 2) return false;
    const void* nul = std::memchr(at, 0, left);
    if (nul != at + left - 1) return false;
    *out = std::string_view(reinterpret_cast<const char*>(at), left - 1);
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

bool DecodeBody(Body body, Request* out) {
  switch (out->opcode) {
    case wire::kInit:
      return DecodeInit(body, out);
    case wire::kLookup:
      return body.TakeName(&out->name);
    case wire::kOpen:
    case wire::kOpendir: {
      wire::OpenIn in;
      if (!body.Take(&in)) return false;
      out->flags = in.flags;
      return true;
    }
    case wire::kRead:
    case wire::kReaddir:
    case wire::kReaddirplus:
      return DecodeRead(body, out);
    case wire::kRelease:
    case wire::kReleasedir: {
      wire::ReleaseIn in;
      if (!body.Take(&in)) return false;
      out->fh = in.fh;
      return in.fh <= kNumberMax;
    }
    case wire::kGetxattr:
    case wire::kListxattr: {
      wire::GetxattrIn in;
      if (!body.Take(&in)) return false;
      out->size = in.size;
      return out->opcode == wire::kListxattr || body.TakeName(&out->name);
    }
    case wire::kInterrupt: {
      wire::InterruptIn in;
      if (!body.Take(&in)) return false;
      out->target = in.unique;
      return in.unique <= kNumberMax;
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
  out->opcode = header.opcode;
  out->unique = header.unique;
  out->nodeid = header.nodeid;
  out->pid = header.pid;
  if (header.unique > kNumberMax || header.nodeid > kNumberMax) return Decoded::kBadBody;
  return DecodeBody(body, out) ? Decoded::kOk : Decoded::kBadBody;
}

}  // namespace tarn
