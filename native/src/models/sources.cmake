target_sources(atelier PRIVATE
  src/models/clip/text_model.cpp
  src/models/encoder_layers.cpp
  src/models/flux/conditioning.cpp
  src/models/flux/double_block.cpp
  src/models/flux/emit.cpp
  src/models/flux/inputs.cpp
  src/models/flux/layers.cpp
  src/models/flux/network.cpp
  src/models/flux/rope.cpp
  src/models/flux/single_block.cpp
  src/models/flux/weight_cache.cpp
  src/models/flux/weight_units.cpp
  src/models/flux/weights.cpp
  src/models/t5/encoder.cpp
  src/models/vae/autoencoder.cpp
  src/models/vae/layers.cpp
)
