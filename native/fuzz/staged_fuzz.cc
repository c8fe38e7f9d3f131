// A partial file against a plain array of bytes: writes, reads, fills and truncations, with a base
// of which some bytes may be read at once and others must be brought.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "../staged.h"
#include "random.h"

using namespace tarn;
using namespace tarn::fuzz;

namespace {

using Bytes = std::vector<uint8_t>;
constexpr uint64_t kFileMax = 60'000;

int File(uint64_t bytes) {
  const int fd = memfd_create("file", MFD_CLOEXEC);
  Check(fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes)) == 0, "no file", 0);
  return fd;
}

// Has every other stretch of 3,000 bytes, so that pages are there in part.
class Base : public BaseBytes {
 public:
  explicit Base(Bytes bytes) : bytes_(std::move(bytes)) {}
  const Bytes& bytes() const { return bytes_; }
  bool Has(uint64_t start, uint64_t end) override {
    Check(start < end && end <= bytes_.size(), "bytes that the base does not have", 0);
    return start / 3000 == (end - 1) / 3000 && start / 3000 % 2 == 0;
  }
  bool Read(uint64_t start, uint64_t end, uint8_t* out) override {
    std::copy(bytes_.begin() + static_cast<long>(start), bytes_.begin() + static_cast<long>(end),
              out);
    return true;
  }

 private:
  const Bytes bytes_;
};

struct Model {
  int fd;
  int map_fd;
  std::shared_ptr<StagedFile> file;
  Base base;
  Bytes bytes;

  // What TypeScript would bring: the page as it shows.
  void Bring(uint64_t page_start, uint64_t round) {
    Check(page_start % kPageBytes == 0 && page_start < bytes.size(), "no page of the file", round);
    const uint64_t end = std::min<uint64_t>(page_start + kPageBytes, bytes.size());
    const int error = file->Fill(page_start / kPageBytes, bytes.data() + page_start,
                                 static_cast<size_t>(end - page_start));
    Check(error == 0, "a page that is not taken", round);
  }

  void Write(Random* random, uint64_t round) {
    const uint64_t offset = random->Below(kFileMax);
    Bytes written(random->Below(2) == 0 ? random->Below(200) : random->Below(12'000));
    for (auto& byte : written) byte = static_cast<uint8_t>(random->Next());
    for (int tries = 0;; tries++) {
      Check(tries < 4, "a write that asks for ever", round);
      const auto result = file->Write(offset, written.data(), written.size(), &base);
      if (result.outcome == StagedFile::Outcome::kNotHere) {
        Bring(result.value, round);
        continue;
      }
      Check(result.outcome == StagedFile::Outcome::kDone && result.value == written.size(),
            "a write that fails", round);
      break;
    }
    if (written.empty()) return;
    if (bytes.size() < offset + written.size()) bytes.resize(offset + written.size());
    std::copy(written.begin(), written.end(), bytes.begin() + static_cast<long>(offset));
  }

  void Read(Random* random, uint64_t round) {
    const uint64_t offset = random->Below(kFileMax);
    Bytes got(random->Below(20'000));
    const auto result = file->Read(offset, got.size(), got.data(), &base);
    if (result.outcome == StagedFile::Outcome::kNotHere) return;
    const uint64_t end = std::min<uint64_t>(offset + got.size(), bytes.size());
    const uint64_t length = offset < end ? end - offset : 0;
    Check(result.outcome == StagedFile::Outcome::kDone && result.value == length,
          "a read of another length", round);
    Check(std::equal(got.begin(), got.begin() + static_cast<long>(length),
                     bytes.begin() + static_cast<long>(std::min<uint64_t>(offset, bytes.size()))),
          "a read of other bytes", round);
  }

  // As TypeScript does it.
  void Truncate(uint64_t size, uint64_t round) {
    Check(ftruncate(fd, static_cast<off_t>(size)) == 0, "no truncation", round);
    uint64_t limit;
    Check(pread(map_fd, &limit, 8, 8) == 8, "no limit", round);
    limit = std::min(limit, size);
    Check(pwrite(map_fd, &limit, 8, 8) == 8, "no limit", round);
    bytes.resize(size);
  }
};

Model Make(Random* random) {
  Bytes base(1 + random->Below(40'000));
  for (auto& byte : base) byte = static_cast<uint8_t>(random->Next());
  const uint64_t size = base.size();
  const uint64_t pages = (size + kPageBytes - 1) / kPageBytes;
  Model out = {File(size), File(4096 + (pages + 7) / 8), nullptr, Base(base), base};
  const uint8_t magic[8] = {'t', 'a', 'r', 'n', 'p', 'a', 'g', 1};
  const uint64_t sizes[2] = {size, size};
  Check(pwrite(out.map_fd, magic, 8, 0) == 8 && pwrite(out.map_fd, sizes, 16, 8) == 16, "no map",
        0);
  int error = 0;
  out.file = StagedFile::Open(out.fd, out.map_fd, &error);
  Check(out.file != nullptr, "a map that is not taken", 0);
  return out;
}

}  // namespace

int main() {
  constexpr uint64_t kRounds = 3000;
  Random random(8421);
  for (uint64_t round = 0; round < kRounds; round++) {
    Model model = Make(&random);
    for (uint64_t steps = random.Below(40); steps > 0; steps--) {
      switch (random.Below(6)) {
        case 0:
          model.Truncate(random.Below(kFileMax), round);
          break;
        case 1:
        case 2:
          model.Write(&random, round);
          break;
        default:
          model.Read(&random, round);
      }
    }
    close(model.fd);
    close(model.map_fd);
  }
  std::printf("staged: %llu files\n", static_cast<unsigned long long>(kRounds));
}
