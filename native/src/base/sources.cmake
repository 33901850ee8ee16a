target_sources(atelier PRIVATE
  src/base/atomic_file.cpp
  src/base/error.cpp
  src/base/machine_memory.cpp
  src/base/mapped_file.cpp
  src/base/philox.cpp
  src/base/thread_pool.cpp
)
