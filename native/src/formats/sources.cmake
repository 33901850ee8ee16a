target_sources(atelier PRIVATE
  src/formats/adapter_diffusers.cpp
  src/formats/adapter_file.cpp
  src/formats/adapter_kohya.cpp
  src/formats/config.cpp
  src/formats/json_file.cpp
  src/formats/kohya_names.cpp
  src/formats/safetensors.cpp
  src/formats/text.cpp
  src/formats/weight_source.cpp
)
