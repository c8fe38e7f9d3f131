// Decodes millions of good, damaged and random requests. Each lies in a heap block of exactly its
// size, so that the sanitizer sees a read of one byte too many.
#include <memory>

#include "../decode.h"
#include "requests.h"

using namespace tarn;
using namespace tarn::fuzz;

namespace {

void CheckOne(const Bytes& bytes, bool valid, uint64_t round) {
  std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size()]);
  if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
  Request request;
  const Decoded decoded = Decode(exact.get(), bytes.size(), &request);
  if (valid) Check(decoded == Decoded::kOk, "a valid request is refused", round);
  if (decoded == Decoded::kBadHeader) return;
  Check(bytes.size() >= sizeof(wire::InHeader), "a header out of too few bytes", round);
  if (decoded == Decoded::kBadBody) return;
  Check(request.nodeid <= kNumberMax && request.fh <= kNumberMax && request.unique <= kNumberMax,
        "a number that JavaScript cannot hold", round);
  Check(request.node2 <= kNumberMax && request.fh2 <= kNumberMax, "a large number", round);
  if (!request.payload.empty()) {
    const auto* payload = reinterpret_cast<const uint8_t*>(request.payload.data());
    Check(payload > exact.get() && payload + request.payload.size() <= exact.get() + bytes.size(),
          "a payload outside of the request", round);
  }
  if (request.opcode == wire::kWrite) {
    Check(request.payload.size() == request.size, "a write of another length", round);
    Check(request.offset + request.size <= (1ULL << 63), "a write beyond any file", round);
  }
  if (request.opcode == wire::kBatchForget) {
    Check(request.payload.size() == request.size * sizeof(wire::ForgetOne), "half a node", round);
  }
  if (request.name.empty()) return;
  const auto* name = reinterpret_cast<const uint8_t*>(request.name.data());
  Check(name > exact.get() && name + request.name.size() < exact.get() + bytes.size(),
        "a name outside of the request", round);
  Check(request.name.find('\0') == std::string_view::npos, "a NUL inside a name", round);
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 3'000'000;
  Random random(20250814);
  for (uint64_t round = 0; round < rounds; round++) {
    Bytes bytes = ValidRequest(&random);
    switch (random.Below(8)) {
      case 0:
        CheckOne(bytes, true, round);
        break;
      case 1:
        CheckOne(RandomBytes(&random), false, round);
        break;
      default:
        Mutate(&bytes, &random);
        CheckOne(bytes, false, round);
    }
  }
  std::printf("decode: %llu requests\n", static_cast<unsigned long long>(rounds));
}
