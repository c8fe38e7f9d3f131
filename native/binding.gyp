{
  "targets": [
    {
      "target_name": "tarn_fuse",
      "sources": [
        "addon.cc",
        "session_object.cc",
        "task.cc",
        "file_calls.cc",
        "session.cc",
        "session_files.cc",
        "queue.cc",
        "notifier.cc",
        "files.cc",
        "staged.cc",
        "decode.cc",
        "mount.cc",
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "_FILE_OFFSET_BITS=64"],
      "cflags": ["-Wall", "-Wextra", "-Werror", "-O2"],
      "cflags_cc": ["-std=c++17", "-fexceptions"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++17"],
    },
  ],
}
