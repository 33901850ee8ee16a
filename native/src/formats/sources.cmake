target_sources(atelier PRIVATE
  src/formats/config.cpp
  src/formats/foreign.cpp
  src/formats/json_file.cpp
  src/formats/safetensors.cpp
  src/formats/text.cpp
  src/formats/weight_source.cpp
)
