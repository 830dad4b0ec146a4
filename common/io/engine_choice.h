// What an administrator may choose of engine.h, for those who only pass it on.

#ifndef TLSPOST_COMMON_IO_ENGINE_CHOICE_H_
#define TLSPOST_COMMON_IO_ENGINE_CHOICE_H_

namespace tlspost::io {

// kAuto is io_uring where it can be used, else epoll.
enum class EngineChoice { kAuto, kIoUring, kEpoll };

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_ENGINE_CHOICE_H_
