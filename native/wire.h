// The kernel's FUSE protocol, as far as this driver speaks it. Source of the ABI: linux/fuse.h,
// protocol 7.45 (Linux 6.18); distributions ship older headers, so the constants are stated here and
// the layouts are held by assertions. All integers are little or big endian as the machine is.
#pragma once

#include <sys/ioctl.h>

#include <cstddef>
#include <cstdint>

namespace tarn::wire {

constexpr uint32_t kMajor = 7;
constexpr uint32_t kMinor = 40;
// The oldest kernel protocol answered: below it the INIT reply has another size (7.23, Linux 3.15).
constexpr uint32_t kMinorMin = 23;
constexpr uint64_t kRootId = 1;
constexpr size_t kNameMax = 255;

enum Opcode : uint32_t {
  kLookup = 1,
  kForget = 2,
  kGetattr = 3,
  kSetattr = 4,
  kReadlink = 5,
  kSymlink = 6,
  kMknod = 8,
  kMkdir = 9,
  kUnlink = 10,
  kRmdir = 11,
  kRename = 12,
  kLink = 13,
  kOpen = 14,
  kRead = 15,
  kWrite = 16,
  kStatfs = 17,
  kRelease = 18,
  kFsync = 20,
  kSetxattr = 21,
  kGetxattr = 22,
  kListxattr = 23,
  kRemovexattr = 24,
  kFlush = 25,
  kInit = 26,
  kOpendir = 27,
  kReaddir = 28,
  kReleasedir = 29,
  kFsyncdir = 30,
  kGetlk = 31,
  kSetlk = 32,
  kSetlkw = 33,
  kAccess = 34,
  kCreate = 35,
  kInterrupt = 36,
  kBmap = 37,
  kDestroy = 38,
  kIoctl = 39,
  kPoll = 40,
  kNotifyReply = 41,
  kBatchForget = 42,
  kFallocate = 43,
  kReaddirplus = 44,
  kRename2 = 45,
  kLseek = 46,
  kCopyFileRange = 47,
  kSetupmapping = 48,
  kRemovemapping = 49,
  kSyncfs = 50,
  kTmpfile = 51,
  kStatx = 52,
  kCopyFileRange64 = 53,
};

enum InitFlag : uint64_t {
  kAsyncRead = 1ULL << 0,
  // OPEN with O_TRUNC truncates; otherwise a SETATTR follows it.
  kAtomicOTrunc = 1ULL << 3,
  // WRITEs of more than a page.
  kBigWrites = 1ULL << 5,
  kDoReaddirplus = 1ULL << 13,
  kReaddirplusAuto = 1ULL << 14,
  kAsyncDio = 1ULL << 15,
  kWritebackCache = 1ULL << 16,
  kParallelDirops = 1ULL << 18,
  kMaxPages = 1ULL << 22,
  kCacheSymlinks = 1ULL << 23,
  // We take setuid and setgid bits away when a file is written, truncated or given to another owner.
  // Without it the kernel asks for the attribute security.capability before each single write.
  kHandleKillprivV2 = 1ULL << 28,
  // The flags2 words hold bits 32 to 63.
  kInitExt = 1ULL << 30,
  // INVAL_ENTRY knows kExpireOnly.
  kHasExpireOnly = 1ULL << 35,
  kPassthrough = 1ULL << 37,
  // kNotifyResend is known; since 7.40 (Linux 6.9).
  kHasResend = 1ULL << 39,
};

// Set in InHeader.unique, and to be set in that of the answer, of a request that was delivered before.
constexpr uint64_t kUniqueResend = 1ULL << 63;

enum OpenFlag : uint32_t {
  kFopenDirectIo = 1U << 0,
  kFopenKeepCache = 1U << 1,
  kFopenCacheDir = 1U << 3,
  kFopenPassthrough = 1U << 7,
};

struct InHeader {
  uint32_t len;
  uint32_t opcode;
  uint64_t unique;
  uint64_t nodeid;
  uint32_t uid;
  uint32_t gid;
  // The thread that asks, in the pid namespace of the mount; 0 when it has none there.
  uint32_t pid;
  uint16_t total_extlen;
  uint16_t padding;
};
static_assert(sizeof(InHeader) == 40);
static_assert(offsetof(InHeader, nodeid) == 16 && offsetof(InHeader, pid) == 32);

struct OutHeader {
  uint32_t len;
  // Zero or a negative errno.
  int32_t error;
  uint64_t unique;
};
static_assert(sizeof(OutHeader) == 16);

struct InitIn {
  uint32_t major;
  uint32_t minor;
  uint32_t max_readahead;
  uint32_t flags;
  uint32_t flags2;
  uint32_t unused[11];
};
static_assert(sizeof(InitIn) == 64 && offsetof(InitIn, flags2) == 16);
// What kernels before 7.36 send.
constexpr size_t kInitInShort = 16;

struct InitOut {
  uint32_t major;
  uint32_t minor;
  uint32_t max_readahead;
  uint32_t flags;
  uint16_t max_background;
  uint16_t congestion_threshold;
  uint32_t max_write;
  // Nanoseconds.
  uint32_t time_gran;
  uint16_t max_pages;
  uint16_t map_alignment;
  uint32_t flags2;
  uint32_t max_stack_depth;
  uint32_t unused[6];
};
static_assert(sizeof(InitOut) == 64);
static_assert(offsetof(InitOut, max_pages) == 28 && offsetof(InitOut, max_stack_depth) == 36);

struct Attr {
  uint64_t ino;
  uint64_t size;
  // Of 512 bytes.
  uint64_t blocks;
  uint64_t atime;
  uint64_t mtime;
  uint64_t ctime;
  uint32_t atimensec;
  uint32_t mtimensec;
  uint32_t ctimensec;
  uint32_t mode;
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint32_t rdev;
  uint32_t blksize;
  uint32_t flags;
};
static_assert(sizeof(Attr) == 88);
static_assert(offsetof(Attr, mode) == 60 && offsetof(Attr, blksize) == 80);

// The replies from here to Kstatfs are written by src/mount/native/encode.ts, which holds the same
// offsets; the assertions are the contract between the two.
struct EntryOut {
  uint64_t nodeid;
  uint64_t generation;
  uint64_t entry_valid;
  uint64_t attr_valid;
  uint32_t entry_valid_nsec;
  uint32_t attr_valid_nsec;
  Attr attr;
};
static_assert(sizeof(EntryOut) == 128 && offsetof(EntryOut, attr) == 40);

struct AttrOut {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec;
  uint32_t dummy;
  Attr attr;
};
static_assert(sizeof(AttrOut) == 104 && offsetof(AttrOut, attr) == 16);

struct Dirent {
  uint64_t ino;
  uint64_t off;
  uint32_t namelen;
  uint32_t type;
};
static_assert(sizeof(Dirent) == 24 && offsetof(Dirent, type) == 20);

struct Direntplus {
  EntryOut entry_out;
  Dirent dirent;
};
static_assert(sizeof(Direntplus) == 152 && offsetof(Direntplus, dirent) == 128);

struct Kstatfs {
  uint64_t blocks;
  uint64_t bfree;
  uint64_t bavail;
  uint64_t files;
  uint64_t ffree;
  uint32_t bsize;
  uint32_t namelen;
  uint32_t frsize;
  uint32_t padding;
  uint32_t spare[6];
};
static_assert(sizeof(Kstatfs) == 80 && offsetof(Kstatfs, bsize) == 40);

struct GetattrIn {
  uint32_t getattr_flags;
  uint32_t dummy;
  uint64_t fh;
};
static_assert(sizeof(GetattrIn) == 16);

struct OpenIn {
  // As of open(2).
  uint32_t flags;
  uint32_t open_flags;
};
static_assert(sizeof(OpenIn) == 8);

struct OpenOut {
  uint64_t fh;
  uint32_t open_flags;
  int32_t backing_id;
};
static_assert(sizeof(OpenOut) == 16 && offsetof(OpenOut, backing_id) == 12);

// As of OPEN; the name follows.
struct CreateIn {
  uint32_t flags;
  uint32_t mode;
  uint32_t umask;
  uint32_t open_flags;
};
static_assert(sizeof(CreateIn) == 16);

struct SetattrIn {
  // Bits are those of SET in src/mount/native/wire.ts.
  uint32_t valid;
  uint32_t padding;
  uint64_t fh;
  uint64_t size;
  uint64_t lock_owner;
  int64_t atime;
  int64_t mtime;
  int64_t ctime;
  uint32_t atimensec;
  uint32_t mtimensec;
  uint32_t ctimensec;
  uint32_t mode;
  uint32_t unused4;
  uint32_t uid;
  uint32_t gid;
  uint32_t unused5;
};
static_assert(sizeof(SetattrIn) == 88);
static_assert(offsetof(SetattrIn, atimensec) == 56 && offsetof(SetattrIn, uid) == 76);
// SetattrIn.valid: `fh` is an open file.
constexpr uint32_t kSetByHandle = 1U << 6;

// The name follows.
struct MknodIn {
  // With the type of the node.
  uint32_t mode;
  uint32_t rdev;
  uint32_t umask;
  uint32_t padding;
};
static_assert(sizeof(MknodIn) == 16);

// The name follows.
struct MkdirIn {
  uint32_t mode;
  uint32_t umask;
};
static_assert(sizeof(MkdirIn) == 8);

// The old name and the new one follow.
struct RenameIn {
  uint64_t newdir;
};
static_assert(sizeof(RenameIn) == 8);

struct Rename2In {
  uint64_t newdir;
  // As of renameat2(2).
  uint32_t flags;
  uint32_t padding;
};
static_assert(sizeof(Rename2In) == 16);

// The name follows; the directory is the request's node.
struct LinkIn {
  uint64_t oldnodeid;
};
static_assert(sizeof(LinkIn) == 8);

// The bytes follow.
struct WriteIn {
  uint64_t fh;
  uint64_t offset;
  uint32_t size;
  uint32_t write_flags;
  uint64_t lock_owner;
  uint32_t flags;
  uint32_t padding;
};
static_assert(sizeof(WriteIn) == 40 && offsetof(WriteIn, lock_owner) == 24);

// Also of COPY_FILE_RANGE.
struct WriteOut {
  uint32_t size;
  uint32_t padding;
};
static_assert(sizeof(WriteOut) == 8);

// Also of FSYNCDIR.
struct FsyncIn {
  uint64_t fh;
  uint32_t fsync_flags;
  uint32_t padding;
};
static_assert(sizeof(FsyncIn) == 16);

// Without the extension SETXATTR_EXT, which is not agreed on; the name and the value follow.
struct SetxattrIn {
  uint32_t size;
  // As of setxattr(2).
  uint32_t flags;
};
static_assert(sizeof(SetxattrIn) == 8);

struct FallocateIn {
  uint64_t fh;
  uint64_t offset;
  uint64_t length;
  uint32_t mode;
  uint32_t padding;
};
static_assert(sizeof(FallocateIn) == 32);

struct LseekIn {
  uint64_t fh;
  uint64_t offset;
  uint32_t whence;
  uint32_t padding;
};
static_assert(sizeof(LseekIn) == 24);

struct LseekOut {
  uint64_t offset;
};
static_assert(sizeof(LseekOut) == 8);

struct CopyFileRangeIn {
  uint64_t fh_in;
  uint64_t off_in;
  uint64_t nodeid_out;
  uint64_t fh_out;
  uint64_t off_out;
  uint64_t len;
  uint64_t flags;
};
static_assert(sizeof(CopyFileRangeIn) == 56);

// Of COPY_FILE_RANGE_64.
struct CopyFileRangeOut {
  uint64_t bytes_copied;
};
static_assert(sizeof(CopyFileRangeOut) == 8);

struct ForgetIn {
  uint64_t nlookup;
};
static_assert(sizeof(ForgetIn) == 8);

// ForgetOne follows `count` times.
struct BatchForgetIn {
  uint32_t count;
  uint32_t dummy;
};
static_assert(sizeof(BatchForgetIn) == 8);

struct ForgetOne {
  uint64_t nodeid;
  uint64_t nlookup;
};
static_assert(sizeof(ForgetOne) == 16);

struct ReleaseIn {
  uint64_t fh;
  uint32_t flags;
  uint32_t release_flags;
  uint64_t lock_owner;
};
static_assert(sizeof(ReleaseIn) == 24);

// Also of READDIR and READDIRPLUS.
struct ReadIn {
  uint64_t fh;
  uint64_t offset;
  uint32_t size;
  uint32_t read_flags;
  uint64_t lock_owner;
  uint32_t flags;
  uint32_t padding;
};
static_assert(sizeof(ReadIn) == 40 && offsetof(ReadIn, size) == 16);

// Of GETXATTR, which adds the name, and of LISTXATTR.
struct GetxattrIn {
  uint32_t size;
  uint32_t padding;
};
static_assert(sizeof(GetxattrIn) == 8);

struct GetxattrOut {
  uint32_t size;
  uint32_t padding;
};
static_assert(sizeof(GetxattrOut) == 8);

struct InterruptIn {
  uint64_t unique;
};
static_assert(sizeof(InterruptIn) == 8);

// Messages to the kernel that answer nothing: `unique` of the header is zero, `error` the code.
enum Notify : int32_t {
  kNotifyInvalInode = 2,
  kNotifyInvalEntry = 3,
  // Every request that was read and not answered is delivered again.
  kNotifyResend = 7,
  // Every name is looked up again; since 7.44 (Linux 6.16).
  kNotifyIncEpoch = 8,
};

struct InvalInodeOut {
  uint64_t ino;
  // -1: only the attributes.
  int64_t off;
  // 0: to the end.
  int64_t len;
};
static_assert(sizeof(InvalInodeOut) == 24);

// The name follows, with a NUL that `namelen` does not count.
struct InvalEntryOut {
  uint64_t parent;
  uint32_t namelen;
  uint32_t flags;
};
static_assert(sizeof(InvalEntryOut) == 16);

// InvalEntryOut.flags: the name is looked up again. Without it the kernel drops it at once, and a
// directory that is somebody's working directory is then none any more.
constexpr uint32_t kExpireOnly = 1U << 0;

struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
static_assert(sizeof(BackingMap) == 16);

constexpr unsigned long kIocBackingOpen = _IOW(229, 1, BackingMap);
constexpr unsigned long kIocBackingClose = _IOW(229, 2, uint32_t);

// Bytes in the largest WRITE, and READ: the kernel's own limit.
constexpr size_t kDataBytesMax = 1024 * 1024;
// Largest request read from a frozen mount, and from one that is written: the kernel wants room for
// a whole WRITE whatever it sends.
constexpr size_t kRequestBytesMax = 128 * 1024;
constexpr size_t kWritingRequestBytesMax = kDataBytesMax + 4096;

}  // namespace tarn::wire
