target_sources(atelier PRIVATE
  src/training/philox.cpp
)
