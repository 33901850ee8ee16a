target_sources(atelier PRIVATE
  src/sampling/adapted_layers.cpp
  src/sampling/denoise_programs.cpp
  src/sampling/sigmas.cpp
)
