#include "base/atomic_file.h"
#include "base/error.h"
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace atelier {

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
    static std::atomic<unsigned> counter{0};
    temporary_ = path + "." + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".part";
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd_ < 0) fail_with("cannot be created");
}

AtomicFile::~AtomicFile() {
    if (fd_ < 0) return;
    ::close(fd_);
    ::unlink(temporary_.c_str());
}

void AtomicFile::fail_with(const char* what) const {
    const int error = errno;
    const ErrorCode code = error == ENOSPC || error == EDQUOT ? ErrorCode::resource_exhausted
                           : error == ENOENT                  ? ErrorCode::not_found
                                                              : ErrorCode::invalid_argument;
    fail(code, path_, ": ", what, ": ", std::strerror(error));
}

void AtomicFile::append(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_with("cannot be written");
        bytes = bytes.subspan(static_cast<size_t>(n));
    }
}

void AtomicFile::commit() {
    if (::fsync(fd_) != 0) fail_with("cannot be synced");
    ::close(fd_);
    fd_ = -1;
    if (std::rename(temporary_.c_str(), path_.c_str()) == 0) return;
    const int error = errno;
    ::unlink(temporary_.c_str());
    errno = error;
    fail_with("cannot be renamed into place");
}

} // namespace atelier
