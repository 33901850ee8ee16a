target_sources(atelier PRIVATE
  src/tensor/dtype.cpp
)
