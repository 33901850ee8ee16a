target_sources(atelier PRIVATE
  src/base/error.cpp
)
