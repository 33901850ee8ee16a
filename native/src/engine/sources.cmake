target_sources(atelier PRIVATE
  src/engine/adapter.cpp
  src/engine/clip_text.cpp
  src/engine/device.cpp
  src/engine/flux_transformer.cpp
  src/engine/inspect.cpp
  src/engine/one_shot.cpp
  src/engine/pieces.cpp
  src/engine/t5_text.cpp
  src/engine/vae.cpp
)
