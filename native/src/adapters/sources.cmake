target_sources(atelier PRIVATE
  src/adapters/branch.cpp
  src/adapters/diffusers.cpp
  src/adapters/files.cpp
  src/adapters/fit.cpp
  src/adapters/kohya.cpp
  src/adapters/kohya_names.cpp
  src/adapters/merge.cpp
  src/adapters/parameters.cpp
)
