target_sources(atelier PRIVATE
  src/adapters/branch.cpp
  src/adapters/diffusers.cpp
  src/adapters/files.cpp
  src/adapters/fit.cpp
  src/adapters/fused.cpp
  src/adapters/kohya.cpp
  src/adapters/merge.cpp
  src/adapters/module_names.cpp
  src/adapters/parameters.cpp
  src/adapters/path_pattern.cpp
  src/adapters/reader.cpp
  src/adapters/refusals.cpp
  src/adapters/set_aside.cpp
  src/adapters/settings.cpp
  src/adapters/tensor_names.cpp
  src/adapters/values.cpp
)
